"""Quantiles that are the same for any partitioning.

Those of Spark's percentile_approx are not: from some 50,000 rows on, its summaries depend on the partitions of the rows
and on the order in which they are merged (docs/decisions/011).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import uniform
from synthspark.schemas import quoted
from synthspark.spark_versions import to_arrow

ROWS = 1 << 17
"""Approximate number of values sampled per column; the standard deviation of a quantile's rank is then .14 %."""


def sampled(frame: DataFrame, columns: Mapping[str, Column]) -> pa.Table:
    """Sample about ROWS values of each column (all if fewer) by a hash of the row; other values are null.

    Rows without any sampled value are left out. Columns with values in the same rows keep them in the same rows. The
    hash takes all columns of `frame` except floating ones, whose last bits may depend on the order of a sum. So `frame`
    should have ids, because rows with the same hash are all drawn or none. The driver gets megabytes per column for
    data of any size.
    """
    hashed = [name for name, kind in frame.dtypes if kind not in ("float", "double")]
    place = uniform(*map(quoted, hashed or frame.columns))
    known = frame.agg(*[F.count(value).alias(name) for name, value in columns.items()]).collect()[0]
    drawn = {name: F.when(place < ROWS / max(known[name], 1), value) for name, value in columns.items()}
    some = reduce(or_, [value.isNotNull() for value in drawn.values()])
    return to_arrow(frame.where(some).select(*[value.alias(name) for name, value in drawn.items()]))


def quantiles(frame: DataFrame, columns: Mapping[str, Column], ranks: Sequence[float]) -> dict[str, list[Any]]:
    """Compute the quantiles of each column at `ranks`, in the column's type, by sampling (`sampled`).

    The quantile at rank r is the smallest value that at least a share r of the rows does not exceed. Nulls do not
    count; the list is empty if there are only nulls.
    """
    table = sampled(frame, columns)
    return {name: quantiles_at(table.column(name).drop_null().to_numpy(), ranks) for name in columns}


def median(frame: DataFrame, column: str) -> Any:
    """Return the median of one column; None if there are only nulls."""
    return next(iter(quantiles(frame, {column: F.col(column)}, [0.5])[column]), None)


def quantiles_at(values: npt.NDArray[Any], ranks: Sequence[float]) -> list[Any]:
    """Return the quantiles of `values`, shape (n,), at `ranks`; empty if there are no values."""
    if not len(values):
        return []
    places = np.ceil(np.asarray(ranks) * len(values) - 1e-9).astype(int) - 1  # .07 of 100 is rank 7, not 8
    found: list[Any] = np.sort(values)[places.clip(0, len(values) - 1)].tolist()
    return found
