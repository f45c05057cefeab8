"""Events from pairs: types and times are drawn like those of real events, prices and values around the item's level.

Every draw is a hash of (seed, user, item, what is drawn), and so the same for any partitioning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark import indexing, schemas
from synthspark.quantiles import quantiles_at, sampled

DAY_RANKS = [i / 400 for i in range(401)]
SECOND_RANKS = [i / 48 for i in range(49)]
DRAWN_RANKS = [(i + 0.5) / 100 for i in range(100)]
"""Midpoints of 100 equal shares of the events: draws from these quantiles have the real mean, except for the tails."""
LEVEL_RANKS = [i / 16 for i in range(1, 16)]
EVENTS_TO_TELL = 10
"""Minimum number of prices (or values) of an item for a usable mean."""
STEPS, GRID_SHARE = (1.0, 0.01), 0.95
"""Steps of grids that prices and values may lie on, and the minimum share of them on a grid that is used."""

Doubles = npt.NDArray[np.float64]


class Spread(NamedTuple):
    """Distribution of prices or values: over all events, and relative to their item's mean."""

    overall: tuple[float, ...]
    """Quantiles over all events; empty if no event has any."""
    levels: tuple[float, ...]
    """Upper bounds (inclusive) of the groups of items by mean, without that of the last group."""
    ratios: tuple[tuple[float, ...], ...]
    """Per group quantiles of an event's price or value divided by its item's mean; they differ between the middle and
    the end of a scale (five stars). Only 1.0 if no item has EVENTS_TO_TELL."""
    step: float | None
    """Step of which nearly all are multiples: 1 or 0.01; None for neither."""


@dataclass(frozen=True)
class EventMix:
    """Statistics of the real events, some thousand numbers."""

    types: tuple[tuple[str, float], ...]
    """Event type and its share, the most frequent first."""
    days: tuple[int, ...]
    """Quantiles of the day, as days since 1970; empty without timestamps."""
    seconds: tuple[tuple[int, ...], ...]
    """Quantiles of the second of the day, Monday to Sunday; for a weekday without events those of all days."""
    price: Spread
    value: Spread


def event_mix(events: DataFrame) -> EventMix:
    """Measure the real events; the data that comes to the driver does not grow with their number."""
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
    days = quantiles_at(known["day"], DAY_RANKS)
    rhythm = {d: quantiles_at(known["second"][known["weekday"] == d], SECOND_RANKS) for d in range(7)} if days else {}
    overall = events.agg(
        *[_on_grid(name, step).alias(f"{name}_{step}") for name in ("price", "value") for step in STEPS],
    ).collect()[0]
    return EventMix(
        tuple((row["event_type"], row["count"] / total) for row in types),
        tuple(days),
        tuple(tuple(of_day or quantiles_at(known["second"], SECOND_RANKS)) for of_day in rhythm.values()),
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
    """Return the mean of an item's prices or values, null for too few; float32 drops the last bits of the sum."""
    mean = F.when((F.count(name) >= EVENTS_TO_TELL) & (F.avg(name) > 0), F.avg(name).cast("float"))
    return mean.alias(f"usual_{name}")


def _spread(values: Doubles, levels: Doubles, ratios: Doubles, step: float | None) -> Spread:
    """Compute the spread. levels, ratios: of the same events, shape (n,) each."""
    overall = tuple(quantiles_at(values, DRAWN_RANKS))
    if not len(levels):
        return Spread(overall, (), ((1.0,),), step)
    ends = np.unique(quantiles_at(levels, LEVEL_RANKS))
    ends = ends[ends < levels.max()]
    part = np.searchsorted(ends, levels)
    of_part = [tuple(quantiles_at(ratios[part == p], DRAWN_RANKS)) for p in range(len(ends) + 1)]
    return Spread(overall, tuple(ends.tolist()), tuple(of_part), step)


def synthetic_events(pairs: DataFrame, item_levels: DataFrame, mix: EventMix, seed: int) -> DataFrame:
    """Make complete events in the clean schema, with `origin`, `weight` and `seed`.

    pairs: `user_id`, `item_id`, `origin`, `weight`; item_levels: `item_id`, and its usual `price` and `value`, null if
    unknown. An unknown price is drawn once per item, an unknown value once per event, from all real ones.
    """
    levels = pairs.join(item_levels, on="item_id", how="left")
    events = levels.select(
        "user_id",
        "item_id",
        _event_type(mix, seed).alias("event_type"),
        _instant(mix, seed).alias("ts"),
        _near_level("value", mix.value, seed, uniform(seed, "any value")).alias("value"),
        _near_level("price", mix.price, seed, indexing.uniform(F.lit(seed), F.lit("any price"), "item_id")).alias(
            "price"
        ),
        F.lit(None).cast("string").alias("query"),
        F.lit(None).cast("string").alias("session_id"),
        "origin",
        F.col("weight").cast("double").alias("weight"),
        F.lit(seed).cast("long").alias("seed"),
    )
    assert events.columns == [*schemas.EVENTS.names, *schemas.SYNTHETIC.names]
    return events


def _on_grid(name: str, step: float) -> Column:
    """Return the share of the values that are multiples of `step`."""
    multiple = F.abs(F.col(name) / step - F.round(F.col(name) / step)) < 1e-6
    return F.avg(multiple.cast("double"))


def _near_level(name: str, spread: Spread, seed: int, unknown: Column) -> Column:
    """Draw around the item's level, by the ratios of items of a similar level; without a level, from all real ones.

    Draws stay within the range of all real ones if the level does. unknown: number in [0, 1) that draws for items
    without a level.
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
    """Return the value drawn by a number in [0, 1), all with equal probability."""
    return F.element_at(values, F.floor(drawn * F.size(values)).cast("int") + 1)


def _stepped(value: Column, step: float | None, least: int, seed: int, draw: str) -> Column:
    """Round `value` to the grid, up or down at random, so that the mean stays; at least `least` steps."""
    if step is None:
        return value.cast("double")
    number = F.greatest(F.floor(value / step + uniform(seed, draw)), F.lit(least))
    return F.round(number * step, 2).cast("double")


def uniform(seed: int, draw: str) -> Column:
    """Return a number in [0, 1), a hash of the seed, the pair and what is drawn."""
    return indexing.uniform(F.lit(seed), F.lit(draw), "user_id", "item_id")


def _event_type(mix: EventMix, seed: int) -> Column:
    drawn, below = uniform(seed, "type"), 0.0
    chosen = F.lit(mix.types[0][0])
    for name, share in reversed(mix.types):  # from the rarest on, so that the outermost `when` has the smallest bound
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
