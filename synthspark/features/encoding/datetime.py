"""Instants, encoded as seconds since 1970 by the numeric encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.features.encoding import numeric
from synthspark.features.encoding.numeric import NumericEncoder, NumericFindings
from synthspark.schemas import quoted

DAY = 86400.0
"""Seconds per day. If all values are midnight UTC they are dates, and so are decoded values."""


def seconds(name: str) -> Column:
    """Return the timestamp column as double seconds since 1970, UTC."""
    return F.col(quoted(name)).cast("timestamp").cast("double")


def analyze(df: DataFrame, names: Sequence[str]) -> dict[str, NumericFindings]:
    """Analyze all columns in two passes over `df`."""
    return numeric.analyze_values(df, {name: seconds(name) for name in names}, DAY)


def encode(df: DataFrame, encoder: NumericEncoder) -> DataFrame:
    """Add the float column(s) of `encoder` to `df`."""
    return numeric.with_encoded(df, encoder, seconds(encoder.name))


def decode(encoder: NumericEncoder, numbers: npt.NDArray[Any], missing: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """Decode (B,) to datetime64[us] (B,), NaT where missing; dates are whole days, not before the first real one."""
    values = numeric.decode(encoder, numbers, missing)
    if encoder.unit is not None:
        first = np.ceil(encoder.knots[0] / encoder.unit) * encoder.unit
        values = np.maximum(np.floor(values / encoder.unit) * encoder.unit, first)
    known = np.isfinite(values)
    out = np.full(len(values), np.datetime64("NaT"), dtype="datetime64[us]")
    out[known] = (values[known] * 1e6).astype("int64").astype("datetime64[us]")
    return out
