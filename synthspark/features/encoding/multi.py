"""Sets of categories: one column per frequent value, 1 if the set has it, else -1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.features.encoding import categorical
from synthspark.features.encoding.categorical import CategoricalFindings
from synthspark.features.encoding.columns import encoded_name
from synthspark.schemas import quoted


@dataclass(frozen=True)
class MultiEncoder:
    """The values of a set that have a column, and their columns, in the same order."""

    name: str
    values: tuple[str, ...]
    columns: tuple[str, ...]


def analyze(df: DataFrame, names: Sequence[str], limit: int) -> dict[str, CategoricalFindings]:
    """Count the `limit` most frequent members of each column's sets."""
    found = {}
    for name in names:
        members = df.select(F.explode_outer(F.col(quoted(name))).alias(name))
        found[name] = categorical.analyze(members, [name], limit)[name]
    return found


def fitted(name: str, position: int, found: CategoricalFindings, min_count: int, limit: int) -> MultiEncoder:
    """Build the encoder from findings. position: number of its first column."""
    values = categorical.frequent(found, min_count, limit)
    columns = tuple(encoded_name("number", position + i, name, f"{i:02d}") for i in range(len(values)))
    return MultiEncoder(name, values, columns)


def encode(df: DataFrame, encoder: MultiEncoder) -> DataFrame:
    """Add one float column per value to `df`; all are -1 if the set is missing."""
    members = F.coalesce(F.col(quoted(encoder.name)), F.array().cast("array<string>"))
    for value, column in zip(encoder.values, encoder.columns, strict=True):
        df = df.withColumn(column, F.when(F.array_contains(members, value), 1.0).otherwise(-1.0).cast("float"))
    return df


def decode(encoder: MultiEncoder, numbers: npt.NDArray[Any]) -> list[list[str] | None]:
    """Decode (B, V) to the sorted values above 0 per row; None for a row without any."""
    names = np.array(encoder.values, dtype=object)
    return [sorted(names[row > 0]) or None for row in numbers]
