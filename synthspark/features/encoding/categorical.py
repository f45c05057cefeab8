"""Categories as codes: 0 unknown, 1 missing, 2 rare, then the vocabulary, most frequent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.frames import local_frame
from synthspark.schemas import quoted

UNKNOWN, MISSING, RARE, FIRST = 0, 1, 2, 3


@dataclass(frozen=True)
class CategoricalFindings:
    """Counts of the values of a column."""

    counts: dict[str, int]
    missing: int
    rows: int


@dataclass(frozen=True)
class CategoricalEncoder:
    """The vocabulary of one column. `rare`, the values below the minimum count, is never saved."""

    name: str
    column: str
    vocabulary: tuple[str, ...]
    has_missing: bool
    rare: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    @property
    def cardinality(self) -> int:
        """Number of codes."""
        return FIRST + len(self.vocabulary)


def analyze(df: DataFrame, names: Sequence[str], limit: int) -> dict[str, CategoricalFindings]:
    """Count the `limit` most frequent values of each column, all columns in one pass over `df`."""
    if not names:
        return {}
    pairs = [F.struct(F.lit(i).alias("column"), F.col(quoted(n)).alias("value")) for i, n in enumerate(names)]
    counted = df.select(F.explode(F.array(*pairs)).alias("p")).groupBy("p.column", "p.value").count()
    order = F.row_number().over(Window.partitionBy("column").orderBy(F.col("count").desc(), "value"))
    top = counted.withColumn("place", order).where((F.col("place") <= limit) | F.col("value").isNull())
    found: dict[int, dict[str, int]] = {i: {} for i in range(len(names))}
    missing: Counter[int] = Counter()
    for row in top.select("column", "value", F.col("count").alias("n")).toLocalIterator():
        if row["value"] is None:
            missing[row["column"]] = row["n"]
        else:
            found[row["column"]][row["value"]] = row["n"]
    total = {r["column"]: r["n"] for r in counted.groupBy("column").agg(F.sum("count").alias("n")).collect()}
    return {n: CategoricalFindings(found[i], missing[i], total.get(i, 0)) for i, n in enumerate(names)}


def fitted(name: str, column: str, found: CategoricalFindings, min_count: int, limit: int) -> CategoricalEncoder:
    """Build the encoder from findings: the vocabulary are the values seen `min_count` times, at most `limit`."""
    vocabulary = frequent(found, min_count, limit)
    rare = frozenset(found.counts) - frozenset(vocabulary)
    return CategoricalEncoder(name, column, vocabulary, found.missing > 0, rare)


def frequent(found: CategoricalFindings, min_count: int, limit: int) -> tuple[str, ...]:
    """Return the values seen at least `min_count` times, the most frequent first, at most `limit`."""
    ordered = sorted(found.counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(value for value, n in ordered[:limit] if n >= min_count)


def encode(df: DataFrame, encoder: CategoricalEncoder) -> DataFrame:
    """Add the int column `encoder.column` to `df`, by a broadcast join, since a vocabulary is bounded."""
    rows = [(v, FIRST + i) for i, v in enumerate(encoder.vocabulary)] + [(v, RARE) for v in sorted(encoder.rare)]
    schema = T.StructType([T.StructField("_value", T.StringType()), T.StructField("_code", T.IntegerType())])
    codes = F.broadcast(local_frame(df.sparkSession, rows, schema))
    value = F.col(quoted(encoder.name))
    code = F.when(value.isNull(), F.lit(MISSING)).otherwise(F.coalesce("_code", F.lit(UNKNOWN)))
    joined = df.join(codes, value == F.col("_value"), how="left")
    return joined.withColumn(encoder.column, code.cast("int")).drop("_value", "_code")


def decode(encoder: CategoricalEncoder, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Decode codes (B,) to values (B,); missing, rare and unknown become None."""
    table = np.array([None] * FIRST + list(encoder.vocabulary), dtype=object)
    decoded: npt.NDArray[Any] = table[codes]
    return decoded
