"""Reference rankers other than ALS, which a shop could use at no cost."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.baskets import bought_lately
from synthspark.ranking.split import Split
from synthspark.recommend import popular

WIDEST_CATEGORY = 128
"""Maximum number of values of the attribute of `popular_in_category`: its shares per user form one short vector."""


def popular_lately(split: Split, days: int) -> tuple[DataFrame, DataFrame]:
    """Rank items for every user by the number of users who bought them in the last `days` days of the training rows."""
    users = split.users.select("user_index", F.array(F.lit(1.0).cast("float")).alias("vector"))
    return users, popular(bought_lately(split.train, days))[1]


def popular_in_category(train: DataFrame, items: DataFrame, code: str, values: int) -> tuple[DataFrame, DataFrame]:
    """Rank items by the user's share of their category x (1 + number of the item's users).

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
    """Score items by the summed similarity of their neighbours that the user has: `user_index`, `item_index`, `score`.

    near: `item_index`, `neighbour`, `similarity` of the candidates. Pairs without a common neighbour have no score.
    """
    bought = train.select("user_index", F.col("item_index").alias("neighbour"))
    met = near.join(bought, on="neighbour", how="inner")
    return met.groupBy("user_index", "item_index").agg(F.sum("similarity").alias("score"))
