"""Which users meet which items: synthetic pairs in proportion to the user's own activity.

Per user, not per item: chosen per item, the heaviest buyers get everything, and everybody's lists get worse (measured
while designing: cold NDCG@20 .075 by item against .121 by user at the same volume).
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.retrieval import top_k

PAIR = ("user_index", "item_index")


def place_items(users: DataFrame, items: DataFrame, budget: float, min_users: int) -> DataFrame:
    """Pairs for items that have a generated vector.

    users: `user_index`, `vector`, `breadth` (items the user has); items: `item_index`, `vector`. Each user gets the
    `budget` x breadth items (at least one) that score highest; an item that nobody got so is given to the `min_users`
    users whose taste (the direction of their factor, not its length) is nearest, so that every item has somebody.
    """
    k = F.greatest(F.round(F.col("breadth") * budget), F.lit(1)).cast("int")
    chosen = _matched(users.withColumn("k", k), items, "user_index", "item_index").persist()
    left = items.join(chosen.select("item_index").distinct(), on="item_index", how="left_anti")
    rescued = _matched(left.withColumn("k", F.lit(min_users)), _unit_length(users), "item_index", "user_index")
    return chosen.unionByName(rescued)


def place_users(
    users: DataFrame, items: DataFrame, min_items: int, max_items: int, sample_seed: int | None = None
) -> DataFrame:
    """A basket for each user that has a generated preference: the best items, or with `sample_seed` a draw of them.

    users: `user_index`, `vector`, `log_activity` (log(1 + items) as generated); items: `item_index`, `vector` of the
    same length. The basket is as large as the generated activity, within the bounds.
    """
    wanted = F.round(F.expm1(F.least("log_activity", F.lit(20.0))))
    k = F.least(F.greatest(wanted, F.lit(min_items)), F.lit(max_items)).cast("int")
    return _matched(users.withColumn("k", k), items, "user_index", "item_index", sample_seed)


def _unit_length(entities: DataFrame) -> DataFrame:
    squares = F.aggregate("vector", F.lit(0.0), lambda total, x: total + x * x)
    length = F.greatest(F.sqrt(squares), F.lit(1e-12))
    scaled = F.transform("vector", lambda x: (x / length).cast("float"))
    return entities.withColumn("vector", scaled)


def with_popularity(vector: Column, log_popularity: Column) -> Column:
    """The target side of a generated query: the factor, then the log popularity that the query weighs."""
    return F.concat(vector, F.array(log_popularity.cast("float")))


def _matched(
    queries: DataFrame, targets: DataFrame, query: str, target: str, sample_seed: int | None = None
) -> DataFrame:
    asked = queries.select(
        F.col(query).alias("query_index"), "vector", "k", F.lit(None).cast("array<int>").alias("exclude")
    )
    found = top_k(asked, targets.select(F.col(target).alias("target_index"), "vector"), sample_seed)
    named = found.withColumnsRenamed({"query_index": query, "target_index": target})
    return named.select(*PAIR, "score")
