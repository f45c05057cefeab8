"""Control arms: as many synthetic pairs as the product has, placed without any information. They must not gain."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import uniform, with_index
from synthspark.pairing import drawn_pairs


def blind_pairs(users: DataFrame, items: DataFrame, train: DataFrame, count: int, by: str, seed: int) -> DataFrame:
    """Draw `count` pairs, without those drawn twice: `user_index`, `item_index`.

    users: `user_index`, optionally `share` of the draws; items: `item_index`; by: 'uniform', or 'popularity' to draw
    items (and users without `share`) in proportion to their rows in `train`. Entities without rows count as having one,
    so that cold ones can be drawn.
    """
    shared = users if "share" in users.columns else _shares(users, train, "user_index", by)
    return drawn_pairs(shared, _shares(items, train, "item_index", by), count, seed)


def duplicated_pairs(train: DataFrame, count: int, seed: int) -> DataFrame:
    """Draw about `count` of the real pairs by a hash, to be added once more; all pairs if there are fewer."""
    share = F.least(F.lit(1.0), F.lit(float(count)) / F.col("_total"))
    total = F.broadcast(train.agg(F.count(F.lit(1)).alias("_total")))
    drawn = uniform(F.lit(seed), "user_index", "item_index")
    return train.crossJoin(total).where(drawn < share).select("user_index", "item_index")


def permuted(entities: DataFrame, key: str, seed: int) -> DataFrame:
    """Give each attribute row of `entities` (`key` and attributes) to another entity: one cycle in hash order.

    A gain with permuted attributes does not come from the attributes.
    """
    order = F.xxhash64(F.lit(seed), key).alias("order")
    placed = with_index(entities.select(key, order), "order", "place").select(key, "place")
    total = F.broadcast(placed.agg(F.count(F.lit(1)).cast("int").alias("_total")))
    moved = placed.crossJoin(total)
    receiver = moved.select(F.col(key).alias("_to"), F.pmod(F.col("place") + 1, "_total").alias("place"))
    rows = entities.join(placed, on=key, how="inner").drop(key)
    return rows.join(receiver, on="place", how="inner").drop("place").withColumnRenamed("_to", key)


def _shares(entities: DataFrame, train: DataFrame, key: str, by: str) -> DataFrame:
    if by == "uniform":
        return entities.select(key, F.lit(1.0).alias("share"))
    rows = train.groupBy(key).agg(F.count(F.lit(1)).cast("double").alias("rows"))
    return entities.join(rows, on=key, how="left").select(key, F.coalesce("rows", F.lit(1.0)).alias("share"))
