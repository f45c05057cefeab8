"""Interactions from events: one row per user and item, from one pass over the events."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

DAY_SECONDS = 86_400
DAY_PARTS = ("night", "morning", "afternoon", "evening")
"""Parts of the day, six hours each, from midnight UTC on."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def pair_statistics(events: DataFrame, type_weights: Mapping[str, float], half_life_days: float | None) -> DataFrame:
    """Aggregate the events of each user-item pair in one shuffle; all later stages use the result.

    weight = sum of the type's weight x 2^(-age / half_life_days), where age is relative to the newest event; without
    timestamps or without a half-life nothing decays.
    """
    now = events.agg(F.max("ts").alias("_now"))
    type_weight = F.coalesce(*[F.when(F.col("event_type") == t, F.lit(float(w))) for t, w in type_weights.items()])
    age_days = (F.col("_now").cast("double") - F.col("ts").cast("double")) / DAY_SECONDS
    decay = F.coalesce(F.pow(F.lit(2.0), -age_days / half_life_days), F.lit(1.0)) if half_life_days else F.lit(1.0)
    counted: list[Column] = [
        F.sum(type_weight * decay).alias("weight"),
        F.count(F.lit(1)).alias("num_events"),
        F.min("ts").alias("first_ts"),
        F.max("ts").alias("last_ts"),
        F.sum("price").alias("sum_price"),
        F.count("price").alias("num_price"),
        F.sum(F.col("price") * F.coalesce("value", F.lit(1.0))).alias("sum_money"),
        F.sum("value").alias("sum_value"),
        F.count("value").alias("num_value"),
        F.count("ts").alias("num_ts"),
    ]
    part, day = F.floor(F.hour("ts") / 6), F.weekday("ts")
    counted += [F.count_if(part == i).alias(f"num_{name}") for i, name in enumerate(DAY_PARTS)]
    counted += [F.count_if(day == i).alias(f"num_{name}") for i, name in enumerate(WEEKDAYS)]
    return events.crossJoin(F.broadcast(now)).groupBy("user_id", "item_id").agg(*counted)


def interactions(pairs: DataFrame) -> DataFrame:
    """Select the contract's columns of `pair_statistics`."""
    return pairs.select("user_id", "item_id", "weight", "num_events", "first_ts", "last_ts")


def behaviour_features(pairs: DataFrame, key: str) -> DataFrame:
    """Compute recency, frequency, money, breadth, price level, and daily and weekly rhythm of each user or item.

    Counts and money as log(1 + x), recency in days before the newest event, the rhythm as shares; float32, no nulls.
    """
    other = "item_id" if key == "user_id" else "user_id"
    sums = [F.sum(c).alias(c) for c in ("num_events", "sum_price", "num_price", "sum_money", "sum_value", "num_value")]
    rhythm = [f"num_{n}" for n in (*DAY_PARTS, *WEEKDAYS)]
    rolled = pairs.groupBy(key).agg(
        F.count(F.lit(1)).alias("breadth"),
        *sums,
        F.sum("num_ts").alias("num_ts"),
        F.max("last_ts").alias("last_ts"),
        F.sum("weight").alias("sum_weight"),
        *[F.sum(c).alias(c) for c in rhythm],
    )
    newest = F.broadcast(pairs.agg(F.max("last_ts").alias("_newest")))
    recency = (F.col("_newest").cast("double") - F.col("last_ts").cast("double")) / DAY_SECONDS
    filled = F.greatest(F.col("num_ts"), F.lit(1))
    features = {
        "recency_days": recency,
        "log_events": F.log1p("num_events"),
        f"log_{other.removesuffix('_id')}s": F.log1p("breadth"),
        "log_money": F.log1p(F.greatest("sum_money", F.lit(0.0))),
        "mean_price": F.col("sum_price") / F.nullif("num_price", F.lit(0)),
        "mean_value": F.col("sum_value") / F.nullif("num_value", F.lit(0)),
        **{f"share_{c.removeprefix('num_')}": F.col(c) / filled for c in rhythm},
    }
    shown = [F.coalesce(v, F.lit(0.0)).cast("float").alias(k) for k, v in features.items()]
    has_price = (F.col("num_price") > 0).cast("float").alias("has_price")
    return rolled.crossJoin(newest).select(key, F.col("breadth").cast("int").alias("breadth"), *shown, has_price)


def category_shares(pairs: DataFrame, items: DataFrame, code_column: str, first_code: int, count: int) -> DataFrame:
    """Compute the shares of each user's events in the `count` most frequent categories of one attribute of the items.

    Columns `user_id` and `category_share_00` ...: codes are ordered by frequency, so these are the first `count`.
    """
    coded = pairs.join(items.select("item_id", code_column), on="item_id", how="inner")
    total = F.sum("num_events")
    shares = [
        (F.sum(F.when(F.col(code_column) == first_code + i, F.col("num_events")).otherwise(0)) / total)
        .cast("float")
        .alias(f"category_share_{i:02d}")
        for i in range(count)
    ]
    return coded.groupBy("user_id").agg(*shares)
