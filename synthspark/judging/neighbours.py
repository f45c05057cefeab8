"""Content neighbours: the entities that are most similar by their attributes."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.indexing import uniform
from synthspark.judging.features import Items, ItemStatistics, PairTable, similarity
from synthspark.retrieval import tie_breaker, top_k

NEIGHBOURS = 20
MAX_ROWS = 2000
"""Maximum mean number, per user, of pairs of an item and a bought neighbour; of more, some are drawn."""

SCALE = 1_000_000
"""Squared similarities are rounded down to multiples of 1 / SCALE, so that sums are exact."""

Floats = npt.NDArray[np.float32]


def neighbours(
    cold: DataFrame, warm: DataFrame, key: str, table: PairTable, stats: ItemStatistics, count: int = NEIGHBOURS
) -> DataFrame:
    """Find the `count` warm entities most similar to each cold one by attributes: `key`, `neighbour`, `similarity`."""
    every = (*table.codes, *table.numbers, *table.tokens)  # ids are below 2^24, and so exact in float32
    columns = F.array(*[F.col(c).cast("float") for c in every]).alias("vector")
    nobody = F.lit(None).cast("array<int>").alias("exclude")
    queries = cold.select(F.col(key).alias("query_index"), columns, F.lit(count).alias("k"), nobody)
    targets = warm.select(F.col(key).alias("target_index"), columns)
    found = top_k(queries, targets, kernel=partial(_similarities, table, stats)).where(F.col("score") > 0)
    return found.select(
        F.col("query_index").alias(key), F.col("target_index").alias("neighbour"), F.col("score").alias("similarity")
    )


def alike_pairs(near: DataFrame, pairs: DataFrame, users: DataFrame, seed: int) -> DataFrame:
    """Find the `k` items per user that are most similar to the user's own: `user_index`, `item_index`.

    near: result of `neighbours`; pairs: `user_index`, `item_index` of interactions; users: `user_index`, `k`. Items are
    ranked by the sum of squared similarities of those neighbours that the user has.
    """
    buyers = pairs.join(users.select("user_index"), on="user_index", how="left_semi")
    breadth = buyers.groupBy(F.col("item_index").alias("neighbour")).agg(F.count(F.lit(1)).alias("_buyers"))
    rows = near.join(breadth, on="neighbour", how="inner").agg(F.sum("_buyers")).collect()[0][0]
    share = min(1.0, MAX_ROWS * users.count() / max(rows or 0, 1))
    bought = buyers.select("user_index", F.col("item_index").alias("neighbour"))
    bought = bought.where(uniform(F.lit("alike"), F.lit(seed), "user_index", "neighbour") < share)
    met = near.join(bought, on="neighbour", how="inner")
    squared = (F.col("similarity") ** 2 * SCALE).cast("long")  # integers: their sum does not depend on the order
    alike = met.groupBy("user_index", "item_index").agg(F.sum(squared).alias("_alike"))
    best = Window.partitionBy("user_index").orderBy(F.col("_alike").desc(), tie_breaker("user_index", "item_index"))
    ranked = alike.withColumn("_place", F.row_number().over(best)).join(users, on="user_index", how="inner")
    return ranked.where(F.col("_place") <= F.col("k")).select("user_index", "item_index")


def _similarities(table: PairTable, stats: ItemStatistics, queries: Floats, targets: Floats) -> Floats:
    return similarity(table, stats, _split(targets, table), _split(queries, table))[0]


def _split(rows: Floats, table: PairTable) -> Items:
    codes, numbers, tokens = np.split(rows, np.cumsum([len(table.codes), len(table.numbers)]), axis=1)
    return Items(codes.astype(np.int32), numbers, tokens.astype(np.int32))
