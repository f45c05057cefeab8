"""Control arms: as many synthetic pairs as the product's, placed without knowing anything. They must not gain."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import with_index
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


def duplicated_pairs(train: DataFrame, count: int, seed: int) -> DataFrame:
    """About `count` of the real pairs once more, drawn by a hash; all of them where there are fewer."""
    share = F.least(F.lit(1.0), F.lit(float(count)) / F.col("_total"))
    total = F.broadcast(train.agg(F.count(F.lit(1)).alias("_total")))
    drawn = F.pmod(F.xxhash64(F.lit(seed), "user_index", "item_index"), F.lit(1 << 40)) / float(1 << 40)
    return train.crossJoin(total).where(drawn < share).select("user_index", "item_index")


def permuted_items(items: DataFrame, seed: int) -> DataFrame:
    """`items` (`item_index` and attributes) with every attribute row given to another item: one cycle in hash order.

    What is gained with these is not gained by the attributes.
    """
    order = F.xxhash64(F.lit(seed), "item_index").alias("order")
    placed = with_index(items.select("item_index", order), "order", "place").select("item_index", "place")
    total = F.broadcast(placed.agg(F.count(F.lit(1)).cast("int").alias("_total")))
    moved = placed.crossJoin(total)
    receiver = moved.select(F.col("item_index").alias("_to"), F.pmod(F.col("place") + 1, "_total").alias("place"))
    rows = items.join(placed, on="item_index", how="inner").drop("item_index")
    return rows.join(receiver, on="place", how="inner").drop("place").withColumnRenamed("_to", "item_index")
