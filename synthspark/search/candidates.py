"""Which queries an item may be the answer of: by words, by similar items, by the two-tower network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.judging.features import sparse_products
from synthspark.retrieval import Kernel, inner_products, tie, top_k
from synthspark.search.corpus import SCALE, Corpus, matching, ones, packed, query_weights, tfidf, unpacked

PER_SOURCE = 20
"""Queries that each source proposes for an item."""
NEIGHBOURS = 50
"""Similar items that are looked at."""
FOR_QUERY = 40
"""Items that each source proposes for a query that nobody has typed before."""

Floats = npt.NDArray[np.float32]


class Candidates(NamedTuple):
    """Proposed pairs."""

    pairs: DataFrame
    """`item_index`, `query_index`, distinct."""
    neighbours: DataFrame
    """`item_index`, `query_index`, `alike` float: clicks of similar items, squared similarities summed; of all pairs
    that have any."""


def for_items(
    items: DataFrame, corpus: Corpus, clicks: DataFrame, query_vectors: DataFrame, item_vectors: DataFrame
) -> Candidates:
    """Known queries proposed for `items` (`item_index`), each source PER_SOURCE.

    clicks: `query_index`, `item_index` of what is known; query_vectors, item_vectors: of the two-tower network.
    """
    known = clicks.select("query_index").distinct()
    asked = query_weights(corpus.queries).join(known, on="query_index", how="left_semi")
    titles = corpus.items.join(items, on="item_index", how="left_semi")
    words = _best(packed(titles, "item_index"), packed(_shares(corpus, asked), "query_index"), PER_SOURCE, _lexical)
    meant = query_vectors.join(known, on="query_index", how="left_semi")
    tower = _best(item_vectors.join(items, on="item_index", how="left_semi"), meant, PER_SOURCE)
    alike = similar_items_queries(items, corpus, clicks)
    breadth = clicks.groupBy("query_index").agg(F.count(F.lit(1)).alias("breadth"))
    score = F.col("alike") / F.sqrt(1.0 + F.col("breadth"))
    best = Window.partitionBy("item_index").orderBy(score.desc(), tie("item_index", "query_index"))
    ranked = alike.join(breadth, on="query_index", how="inner").withColumn("rank", F.row_number().over(best))
    near = ranked.where(F.col("rank") <= PER_SOURCE).select("item_index", "query_index")
    pairs = words.unionByName(tower).unionByName(near).distinct()
    return Candidates(pairs, alike)


def similar_items_queries(items: DataFrame, corpus: Corpus, clicks: DataFrame) -> DataFrame:
    """See `Candidates.neighbours`."""
    weights = tfidf(corpus.items)
    warm = clicks.select("item_index").distinct()
    own = packed(weights.join(items, on="item_index", how="left_semi"), "item_index")
    others = packed(weights.join(warm, on="item_index", how="left_semi"), "item_index")
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
    """`item_index`, `query_index`: items proposed for `queries` (`query_index`), each source FOR_QUERY.

    field: `item_index`, `term_index`, `weight` of what is searched.
    """
    asked = query_weights(corpus.queries).join(queries, on="query_index", how="left_semi")
    words = _best(packed(asked, "query_index"), packed(field, "item_index"), FOR_QUERY, matching)
    tower = _best(query_vectors.join(queries, on="query_index", how="left_semi"), item_vectors, FOR_QUERY)
    return words.unionByName(tower).distinct().select("item_index", "query_index")


def _best(queries: DataFrame, targets: DataFrame, k: int, kernel: Kernel = inner_products) -> DataFrame:
    """The best pairs by their own names; queries and targets: index and `vector`."""
    of, to = queries.columns[0], targets.columns[0]
    asked = queries.select(F.col(of).alias("query_index"), "vector", F.lit(k).alias("k"),
                           F.lit(None).cast("array<int>").alias("exclude"))  # fmt: skip
    named = targets.select(F.col(to).alias("target_index"), "vector")
    found = top_k(asked, named, kernel=kernel)
    return found.where(F.col("score") > 0).select(F.col("query_index").alias(of), F.col("target_index").alias(to))


def _shares(corpus: Corpus, weights: DataFrame) -> DataFrame:
    """`query_index`, `term_index`, `weight`: the share of each term in what a query says."""
    idf = corpus.queries.select("query_index", "term_index", "idf")
    joined = weights.join(idf, on=["query_index", "term_index"], how="inner")
    return joined.select("query_index", "term_index", (F.col("weight") * F.col("idf")).alias("weight"))


def _lexical(items: Floats, queries: Floats) -> Floats:
    """BM25 of the item for the query, times the square of the share of the query's information that it has."""
    titles, asked = unpacked(items), unpacked(queries)
    scores: Floats = sparse_products(titles, ones(asked)) * sparse_products(ones(titles), asked) ** 2
    return scores
