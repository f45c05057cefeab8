"""Pairs of users and items drawn by shares: controls of the proof, and negatives of the judge."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import uniform, with_index


def random_pairs(users: DataFrame, items: DataFrame, count: int, seed: int) -> DataFrame:
    """Draw `count` uniform pairs of `users` (`user_index`) and `items` (`item_index`), without those drawn twice."""
    return drawn_pairs(
        users.select("user_index", F.lit(1.0).alias("share")),
        items.select("item_index", F.lit(1.0).alias("share")),
        count,
        seed,
    )


def drawn_pairs(users: DataFrame, items: DataFrame, count: int, seed: int) -> DataFrame:
    """Draw both sides `count` times by `share` and pair the n-th draws, without any product users x items.

    users: `user_index`, `share`; items: `item_index`, `share`. Each entity is drawn floor(share x count / total + u)
    times, with u a hash in [0, 1), so that its expected number of draws is exact.
    """
    left = _drawn(users, "user_index", count, seed)
    right = _drawn(items, "item_index", count, seed + 1)
    return left.join(right, on="place", how="inner").select("user_index", "item_index").distinct()


def _drawn(entities: DataFrame, key: str, count: int, seed: int) -> DataFrame:
    total = F.broadcast(entities.agg(F.sum("share").alias("_total")))
    jitter = uniform(F.lit(seed), key)
    times = F.floor(F.col("share") * count / F.col("_total") + jitter).cast("int")
    sized = entities.crossJoin(total).select(key, times.alias("times")).where("times > 0")
    repeated = sized.select(key, F.explode(F.sequence(F.lit(1), "times")).alias("copy"))
    draws = repeated.select(key, F.xxhash64(F.lit(seed), key, "copy").alias("draw"))
    return with_index(draws, "draw", "place").drop("draw")
