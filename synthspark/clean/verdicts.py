"""Split classified rows into kept and rejected ones and count the reasons."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.schemas import MALFORMED, quoted


def first_reason(rules: Sequence[tuple[str, Column]]) -> Column:
    """Return the reason of the first rule whose condition is true (null counts as false); null if none is."""
    return F.coalesce(*[F.when(condition, F.lit(reason)) for reason, condition in rules], F.lit(None).cast("string"))


def malformed(source: DataFrame) -> Column:
    """Return the line of a row that its reader could not parse, else null."""
    return F.col(MALFORMED) if MALFORMED in source.columns else F.lit(None).cast("string")


def raw_row(columns: Sequence[Column]) -> Column:
    """Return the source row as JSON; for a malformed row, its line."""
    line = F.to_json(F.struct(F.col(MALFORMED).alias("line")))
    return F.when(F.col(MALFORMED).isNotNull(), line).otherwise(F.to_json(F.struct(*columns)))


def partition_key(key: str, content: Sequence[str]) -> Column:
    """Return the partition key: `key` for rows without a reason, a hash of `content` for rejected rows.

    The hash prevents all rejected rows from ending up in one task.
    """
    spread = F.concat(F.lit("\u0001"), F.xxhash64(*[F.col(quoted(c)) for c in content]).cast("string"))
    return F.when(F.col("reason").isNull(), F.col(key)).otherwise(spread)


def accepted_rows(classified: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Return the rows without a reason."""
    return classified.where(F.col("reason").isNull()).select([quoted(c) for c in columns])


def rejected_rows(classified: DataFrame, source: str) -> DataFrame:
    """Return the rows with a reason as `source`, `reason`, `raw`."""
    return classified.where(F.col("reason").isNotNull()).select(F.lit(source).alias("source"), "reason", "raw")


def reason_counts(classified: DataFrame) -> dict[str, int]:
    """Count rejected rows per reason, the most frequent reason first."""
    counted = classified.where(F.col("reason").isNotNull()).groupBy("reason").count()
    found = {row["reason"]: row["count"] for row in counted.collect()}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
