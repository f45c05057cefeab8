"""Quantiles that are the same however the rows are partitioned.

Spark's percentile_approx is not: from some 50,000 rows on its summaries depend on how the rows lie and on the order in
which they are merged (docs/decisions/011).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.schemas import quoted

ROWS = 1 << 17
"""Rows that are looked at, at most; of so many a quantile's rank is wrong by .14 % (one standard deviation)."""


def sampled(frame: DataFrame, columns: Mapping[str, Column]) -> pa.Table:
    """`columns` of all rows, or of ROWS that a hash draws, which come to the driver: megabytes, whatever the data.

    Hashed are all columns of `frame` but floating ones, whose last bits may depend on the order of a sum. So the frame
    must have what tells its rows apart, their ids: else rows that are alike are all drawn, or none.
    """
    hashed = [name for name, kind in frame.dtypes if kind not in ("float", "double")]
    drawn = F.xxhash64(*map(quoted, hashed or frame.columns)).alias("_drawn")
    values = [value.alias(name) for name, value in columns.items()]
    return frame.select(drawn, *values).orderBy("_drawn").limit(ROWS).drop("_drawn").toArrow()


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
    places = np.clip(np.ceil(np.asarray(ranks) * len(values)).astype(int) - 1, 0, len(values) - 1)
    found: list[Any] = np.sort(values)[places].tolist()
    return found
