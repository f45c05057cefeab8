"""Compare the ids of the events with a table of users or items: how many it has and which ones are missing."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

EXAMPLES = 3
SAMPLE = 50_000
"""Number of known ids that are searched for the nearest one."""


@dataclass(frozen=True)
class Known:
    """Coverage of the distinct ids of the events by an entity table."""

    ids: int
    """Number of distinct ids of the events."""
    known: int
    """Number of these ids that the table has."""

    @property
    def share(self) -> float:
        """Share of ids that the table has; 1 if there are no ids."""
        return self.known / self.ids if self.ids else 1.0


def known_ids(events: DataFrame, entities: DataFrame, key: str) -> Known:
    """Count how many distinct ids of the events the table has.

    events, entities: classified rows. Kept events and those rejected as `unknown_item` count; of entities, kept and
    filtered rows.
    """
    asked = _ids(events, key).withColumn("known", F.lit(False))
    # A union and one group-by need a single exchange; a join or a distinct would need more.
    both = asked.unionByName(_entity_ids(entities, key).withColumn("known", F.lit(True))).groupBy(key)
    ids = both.agg(F.bool_or("known").alias("known"), F.bool_and("known").alias("unasked")).where(~F.col("unasked"))
    row = ids.agg(F.count(F.lit(1)).alias("ids"), F.count_if("known").alias("known")).collect()[0]
    return Known(row["ids"], row["known"])


def unknown_examples(events: DataFrame, entities: DataFrame, key: str) -> list[tuple[str, str]]:
    """Return up to EXAMPLES event ids missing from the table, each with the nearest of SAMPLE ids in the table."""
    known = _entity_ids(entities, key).distinct()
    lacking = _ids(events, key).distinct().join(known, on=key, how="left_anti").orderBy(key).limit(EXAMPLES)
    asked = [row[key] for row in lacking.collect()]
    candidates = known.limit(SAMPLE)
    if not asked or not candidates.take(1):
        return [(one, "") for one in asked]
    # Ties are broken by length, so that 13085 is suggested for 0013085 before an id that differs in a digit.
    nearest = [F.min(F.struct(F.levenshtein(F.lit(a), key), F.length(key), F.col(key).alias("id"))) for a in asked]
    row = candidates.agg(*nearest).collect()[0]
    return [(one, row[i]["id"]) for i, one in enumerate(asked)]


def _ids(events: DataFrame, key: str) -> DataFrame:
    sound = F.col("reason").isNull() | (F.col("reason") == "unknown_item")
    return events.where(sound).select(key)


def _entity_ids(entities: DataFrame, key: str) -> DataFrame:
    """Return the ids of kept rows and of rows removed by the filter, which also count as known."""
    there = F.col("reason").isNull() | (F.col("reason") == "filtered")
    return entities.where(there & F.col(key).isNotNull()).select(key)
