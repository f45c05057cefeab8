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
LEVEL_RANKS = [(i + 0.5) / 400 for i in range(400)]
"""Each stands for as many events, the extremes for none: draws from them have the real mean but for the tails."""
STEPS, GRID_SHARE = (1.0, 0.01), 0.95
"""Grids that prices and values may lie on, and the share of them that must for it to be one."""


class Spread(NamedTuple):
    """How prices or values lie: quantiles at LEVEL_RANKS, empty where no event has any."""

    overall: tuple[float, ...]
    """Of all events."""
    ratios: tuple[float, ...]
    """Of an event's over the mean of its item."""
    step: float | None
    """What nearly all are multiples of: a cent, or one; None for neither."""


@dataclass(frozen=True)
class EventMix:
    """What real events look like, in a few hundred numbers."""

    types: tuple[tuple[str, float], ...]
    """Event type and its share, the most frequent first."""
    days: tuple[int, ...]
    """Quantiles of the day, as days since 1970; empty without timestamps."""
    seconds: tuple[tuple[int, ...], ...]
    """Quantiles of the second of the day, for Monday to Sunday; a weekday without events takes all days'."""
    price: Spread
    value: Spread


def event_mix(events: DataFrame, means: DataFrame) -> EventMix:
    """Measure the real events: what comes to the driver does not grow with them.

    means: `item_id`, `mean_price`, `mean_value` (double, not zero) of the items whose events are enough to tell.
    """
    types = events.groupBy("event_type").count().orderBy(F.col("count").desc(), "event_type").collect()
    total = sum(row["count"] for row in types)
    second = F.hour("ts") * 3600 + F.minute("ts") * 60 + F.second("ts")
    looked = sampled(events.join(means, on="item_id", how="left"), {
        "second": second, "weekday": F.weekday("ts"), "day": F.unix_date(F.to_date("ts")),
        "price": F.col("price"), "price_ratio": F.col("price") / F.col("mean_price"),
        "value": F.col("value"), "value_ratio": F.col("value") / F.col("mean_value"),
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
                known[f"{name}_ratio"],
                next((s for s in STEPS if (overall[f"{name}_{s}"] or 0.0) >= GRID_SHARE), None),
            )
            for name in ("price", "value")
        ],
    )


def _spread(values: npt.NDArray[np.float64], ratios: npt.NDArray[np.float64], step: float | None) -> Spread:
    quantiles = tuple(ranked(values, LEVEL_RANKS))
    return Spread(quantiles, tuple(ranked(ratios, LEVEL_RANKS)) or (1.0,), step)


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
        _level("value", mix.value, seed, uniform(seed, "any value")).alias("value"),
        _level("price", mix.price, seed, indexing.uniform(F.lit(seed), F.lit("any price"), "item_id")).alias("price"),
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


def _level(name: str, spread: Spread, seed: int, anything: Column) -> Column:
    """About what is usual for the item, as far from it as real events are; within all real ones if it is.

    anything: a number in [0, 1) for items of which nothing is known.
    """
    if not spread.overall:
        return F.lit(None).cast("double")
    level, ratio = F.col(name), _element(spread.ratios, uniform(seed, f"{name} ratio"))
    low, high = F.lit(spread.overall[0]), F.lit(spread.overall[-1])  # of ratings: one to five
    near = level * ratio
    usual = F.when(level.between(low, high), F.greatest(F.least(near, high), low)).otherwise(near)
    return _stepped(F.coalesce(usual, _element(spread.overall, anything)), spread.step, seed, name)


def _element(values: tuple[float, ...], drawn: Column) -> Column:
    return F.element_at(F.array(*[F.lit(v) for v in values]), (drawn * len(values)).cast("int") + 1)


def _stepped(value: Column, step: float | None, seed: int, draw: str) -> Column:
    """`value` on the grid of the real ones: up or down by chance, so that its mean stays what it is; never to zero."""
    if step is None:
        return value.cast("double")
    number = F.greatest(F.floor(value / step + uniform(seed, draw)), F.lit(1))
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
    days = F.array(*[F.lit(d) for d in mix.days])
    day = F.element_at(days, (uniform(seed, "day") * len(mix.days)).cast("int") + 1)
    rhythm = F.array(*[F.array(*[F.lit(s) for s in of_day]) for of_day in mix.seconds])
    seconds = F.element_at(rhythm, F.weekday(F.date_from_unix_date(day)) + 1)
    place = uniform(seed, "second") * (len(SECOND_RANKS) - 1)
    low = F.element_at(seconds, F.floor(place).cast("int") + 1)
    high = F.element_at(seconds, F.floor(place).cast("int") + 2)
    second = F.floor(low + (high - low) * (place - F.floor(place)))
    return F.timestamp_seconds(day.cast("long") * 86_400 + second)
