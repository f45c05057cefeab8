"""Quantiles that are the same however the rows are partitioned.

Spark's percentile_approx is not: from some 50,000 rows on its summaries depend on how the rows lie and on the order in
which they are merged (docs/decisions/011).
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
"""Values of a column that are looked at, about: a quantile's rank is wrong by .14 % then (one standard deviation)."""


def sampled(frame: DataFrame, columns: Mapping[str, Column]) -> pa.Table:
    """Of each column all values, or some ROWS that a hash of the row draws, the others null; rows without any left out.

    Columns that have values in the same rows keep them in the same rows. Hashed are all columns of `frame` but floating
    ones, whose last bits may depend on the order of a sum. So the frame should have ids, which tell its rows apart:
    rows that are alike are all drawn, or none. Megabytes per column come to the driver, whatever the data.
    """
    hashed = [name for name, kind in frame.dtypes if kind not in ("float", "double")]
    place = uniform(*map(quoted, hashed or frame.columns))
    known = frame.agg(*[F.count(value).alias(name) for name, value in columns.items()]).collect()[0]
    drawn = {name: F.when(place < ROWS / max(known[name], 1), value) for name, value in columns.items()}
    some = reduce(or_, [value.isNotNull() for value in drawn.values()])
    return to_arrow(frame.where(some).select(*[value.alias(name) for name, value in drawn.items()]))


def quantiles(frame: DataFrame, columns: Mapping[str, Column], ranks: Sequence[float]) -> dict[str, list[Any]]:
    """Of each column the values at `ranks`, in its own type: the smallest that this share of the rows does not exceed.

    Nulls do not count; empty where there are only nulls.
    """
    table = sampled(frame, columns)
    return {name: ranked(table.column(name).drop_null().to_numpy(), ranks) for name in columns}


def median(frame: DataFrame, column: str) -> Any:
    """Of one column; None where there are only nulls."""
    return next(iter(quantiles(frame, {column: F.col(column)}, [0.5])[column]), None)


def ranked(values: npt.NDArray[Any], ranks: Sequence[float]) -> list[Any]:
    """The same of values that are there, shape (n,)."""
    if not len(values):
        return []
    places = np.ceil(np.asarray(ranks) * len(values) - 1e-9).astype(int) - 1  # .07 of 100 is no more than the seventh
    found: list[Any] = np.sort(values)[places.clip(0, len(values) - 1)].tolist()
    return found
