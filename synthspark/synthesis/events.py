"""Pairs to events: type by the real mix, time by the real rhythm, price and value by the item.

Every draw is a hash of (seed, user, item, what is drawn): the same whatever the partitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark import indexing, schemas
from synthspark.quantiles import ranked, sampled

DAY_RANKS = [i / 400 for i in range(401)]
SECOND_RANKS = [i / 48 for i in range(49)]
DRAWN_RANKS = [(i + 0.5) / 100 for i in range(100)]
"""Each stands for as many events, the extremes for none: draws from them have the real mean but for the tails."""
LEVEL_RANKS = [i / 16 for i in range(1, 16)]
EVENTS_TO_TELL = 10
"""Prices (or values) of an item from which on their mean tells what is usual for it."""
STEPS, GRID_SHARE = (1.0, 0.01), 0.95
"""Grids that prices and values may lie on, and the share of them that must for it to be one."""

Doubles = npt.NDArray[np.float64]


class Spread(NamedTuple):
    """How prices or values lie, of all events and around their item's mean."""

    overall: tuple[float, ...]
    """Quantiles of all; empty where no event has any."""
    levels: tuple[float, ...]
    """What parts the items by their means: the ends, included, of all parts but the last."""
    ratios: tuple[tuple[float, ...], ...]
    """Per part quantiles of an event's over its item's mean: at the end of a scale (five stars) they differ from the
    middle. Just 1 where no item has EVENTS_TO_TELL."""
    step: float | None
    """What nearly all are multiples of: a cent, or one; None for neither."""


@dataclass(frozen=True)
class EventMix:
    """What real events look like, in some thousand numbers."""

    types: tuple[tuple[str, float], ...]
    """Event type and its share, the most frequent first."""
    days: tuple[int, ...]
    """Quantiles of the day, as days since 1970; empty without timestamps."""
    seconds: tuple[tuple[int, ...], ...]
    """Quantiles of the second of the day, for Monday to Sunday; a weekday without events takes all days'."""
    price: Spread
    value: Spread


def event_mix(events: DataFrame) -> EventMix:
    """Measure the real events: what comes to the driver does not grow with them."""
    types = events.groupBy("event_type").count().orderBy(F.col("count").desc(), "event_type").collect()
    total = sum(row["count"] for row in types)
    second = F.hour("ts") * 3600 + F.minute("ts") * 60 + F.second("ts")
    means = events.groupBy("item_id").agg(_usual("price"), _usual("value"))
    looked = sampled(events.join(means, on="item_id", how="left"), {
        "second": second, "weekday": F.weekday("ts"), "day": F.unix_date(F.to_date("ts")),
        **{name: F.col(name) for name in ("price", "value")},
        **{f"{name}_ratio": F.col(name) / F.col(f"usual_{name}") for name in ("price", "value")},
        **{f"{name}_level": F.when(F.col(name).isNotNull(), F.col(f"usual_{name}")) for name in ("price", "value")},
    })  # fmt: skip
    known = {name: looked.column(name).drop_null().to_numpy() for name in looked.column_names}
    days = ranked(known["day"], DAY_RANKS)
    rhythm = {d: ranked(known["second"][known["weekday"] == d], SECOND_RANKS) for d in range(7)} if days else {}
    overall = events.agg(
        *[_on_grid(name, step).alias(f"{name}_{step}") for name in ("price", "value") for step in STEPS],
    ).collect()[0]
    return EventMix(
        tuple((row["event_type"], row["count"] / total) for row in types),
        tuple(days),
        tuple(tuple(of_day or ranked(known["second"], SECOND_RANKS)) for of_day in rhythm.values()),
        *[
            _spread(
                known[name],
                known[f"{name}_level"],
                known[f"{name}_ratio"],
                next((s for s in STEPS if (overall[f"{name}_{s}"] or 0.0) >= GRID_SHARE), None),
            )
            for name in ("price", "value")
        ],
    )


def _usual(name: str) -> Column:
    """The mean of an item's prices or values, null where it has too few to tell; float32, free of a sum's last bit."""
    mean = F.when((F.count(name) >= EVENTS_TO_TELL) & (F.avg(name) > 0), F.avg(name).cast("float"))
    return mean.alias(f"usual_{name}")


def _spread(values: Doubles, levels: Doubles, ratios: Doubles, step: float | None) -> Spread:
    """levels, ratios: of the same events."""
    overall = tuple(ranked(values, DRAWN_RANKS))
    if not len(levels):
        return Spread(overall, (), ((1.0,),), step)
    ends = np.unique(ranked(levels, LEVEL_RANKS))
    ends = ends[ends < levels.max()]
    part = np.searchsorted(ends, levels)
    of_part = [tuple(ranked(ratios[part == p], DRAWN_RANKS)) for p in range(len(ends) + 1)]
    return Spread(overall, tuple(ends.tolist()), tuple(of_part), step)


