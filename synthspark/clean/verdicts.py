"""Classified rows apart again: what is kept, what is rejected, and how many for which reason."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.schemas import MALFORMED, quoted


def first_reason(rules: Sequence[tuple[str, Column]]) -> Column:
    """The reason of the first rule that holds (an unknown condition does not), null where none does."""
    return F.coalesce(*[F.when(condition, F.lit(reason)) for reason, condition in rules], F.lit(None).cast("string"))


def malformed(source: DataFrame) -> Column:
    """The line of a row that its reader could not take apart, else null."""
    return F.col(MALFORMED) if MALFORMED in source.columns else F.lit(None).cast("string")


def raw_row(columns: Sequence[Column]) -> Column:
    """The JSON of a row as the source has it; of a malformed one its line."""
    line = F.to_json(F.struct(F.col(MALFORMED).alias("line")))
    return F.when(F.col(MALFORMED).isNotNull(), line).otherwise(F.to_json(F.struct(*columns)))


def owner(key: str, content: Sequence[str]) -> Column:
    """`key` of sound rows; those that have a reason are spread by their `content`, lest they all meet in one task."""
    spread = F.concat(F.lit("\u0001"), F.xxhash64(*[F.col(quoted(c)) for c in content]).cast("string"))
    return F.when(F.col("reason").isNull(), F.col(key)).otherwise(spread)


def kept(classified: DataFrame, columns: Sequence[str]) -> DataFrame:
    """The rows without a reason."""
    return classified.where(F.col("reason").isNull()).select([quoted(c) for c in columns])


def rejected(classified: DataFrame, source: str) -> DataFrame:
    """The rows with a reason, as `source`, `reason`, `raw`."""
    return classified.where(F.col("reason").isNotNull()).select(F.lit(source).alias("source"), "reason", "raw")


def reason_counts(classified: DataFrame) -> dict[str, int]:
    """Rows per reason, the most frequent first; kept rows are not among them."""
    counted = classified.where(F.col("reason").isNotNull()).groupBy("reason").count()
    found = {row["reason"]: row["count"] for row in counted.collect()}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
