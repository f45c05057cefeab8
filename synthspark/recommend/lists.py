"""Each user's list: the k items with the largest score."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.recommend.als import Factors
from synthspark.retrieval import top_k


def recommendations(factors: Factors, k: int, seen: DataFrame | None = None) -> DataFrame:
    """Return the lists of every user that has a factor: `user_index`, `item_index`, `score`, `rank`.

    seen: `user_index`, `item_index` of pairs to leave out.
    """
    queries = factors.users.select(F.col("user_index").alias("query_index"), "vector", F.lit(k).alias("k"))
    if seen is None:
        queries = queries.withColumn("exclude", F.lit(None).cast("array<int>"))
    else:
        lists = seen.groupBy("user_index").agg(F.collect_set("item_index").alias("exclude"))
        queries = queries.join(lists.withColumnRenamed("user_index", "query_index"), on="query_index", how="left")
    targets = factors.items.select(F.col("item_index").alias("target_index"), "vector")
    return top_k(queries, targets).withColumnsRenamed({"query_index": "user_index", "target_index": "item_index"})


def popular(train: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Return vectors of users and of items whose inner products rank by the number of an item's users."""
    users = train.select("user_index").distinct().withColumn("vector", F.array(F.lit(1.0).cast("float")))
    return users, train.groupBy("item_index").agg(F.array(F.count(F.lit(1)).cast("float")).alias("vector"))
