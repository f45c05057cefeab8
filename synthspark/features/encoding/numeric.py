"""Numbers, encoded by their rank among quantiles: robust to outliers, spikes keep their value, output in [-1, 1].

Values beyond the outermost quantiles are clipped to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.quantiles import quantiles
from synthspark.schemas import quoted

KNOTS = 101
"""Number of quantiles."""
TAIL = 0.001
"""Rank of the outermost knots, from either end: one absurd value must not stretch the last percent."""
RANKS = np.clip(np.linspace(0, 1, KNOTS), TAIL, 1 - TAIL)


@dataclass(frozen=True)
class NumericFindings:
    """Quantiles and properties of the values of a column."""

    knots: tuple[float, ...]
    missing: int
    integers: bool
    unit: float | None = None
    """See `NumericEncoder`."""


@dataclass(frozen=True)
class NumericEncoder:
    """`knots`: values at equally spaced ranks in [0, 1]. `missing_column` is set if the fit saw missing values."""

    name: str
    column: str
    missing_column: str | None
    knots: tuple[float, ...]
    integers: bool
    unit: float | None = None
    """All known values are multiples of this, as dates are of the seconds of a day; None if they are not, or if a file
    of an earlier version does not say."""


def aggregates(value: Column, prefix: str, unit: float | None = None) -> list[Column]:
    """Return the aggregates that `findings` needs beside the knots, so that all columns share one pass."""
    multiples = F.bool_and(value == F.floor(value / unit) * unit) if unit else F.lit(False)
    return [
        F.coalesce(multiples, F.lit(False)).alias(f"{prefix}_multiples"),
        F.count(F.when(value.isNull(), 1)).alias(f"{prefix}_missing"),
        F.coalesce(F.bool_and(value == F.floor(value)), F.lit(False)).alias(f"{prefix}_integers"),
    ]


def findings(row: dict[str, Any], prefix: str, knots: Sequence[float], unit: float | None = None) -> NumericFindings:
    """Build the findings from knots and a row that holds the `aggregates` of that prefix."""
    return NumericFindings(
        tuple(map(float, knots)), row[f"{prefix}_missing"], row[f"{prefix}_integers"],
        unit if row[f"{prefix}_multiples"] else None,
    )  # fmt: skip


def analyze(df: DataFrame, names: Sequence[str]) -> dict[str, NumericFindings]:
    """Analyze all columns in two passes over `df`."""
    return analyze_values(df, {name: F.col(quoted(name)) for name in names})


def analyze_values(
    df: DataFrame, values: Mapping[str, Column], unit: float | None = None
) -> dict[str, NumericFindings]:  # fmt: skip
    """Analyze values computed from the columns of `df`. unit: tested as a divisor of all values of a column."""
    if not values:
        return {}
    places = {f"n{i}": value for i, value in enumerate(values.values())}
    knots = quantiles(df, places, RANKS.tolist())
    row = (
        df.agg(*[c for prefix, value in places.items() for c in aggregates(value, prefix, unit)]).collect()[0].asDict()
    )
    return {name: findings(row, f"n{i}", knots[f"n{i}"], unit) for i, name in enumerate(values)}


def fitted(name: str, column: str, missing_column: str | None, found: NumericFindings) -> NumericEncoder:
    """Build the encoder from findings."""
    return NumericEncoder(name, column, missing_column, found.knots, found.integers, found.unit)


def encode_column(encoder: NumericEncoder, value: Column) -> Column:
    """Return 2 x rank of `value` - 1, as float; 0 if the value is missing.

    Ranks between two knots are interpolated; a value that equals several knots (a spike) gets their middle rank.
    """
    knots = F.array(*[F.lit(k) for k in encoder.knots])
    last = len(encoder.knots) - 1
    below = F.size(F.filter(knots, lambda k: k < value))
    upto = F.size(F.filter(knots, lambda k: k <= value))
    low = F.element_at(knots, F.greatest(below, F.lit(1)))
    high = F.element_at(knots, F.least(below + 1, F.lit(last + 1)))
    between = (below - 1) + (value - low) / F.when(high > low, high - low)
    spike = (below + upto - 1) / 2
    place = F.when(upto > below, spike).when(below == 0, 0.0).when(below > last, last).otherwise(between)
    return F.coalesce(place / last * 2 - 1, F.lit(0.0)).cast("float")


def encode(df: DataFrame, encoder: NumericEncoder) -> DataFrame:
    """Add the float column(s) of `encoder` to `df`."""
    return with_encoded(df, encoder, F.col(quoted(encoder.name)).cast("double"))


def with_encoded(df: DataFrame, encoder: NumericEncoder, value: Column) -> DataFrame:
    """Add `value` to `df` as the float column(s) of `encoder`."""
    df = df.withColumn(encoder.column, encode_column(encoder, value))
    if encoder.missing_column is not None:
        df = df.withColumn(encoder.missing_column, F.when(value.isNull(), 1.0).otherwise(-1.0).cast("float"))
    return df


def decode(
    encoder: NumericEncoder, numbers: npt.NDArray[Any], missing: npt.NDArray[Any] | None
) -> npt.NDArray[np.float64]:
    """Decode (B,) in [-1, 1] to values (B,) within the range seen; NaN where `missing` (B,) is above 0."""
    ranks = (np.clip(numbers.astype(np.float64), -1, 1) + 1) / 2
    values = np.interp(ranks, np.linspace(0, 1, len(encoder.knots)), encoder.knots)
    if encoder.integers:
        values = np.round(values)
    return np.where(missing > 0, np.nan, values) if missing is not None else values
