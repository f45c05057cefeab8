"""Reference rankers outside ALS: what a shop could do at no cost."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

WIDEST_CATEGORY = 128
"""Values of the attribute that `popular_in_category` goes by, at most: a user's shares of it are one short vector."""


def popular_in_category(train: DataFrame, items: DataFrame, code: str, values: int) -> tuple[DataFrame, DataFrame]:
    """The most bought of the categories that a user buys most of: share of the category x (1 + users of the item).

    items: `item_index` and the int column `code` below `values`. Returns vectors of users and of items.
    """
    rows = train.join(items.select("item_index", code), on="item_index", how="inner")
    total = F.count(F.lit(1))
    share = [(F.count_if(F.col(code) == v) / total).cast("float") for v in range(values)]
    users = rows.groupBy("user_index").agg(F.array(*share).alias("vector"))
    bought = train.groupBy("item_index").agg(F.count(F.lit(1)).alias("n"))
    known = items.join(bought, on="item_index", how="left")
    weight = F.coalesce("n", F.lit(0)) + 1
    one_hot = F.array(*[F.when(F.col(code) == v, weight).otherwise(0).cast("float") for v in range(values)])
    return users, known.select("item_index", one_hot.alias("vector"))


def content_knn(train: DataFrame, near: DataFrame) -> DataFrame:
    """`user_index`, `item_index`, `score`: the similarity of the item's neighbours that the user has, summed.

    near: `item_index`, `neighbour`, `similarity` of the candidates. Pairs without a common neighbour have no score.
    """
    bought = train.select("user_index", F.col("item_index").alias("neighbour"))
    met = near.join(bought, on="neighbour", how="inner")
    return met.groupBy("user_index", "item_index").agg(F.sum("similarity").alias("score"))
