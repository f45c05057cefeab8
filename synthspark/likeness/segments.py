"""Compare the events of new users and items with those of real ones in the same segment.

The segment consists of the real rows that meet the conditions of the new ones (`synthesize.users_where`); without
conditions it is all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.likeness.fidelity import DIGITS, mean
from synthspark.profiles.conditions import Condition
from synthspark.schemas import quoted

VALUES = 50
"""Number of values per attribute that are kept apart, by most events in the segment; all others are merged."""
REST, MISSING = "\x00other", "\x00missing"
MADE, SEGMENT, EVERYBODY = "new", "segment", "everybody"


@dataclass(frozen=True)
class SegmentLikeness:
    """Comparison of new entities' events with the real segment's; similarities from 0 to 1, None without data."""

    entities: int
    """Number of new entities with events."""
    real_entities: int
    """Number of real entities of the segment with events."""
    events_each: float
    real_events_each: float
    like_segment: float | None
    """1 - total variation distance of event shares by attribute value, mean over the other side's attributes."""
    everybody_like_segment: float | None
    """The same figure for all real events: the baseline without a segment."""
    activity: float
    """1 - Kolmogorov-Smirnov statistic of the number of events per entity."""
    by_attribute: dict[str, float]

    def figures(self) -> dict[str, float | None]:
        """Return the figures by name, as the report lists them."""
        named = {name: value for name, value in vars(self).items() if name != "by_attribute"}
        return {**named, **{f"like_segment by {name}": value for name, value in self.by_attribute.items()}}


def meets(conditions: Sequence[Condition], kinds: dict[str, str]) -> Column:
    """Return a Boolean column: True for rows of a clean table that meet all conditions (see `profiles.conditions`)."""
    found = F.lit(True)
    for condition in conditions:
        found = found & _meets(condition, kinds[condition.name])
    return found


def _meets(condition: Condition, kind: str) -> Column:
    column = F.col(quoted(condition.name))
    if not condition.value:
        return column.isNull() if condition.sign == "=" else column.isNotNull()
    if kind == "multi":
        has = F.coalesce(F.array_contains(column, condition.value), F.lit(False))
        return has if condition.sign == "=" else ~has
    value = F.lit(condition.value)
    if kind in ("numeric", "datetime"):
        value = value.cast("double" if kind == "numeric" else "timestamp")
    elif condition.sign == "!=":
        return F.coalesce(column != value, F.lit(True))
    operations = {"=": column == value, "<": column < value, "<=": column <= value, ">": column > value,
                  ">=": column >= value}  # fmt: skip
    return F.coalesce(operations[condition.sign], F.lit(False))


def segment_likeness(
    new: DataFrame, real: DataFrame, segment: DataFrame | None, key: str, other_key: str, attributes: DataFrame
) -> SegmentLikeness | None:
    """Compare events; return None if the new entities or the segment have none.

    new, real: events of the new entities and all real events, with `key` and `other_key`; segment: `key` of the real
    entities that meet the conditions, None for all that have events; attributes: `other_key` and the categorical and
    multi columns of the other side.
    """
    inside = real if segment is None else real.join(segment.select(key), on=key, how="left_semi")
    activity = {name: _activity(events, key) for name, events in ((MADE, new), (SEGMENT, inside))}
    if not all(activity.values()):
        return None
    shares = _shares({MADE: new, SEGMENT: inside, EVERYBODY: real}, attributes, other_key)
    shares = {name: found for name, found in shares.items() if found[SEGMENT] and found[MADE]}
    alike = {name: _overlap(found[MADE], found[SEGMENT]) for name, found in shares.items()}
    of_all = [_overlap(found[EVERYBODY], found[SEGMENT]) for found in shares.values()]
    return SegmentLikeness(
        entities=sum(activity[MADE].values()),
        real_entities=sum(activity[SEGMENT].values()),
        events_each=_average(activity[MADE]),
        real_events_each=_average(activity[SEGMENT]),
        like_segment=mean(alike.values()),
        everybody_like_segment=None if segment is None else mean(of_all),
        activity=_same_activity(activity[MADE], activity[SEGMENT]),
        by_attribute=alike,
    )


Counts = Mapping[Any, int]


def _activity(events: DataFrame, key: str) -> dict[int, int]:
    """Return number of events -> number of entities with that many events."""
    rows = events.groupBy(key).count().groupBy("count").agg(F.count(F.lit(1)).alias("entities")).collect()
    return {row["count"]: row["entities"] for row in rows}


def _average(activity: Mapping[int, int]) -> float:
    return round(sum(n * entities for n, entities in activity.items()) / sum(activity.values()), 3)


def _same_activity(new: Counts, real: Counts) -> float:
    """Return 1 - the maximum difference of the two cumulative distributions."""
    numbers: list[int] = sorted({*new, *real})
    below = [np.cumsum([counts.get(n, 0) for n in numbers]) / sum(counts.values()) for counts in (new, real)]
    return round(1 - float(np.abs(below[0] - below[1]).max()), DIGITS)


def _overlap(some: Counts, others: Counts) -> float:
    """Return 1 - the total variation distance of two distributions."""
    ours, theirs = sum(some.values()), sum(others.values())
    values = sorted({*some, *others})
    apart = sum(abs(some.get(v, 0) / ours - others.get(v, 0) / theirs) for v in values)
    return round(1 - apart / 2, DIGITS)


def _shares(parts: Mapping[str, DataFrame], attributes: DataFrame, other_key: str) -> dict[str, dict[str, Counts]]:
    """Return attribute -> part -> value -> events; at most VALUES + 1 values per attribute reach the driver."""
    names = [name for name in attributes.columns if name != other_key]
    if not names:
        return {}
    labelled = [events.groupBy(other_key).count().withColumn("part", F.lit(name)) for name, events in parts.items()]
    cells = F.explode(F.concat(*(_cells(attributes, name) for name in names))).alias("cell")
    rows = reduce(DataFrame.unionByName, labelled).join(attributes, on=other_key, how="inner")
    sums = [F.sum(F.when(F.col("part") == part, F.col("count")).otherwise(0)).alias(part) for part in parts]
    counted = rows.select("part", "count", cells).groupBy("cell.attribute", "cell.value").agg(*sums)
    most = Window.partitionBy("attribute").orderBy(F.desc(SEGMENT), "value")
    shown = F.when(F.row_number().over(most) <= VALUES, F.col("value")).otherwise(REST)
    least = counted.select("attribute", shown.alias("value"), *parts).groupBy("attribute", "value")
    found = least.agg(*(F.sum(part).alias(part) for part in parts)).collect()
    return {
        name: {part: {r["value"]: r[part] for r in found if r["attribute"] == name and r[part]} for part in parts}
        for name in names
    }


def _cells(attributes: DataFrame, name: str) -> Column:
    """Return an array of (`attribute`, `value`), one per value of the row."""
    column = F.col(quoted(name))
    is_set = isinstance(attributes.schema[name].dataType, T.ArrayType)
    values = F.coalesce(column, F.array().cast("array<string>")) if is_set else F.array(column)
    return F.transform(
        values, lambda value: F.struct(F.lit(name).alias("attribute"), F.coalesce(value, F.lit(MISSING)).alias("value"))
    )
