"""Rank search results by words, by a table of clicks, or by both.

Queries take the part of users in a split: `user_index` is the index of a query.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.ranking.measures import best_of
from synthspark.ranking.split import ASIDE, Split
from synthspark.retrieval import top_k
from synthspark.search.corpus import Corpus, exact_sum, matching, packed_vectors, query_weights

TABLE_WEIGHT = 2.0
"""Weight of a certain click relative to the score by words, which is BM25 divided by the query's information: about 1
to 2 for the whole title of an item."""


def certainty(clicks: Column) -> Column:
    """Return the table score of real clicks, comparable with the probability of virtual clicks: 0.5 for one click."""
    return clicks / (clicks + 1.0)


def by_words(split: Split, corpus: Corpus, field: DataFrame, k: int) -> DataFrame:
    """Rank items by words, as lists for `ranking.measures.measure`. field: `item_index`, `term_index`, `weight`."""
    asked = split.test.select("user_index").distinct()
    seen = split.train.groupBy("user_index").agg(F.collect_set("item_index").alias("exclude"))
    weights = query_weights(corpus.queries).withColumnRenamed("query_index", "user_index")
    vectors = packed_vectors(weights.join(asked, on="user_index", how="left_semi"), "user_index")
    queries = vectors.join(seen, on="user_index", how="left").select(
        F.col("user_index").alias("query_index"), "vector", F.lit(k).alias("k"), "exclude"
    )
    judged = split.items.where(F.col("role") != ASIDE)
    targets = (
        packed_vectors(field, "item_index")
        .join(judged, on="item_index", how="inner")
        .select(F.col("item_index").alias("target_index"), "vector", "role")
    )
    roles = sorted(r["role"] for r in judged.select("role").distinct().collect())
    lists = [top_k(queries, targets.where(F.col("role") == r).drop("role"), kernel=matching)
             .where(F.col("score") > 0).withColumn("role", F.lit(r)) for r in roles]  # fmt: skip
    named = reduce(DataFrame.unionByName, lists)
    return named.withColumnsRenamed({"query_index": "user_index", "target_index": "item_index"})


def by_table(split: Split, table: DataFrame, k: int) -> DataFrame:
    """Rank items by the click table. table: `user_index`, `item_index`, `score`."""
    return best_of(table, split, k)


def by_both(split: Split, corpus: Corpus, field: DataFrame, words: DataFrame, table: DataFrame, k: int) -> DataFrame:
    """Rank items by the sum of word and table scores. words: the lists of `by_words` with `field`.

    A best item is either in these lists or in the table, so no other pairs are scored.
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
    """Return `user_index`, `item_index`, `words`: the score by words of the `pairs` that share a term."""
    weights = query_weights(corpus.queries).select(
        F.col("query_index").alias("user_index"), "term_index", F.col("weight").alias("share")
    )
    met = pairs.select("user_index", "item_index").join(weights, on="user_index", how="inner")
    met = met.join(field, on=["item_index", "term_index"], how="inner")
    score = exact_sum(F.col("weight") * F.col("share"))
    return met.groupBy("user_index", "item_index").agg(score.alias("words"))
