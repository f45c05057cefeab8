"""How many of the events' ids a table of users or items has, and which ones it lacks."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

EXAMPLES = 3
SAMPLE = 50_000
"""Known ids among which the nearest are looked for."""


@dataclass(frozen=True)
class Known:
    """Of the distinct ids of the events."""

    ids: int
    known: int

    @property
    def share(self) -> float:
        """1 where there is no id."""
        return self.known / self.ids if self.ids else 1.0


def known_ids(events: DataFrame, entities: DataFrame, key: str) -> Known:
    """events, entities: classified rows; only sound rows count, of events also those whose item is unknown."""
    asked = _ids(events, key).withColumn("known", F.lit(False))
    # No join, and nothing made distinct before: one exchange for both.
    both = asked.unionByName(_entity_ids(entities, key).withColumn("known", F.lit(True))).groupBy(key)
    ids = both.agg(F.bool_or("known").alias("known"), F.bool_and("known").alias("unasked")).where(~F.col("unasked"))
    row = ids.agg(F.count(F.lit(1)).alias("ids"), F.count_if("known").alias("known")).collect()[0]
    return Known(row["ids"], row["known"])


def unknown_examples(events: DataFrame, entities: DataFrame, key: str) -> list[tuple[str, str]]:
    """Up to EXAMPLES ids of events that the table lacks, each with the nearest of (SAMPLE) ids that it has."""
    known = _entity_ids(entities, key).distinct()
    lacking = _ids(events, key).distinct().join(known, on=key, how="left_anti").orderBy(key).limit(EXAMPLES)
    asked = [row[key] for row in lacking.collect()]
    candidates = known.limit(SAMPLE)
    if not asked or not candidates.take(1):
        return [(one, "") for one in asked]
    # Then by length, so that 13085 is offered for 0013085 before what differs in a digit.
    nearest = [F.min(F.struct(F.levenshtein(F.lit(a), key), F.length(key), F.col(key).alias("id"))) for a in asked]
    row = candidates.agg(*nearest).collect()[0]
    return [(one, row[i]["id"]) for i, one in enumerate(asked)]


def _ids(events: DataFrame, key: str) -> DataFrame:
    sound = F.col("reason").isNull() | (F.col("reason") == "unknown_item")
    return events.where(sound).select(key)


def _entity_ids(entities: DataFrame, key: str) -> DataFrame:
    """Also of rows that are left out on purpose: what is filtered is known."""
    there = F.col("reason").isNull() | (F.col("reason") == "filtered")
    return entities.where(there & F.col(key).isNotNull()).select(key)
