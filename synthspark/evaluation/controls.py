"""Control arms: as many synthetic pairs as the product's, placed without knowing anything. They must not gain."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import with_index


def random_pairs(users: DataFrame, items: DataFrame, count: int, seed: int) -> DataFrame:
    """`count` uniform pairs of `users` (`user_index`) and `items` (`item_index`), less those drawn twice."""
    return _paired(
        users.select("user_index", F.lit(1.0).alias("share")),
        items.select("item_index", F.lit(1.0).alias("share")),
        count,
        seed,
    )


def popularity_pairs(train: DataFrame, items: DataFrame, count: int, seed: int) -> DataFrame:
    """`count` pairs, users drawn by their activity and items by their popularity in `train`, less those drawn twice.

    An item without any interaction counts as one, so that cold items can be drawn.
    """
    users = train.groupBy("user_index").agg(F.count(F.lit(1)).cast("double").alias("share"))
    popularity = train.groupBy("item_index").agg(F.count(F.lit(1)).cast("double").alias("popularity"))
    shares = items.join(popularity, on="item_index", how="left")
    return _paired(users, shares.select("item_index", F.coalesce("popularity", F.lit(1.0)).alias("share")), count, seed)


def _paired(users: DataFrame, items: DataFrame, count: int, seed: int) -> DataFrame:
    """Draw both sides `count` times by `share` and pair the n-th draws: no users x items product anywhere.

    Each entity is drawn floor(share x count / total + u) times, u a hash in [0, 1): right on average.
    """
    left = _drawn(users, "user_index", count, seed)
    right = _drawn(items, "item_index", count, seed + 1)
    return left.join(right, on="place", how="inner").select("user_index", "item_index").distinct()


def _drawn(entities: DataFrame, key: str, count: int, seed: int) -> DataFrame:
    total = F.broadcast(entities.agg(F.sum("share").alias("_total")))
    jitter = F.pmod(F.xxhash64(F.lit(seed), key), F.lit(1 << 40)) / float(1 << 40)
    times = F.floor(F.col("share") * count / F.col("_total") + jitter).cast("int")
    sized = entities.crossJoin(total).select(key, times.alias("times")).where("times > 0")
    repeated = sized.select(key, F.explode(F.sequence(F.lit(1), "times")).alias("copy"))
    draws = repeated.select(key, F.xxhash64(F.lit(seed), key, "copy").alias("draw"))
    return with_index(draws, "draw", "place").drop("draw")
