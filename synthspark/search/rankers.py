"""What a shop ranks search results by: words, a click table, ALS over queries and items, or words and table together.

Queries are the users of a split: `user_index` is the index of a query.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.ranking.measures import best_of
from synthspark.ranking.split import ASIDE, Split
from synthspark.retrieval import top_k
from synthspark.search.corpus import Corpus, exact_sum, matching, packed, query_weights

TABLE_WEIGHT = 2.0
"""What a certain click counts beside the words, whose scores are BM25 per information that is asked for: the whole
title of an item has about 1 to 2."""


def certainty(clicks: Column) -> Column:
    """What clicks count in the table, beside the probability of virtual ones: one as much as an even chance."""
    return clicks / (clicks + 1.0)


def by_words(split: Split, corpus: Corpus, field: DataFrame, k: int) -> DataFrame:
    """Lists as `ranking.measures.measure` takes them. field: `item_index`, `term_index`, `weight`."""
    asked = split.test.select("user_index").distinct()
    seen = split.train.groupBy("user_index").agg(F.collect_set("item_index").alias("exclude"))
    weights = query_weights(corpus.queries).withColumnRenamed("query_index", "user_index")
    vectors = packed(weights.join(asked, on="user_index", how="left_semi"), "user_index")
    queries = vectors.join(seen, on="user_index", how="left").select(
        F.col("user_index").alias("query_index"), "vector", F.lit(k).alias("k"), "exclude"
    )
    judged = split.items.where(F.col("role") != ASIDE)
    targets = (
        packed(field, "item_index")
        .join(judged, on="item_index", how="inner")
        .select(F.col("item_index").alias("target_index"), "vector", "role")
    )
    roles = sorted(r["role"] for r in judged.select("role").distinct().collect())
    lists = [top_k(queries, targets.where(F.col("role") == r).drop("role"), kernel=matching)
             .where(F.col("score") > 0).withColumn("role", F.lit(r)) for r in roles]  # fmt: skip
    named = reduce(DataFrame.unionByName, lists)
    return named.withColumnsRenamed({"query_index": "user_index", "target_index": "item_index"})


def by_table(split: Split, table: DataFrame, k: int) -> DataFrame:
    """Lists of what the click table has; table: `user_index`, `item_index`, `score`."""
    return best_of(table, split, k)


def by_both(split: Split, corpus: Corpus, field: DataFrame, words: DataFrame, table: DataFrame, k: int) -> DataFrame:
    """Words and table together; words: the lists of `by_words` by `field`.

    What is among the best is so by words alone, or it is in the table: nothing else need be scored.
    """
    own = words.select("user_index", "item_index", F.col("score").cast("double").alias("words"))
    told = table.select("user_index", "item_index", F.col("score").cast("double").alias("told"))
    scored = told.join(word_scores(told, corpus, field), on=["user_index", "item_index"], how="left")
    both = own.withColumn("told", F.lit(0.0)).unionByName(scored.select(own.columns + ["told"]))
    best = both.groupBy("user_index", "item_index").agg(
        F.max(F.coalesce("words", F.lit(0.0))).alias("words"), F.max("told").alias("told")
    )
    whole = (F.col("words") + TABLE_WEIGHT * F.col("told")).alias("score")
    return best_of(best.select("user_index", "item_index", whole), split, k)


def word_scores(pairs: DataFrame, corpus: Corpus, field: DataFrame) -> DataFrame:
    """`user_index`, `item_index`, `words`: the score by words of `pairs` that share any."""
    weights = query_weights(corpus.queries).select(
        F.col("query_index").alias("user_index"), "term_index", F.col("weight").alias("share")
    )
    met = pairs.select("user_index", "item_index").join(weights, on="user_index", how="inner")
    met = met.join(field, on=["item_index", "term_index"], how="inner")
    score = exact_sum(F.col("weight") * F.col("share"))
    return met.groupBy("user_index", "item_index").agg(score.alias("words"))
