"""Control arms: as many synthetic pairs as the product's, placed without knowing anything. They must not gain."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.pairing import drawn_pairs


def popularity_pairs(train: DataFrame, items: DataFrame, count: int, seed: int) -> DataFrame:
    """`count` pairs, users drawn by their activity and items by their popularity in `train`, less those drawn twice.

    An item without any interaction counts as one, so that cold items can be drawn.
    """
    users = train.groupBy("user_index").agg(F.count(F.lit(1)).cast("double").alias("share"))
    popularity = train.groupBy("item_index").agg(F.count(F.lit(1)).cast("double").alias("popularity"))
    shares = items.join(popularity, on="item_index", how="left")
    shares = shares.select("item_index", F.coalesce("popularity", F.lit(1.0)).alias("share"))
    return drawn_pairs(users, shares, count, seed)
