"""Propose query-item pairs by words, by similar items and by the two-tower network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.judging.features import sparse_products
from synthspark.retrieval import Kernel, inner_products, tie_breaker, top_k
from synthspark.search.corpus import SCALE, Corpus, indicator, matching, packed_vectors, query_weights, tfidf, unpacked

PER_SOURCE = 20
"""Maximum number of queries that each source proposes per item."""
NEIGHBOURS = 50
"""Number of similar items whose queries are considered."""
FOR_QUERY = 40
"""Maximum number of items that each source proposes per query without clicks."""

Floats = npt.NDArray[np.float32]


class Candidates(NamedTuple):
    """Proposed pairs."""

    pairs: DataFrame
    """`item_index`, `query_index`, distinct."""
    neighbours: DataFrame
    """`item_index`, `query_index`, `alike` float: sum of squared similarities to the items clicked for the query, for
    all pairs with such items."""


def for_items(
    items: DataFrame, corpus: Corpus, clicks: DataFrame, query_vectors: DataFrame, item_vectors: DataFrame
) -> Candidates:
    """Propose known queries for `items` (`item_index`), up to PER_SOURCE per source and item.

    clicks: known clicks (`query_index`, `item_index`); query_vectors, item_vectors: vectors of the two-tower network.
    """
    known = clicks.select("query_index").distinct()
    asked = query_weights(corpus.queries).join(known, on="query_index", how="left_semi")
    titles = corpus.items.join(items, on="item_index", how="left_semi")
    shares = packed_vectors(_shares(corpus, asked), "query_index")
    words = _best(packed_vectors(titles, "item_index"), shares, PER_SOURCE, _lexical)
    meant = query_vectors.join(known, on="query_index", how="left_semi")
    tower = _best(item_vectors.join(items, on="item_index", how="left_semi"), meant, PER_SOURCE)
    alike = similar_items_queries(items, corpus, clicks)
    breadth = clicks.groupBy("query_index").agg(F.count(F.lit(1)).alias("breadth"))
    score = F.col("alike") / F.sqrt(1.0 + F.col("breadth"))
    best = Window.partitionBy("item_index").orderBy(score.desc(), tie_breaker("item_index", "query_index"))
    ranked = alike.join(breadth, on="query_index", how="inner").withColumn("rank", F.row_number().over(best))
    near = ranked.where(F.col("rank") <= PER_SOURCE).select("item_index", "query_index")
    pairs = words.unionByName(tower).unionByName(near).distinct()
    return Candidates(pairs, alike)


def similar_items_queries(items: DataFrame, corpus: Corpus, clicks: DataFrame) -> DataFrame:
    """Compute `Candidates.neighbours`."""
    weights = tfidf(corpus.items)
    warm = clicks.select("item_index").distinct()
    own = packed_vectors(weights.join(items, on="item_index", how="left_semi"), "item_index")
    others = packed_vectors(weights.join(warm, on="item_index", how="left_semi"), "item_index")
    queries = own.select(F.col("item_index").alias("query_index"), "vector", F.lit(NEIGHBOURS).alias("k"),
                         F.array(F.col("item_index")).alias("exclude"))  # fmt: skip
    targets = others.select(F.col("item_index").alias("target_index"), "vector")
    near = top_k(queries, targets, kernel=matching).where(F.col("score") > 0)
    near = near.select(F.col("query_index").alias("item_index"), F.col("target_index").alias("neighbour"),
                       (F.col("score").cast("double") ** 2 * SCALE).cast("long").alias("squared"))  # fmt: skip
    of_neighbour = clicks.select("query_index", F.col("item_index").alias("neighbour"))
    met = near.join(of_neighbour, on="neighbour", how="inner").groupBy("item_index", "query_index")
    return met.agg((F.sum("squared") / SCALE).cast("float").alias("alike"))


def for_queries(
    queries: DataFrame, field: DataFrame, corpus: Corpus, query_vectors: DataFrame, item_vectors: DataFrame
) -> DataFrame:
    """Propose items for `queries` (`query_index`), up to FOR_QUERY per source and query: `item_index`, `query_index`.

    field: searched terms of the items (`item_index`, `term_index`, `weight`).
    """
    asked = query_weights(corpus.queries).join(queries, on="query_index", how="left_semi")
    words = _best(packed_vectors(asked, "query_index"), packed_vectors(field, "item_index"), FOR_QUERY, matching)
    tower = _best(query_vectors.join(queries, on="query_index", how="left_semi"), item_vectors, FOR_QUERY)
    return words.unionByName(tower).distinct().select("item_index", "query_index")


def _best(queries: DataFrame, targets: DataFrame, k: int, kernel: Kernel = inner_products) -> DataFrame:
    """Return the best pairs under the index names of `queries` and `targets`, which have an index and `vector`."""
    of, to = queries.columns[0], targets.columns[0]
    asked = queries.select(F.col(of).alias("query_index"), "vector", F.lit(k).alias("k"),
                           F.lit(None).cast("array<int>").alias("exclude"))  # fmt: skip
    named = targets.select(F.col(to).alias("target_index"), "vector")
    found = top_k(asked, named, kernel=kernel)
    return found.where(F.col("score") > 0).select(F.col("query_index").alias(of), F.col("target_index").alias(to))


def _shares(corpus: Corpus, weights: DataFrame) -> DataFrame:
    """Return `query_index`, `term_index`, `weight`: the share of each term in the information (idf) of its query."""
    idf = corpus.queries.select("query_index", "term_index", "idf")
    joined = weights.join(idf, on=["query_index", "term_index"], how="inner")
    return joined.select("query_index", "term_index", (F.col("weight") * F.col("idf")).alias("weight"))


def _lexical(items: Floats, queries: Floats) -> Floats:
    """Return BM25 of item and query, times the squared share of the query's information that the item contains."""
    titles, asked = unpacked(items), unpacked(queries)
    scores: Floats = sparse_products(titles, indicator(asked)) * sparse_products(indicator(titles), asked) ** 2
    return scores
