"""Pairs to events: type by the real mix, time by the real rhythm, price and value by the item.

Every draw is a hash of (seed, user, item, what is drawn): the same whatever the partitions.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark import indexing, schemas
from synthspark.quantiles import ranked, sampled

DAY_RANKS = [i / 400 for i in range(401)]
SECOND_RANKS = [i / 48 for i in range(49)]
STEPS, GRID_SHARE = (1.0, 0.01), 0.95
"""Grids that prices and values may lie on, and the share of them that must for it to be one."""


@dataclass(frozen=True)
class EventMix:
    """What real events look like, in a few hundred numbers."""

    types: tuple[tuple[str, float], ...]
    """Event type and its share, the most frequent first."""
    days: tuple[int, ...]
    """Quantiles of the day, as days since 1970; empty without timestamps."""
    seconds: tuple[tuple[int, ...], ...]
    """Quantiles of the second of the day, for Monday to Sunday; a weekday without events takes all days'."""
    price: float | None
    value: float | None
    price_step: float | None
    """What nearly all prices are multiples of: a cent, or one; None for neither."""
    value_step: float | None


def event_mix(events: DataFrame) -> EventMix:
    """Measure the real events: what comes to the driver does not grow with them."""
    types = events.groupBy("event_type").count().orderBy(F.col("count").desc(), "event_type").collect()
    total = sum(row["count"] for row in types)
    second = F.hour("ts") * 3600 + F.minute("ts") * 60 + F.second("ts")
    looked = sampled(events, {"second": second, "weekday": F.weekday("ts"), "day": F.unix_date(F.to_date("ts")),
                              "price": F.col("price"), "value": F.col("value")})  # fmt: skip
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
        next(iter(ranked(known["price"], [0.5])), None),
        next(iter(ranked(known["value"], [0.5])), None),
        *[next((s for s in STEPS if (overall[f"{name}_{s}"] or 0.0) >= GRID_SHARE), None)
          for name in ("price", "value")],
    )  # fmt: skip


def synthetic_events(pairs: DataFrame, item_levels: DataFrame, mix: EventMix, seed: int) -> DataFrame:
    """Whole events in the clean schema, with `origin`, `weight` and `seed`.

    pairs: `user_id`, `item_id`, `origin`, `weight`; item_levels: `item_id`, `price`, `value` (null where the item has
    none: then the real median, if there are any at all).
    """
    levels = pairs.join(item_levels, on="item_id", how="left")
    events = levels.select(
        "user_id",
        "item_id",
        _event_type(mix, seed).alias("event_type"),
        _instant(mix, seed).alias("ts"),
        _stepped(F.coalesce("value", F.lit(mix.value)), mix.value_step, seed, "value").alias("value"),
        _stepped(F.coalesce("price", F.lit(mix.price)), mix.price_step, seed, "price").alias("price"),
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