def synthetic_events(pairs: DataFrame, item_levels: DataFrame, mix: EventMix, seed: int) -> DataFrame:
    """Whole events in the clean schema, with `origin`, `weight` and `seed`.

    pairs: `user_id`, `item_id`, `origin`, `weight`; item_levels: `item_id`, `price`, `value`, what is usual for
    the item; null where nobody knows: then such a price is drawn once for the item, a value for each event, from all.
    """
    levels = pairs.join(item_levels, on="item_id", how="left")
    events = levels.select(
        "user_id",
        "item_id",
        _event_type(mix, seed).alias("event_type"),
        _instant(mix, seed).alias("ts"),
        _around("value", mix.value, seed, uniform(seed, "any value")).alias("value"),
        _around("price", mix.price, seed, indexing.uniform(F.lit(seed), F.lit("any price"), "item_id")).alias("price"),
        F.lit(None).cast("string").alias("query"),
        F.lit(None).cast("string").alias("session_id"),
        "origin",
        F.col("weight").cast("double").alias("weight"),
        F.lit(seed).cast("long").alias("seed"),
    )
    assert events.columns == [*schemas.EVENTS.names, *schemas.SYNTHETIC.names]
    return events


def _on_grid(name: str, step: float) -> Column:
    """The share of the values that are multiples of `step`."""
    multiple = F.abs(F.col(name) / step - F.round(F.col(name) / step)) < 1e-6
    return F.avg(multiple.cast("double"))


def _around(name: str, spread: Spread, seed: int, unknown: Column) -> Column:
    """About the item's own level, as far from it as real events of items of such a level are; else one of all.

    Not outside of all real ones, if the level is not. unknown: a number in [0, 1) that draws for items without a level.
    """
    if not spread.overall:
        return F.lit(None).cast("double")
    level, low, high = F.col(name), F.lit(spread.overall[0]), F.lit(spread.overall[-1])
    part = F.size(F.filter(_array(spread.levels), lambda end: end < level.cast("float")))
    ratios = F.element_at(F.array(*map(_array, spread.ratios)), part + 1)
    near = level * _at(ratios, uniform(seed, f"{name} ratio"))
    near = F.when(level.between(low, high), F.greatest(F.least(near, high), low)).otherwise(near)
    drawn = F.coalesce(near, _at(_array(spread.overall), unknown))
    return _stepped(drawn, spread.step, 0 if spread.overall[0] <= 0 else 1, seed, name)


def _array(values: tuple[float, ...]) -> Column:
    return F.array(*map(F.lit, values)).cast("array<double>")


def _at(values: Column, drawn: Column) -> Column:
    """The value that a number in [0, 1) draws, all alike."""
    return F.element_at(values, F.floor(drawn * F.size(values)).cast("int") + 1)


def _stepped(value: Column, step: float | None, least: int, seed: int, draw: str) -> Column:
    """`value` on the grid of the real ones: up or down by chance, so that its mean stays; `least` steps or more."""
    if step is None:
        return value.cast("double")
    number = F.greatest(F.floor(value / step + uniform(seed, draw)), F.lit(least))
    return F.round(number * step, 2).cast("double")


def uniform(seed: int, draw: str) -> Column:
    """A number in [0, 1) that is a hash of the seed, the pair and what is drawn."""
    return indexing.uniform(F.lit(seed), F.lit(draw), "user_id", "item_id")


def _event_type(mix: EventMix, seed: int) -> Column:
    drawn, below = uniform(seed, "type"), 0.0
    chosen = F.lit(mix.types[0][0])
    for name, share in reversed(mix.types):  # from the rarest on, so that the last `when` asks for the smallest sum
        upto = 1.0 - below
        chosen = F.when(drawn < upto, F.lit(name)).otherwise(chosen)
        below += share
    return chosen


def _instant(mix: EventMix, seed: int) -> Column:
    if not mix.days:
        return F.lit(None).cast("timestamp")
    day = _at(F.array(*map(F.lit, mix.days)), uniform(seed, "day"))
    rhythm = F.array(*[F.array(*[F.lit(s) for s in of_day]) for of_day in mix.seconds])
    seconds = F.element_at(rhythm, F.weekday(F.date_from_unix_date(day)) + 1)
    place = uniform(seed, "second") * (len(SECOND_RANKS) - 1)
    low = F.element_at(seconds, F.floor(place).cast("int") + 1)
    high = F.element_at(seconds, F.floor(place).cast("int") + 2)
    second = F.floor(low + (high - low) * (place - F.floor(place)))
    return F.timestamp_seconds(day.cast("long") * 86_400 + second)
