"""Build an inverted index of the terms of titles and queries, and compute BM25, all in Spark SQL.

Counts and joins use long tables (one row per document and term); `packed_vectors` converts these to vectors for
`retrieval.top_k`, which compares all queries with all items.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix

from synthspark.frames import of_each
from synthspark.indexing import with_index
from synthspark.judging.features import sparse_products
from synthspark.search.log import SearchLog
from synthspark.search.words import search_terms

K1, B = 1.2, 0.5
"""BM25 (Robertson, Zaragoza 2009, doi:10.1561/1500000019): saturation of repeated terms, effect of length."""
MAX_QUERY_TERMS, MAX_ITEM_TERMS = 16, 64
"""Maximum number of terms per query and per item; the terms with the largest idf are kept."""
SCALE = 1_000_000
"""Factor that converts numbers to integers before sums over rows, so that the order of rows has no effect."""

Floats = npt.NDArray[np.float32]


class Corpus(NamedTuple):
    """Terms of queries and items; does not depend on clicks."""

    lexicon: DataFrame
    """`term`, `term_index` int, `idf` double, `digit` boolean: terms that occur in at least two queries or items."""
    queries: DataFrame
    """`query_index`, `term_index`, `position` int, `idf`, `digit`: one row per term, those with the largest idf."""
    items: DataFrame
    """`item_index`, `term_index`, `tf` long, `length` long (of all terms of the item), `idf`, `weight` (BM25)."""


def corpus_of(log: SearchLog, language: str | None, keep: Callable[[str, DataFrame], DataFrame]) -> Corpus:
    """Build the corpus of a log's queries and items. keep: materialises a table (`Publication.keep`)."""
    items = keep("item_terms", terms_of(log.items, "item_index", "text", language))
    queries = keep("query_terms", terms_of(log.queries, "query_index", "query", language))
    lexicon = keep("lexicon", lexicon_of(items, queries))
    return Corpus(
        lexicon,
        keep("queries", heaviest(queries.join(lexicon, on="term", how="inner"), "query_index", MAX_QUERY_TERMS, "idf")
             .select("query_index", "term_index", "position", "idf", "digit")),
        keep("items", bm25(heaviest(items.join(lexicon, on="term", how="inner"), "item_index", MAX_ITEM_TERMS, "idf")
             .select("item_index", "term_index", "tf", "length", "idf"))),
    )  # fmt: skip


def terms_of(texts: DataFrame, key: str, column: str, language: str | None) -> DataFrame:
    """Return `key`, `term`, `tf`, `position` (of the last occurrence) and `length` (number of terms of the text)."""
    terms = of_each(partial(search_terms, language=language), F.col(column), "array<string>")
    listed = texts.select(key, terms.alias("terms")).where(F.size("terms") > 0)
    spread = listed.select(key, F.size("terms").cast("long").alias("length"), F.posexplode("terms"))
    grouped = spread.groupBy(key, F.col("col").alias("term"))
    return grouped.agg(F.count(F.lit(1)).alias("tf"), F.max("pos").alias("position"), F.first("length").alias("length"))


def words_of_terms(texts: DataFrame, column: str, language: str | None) -> DataFrame:
    """Return `term`, `word`: the spelling in which a term occurs most often in `texts`; of equals, the first by name.

    The terms of a text are the stems of its words, in the same order.
    """
    stems, words = (of_each(partial(search_terms, language=of), F.col(column), "array<string>")
                    for of in (language, None))  # fmt: skip
    listed = texts.select(stems.alias("term"), words.alias("word"))
    spread = listed.select(F.explode(F.arrays_zip("term", "word")).alias("pair")).select("pair.term", "pair.word")
    counted = spread.groupBy("term", "word").agg(F.count(F.lit(1)).alias("n"))
    best = Window.partitionBy("term").orderBy(F.col("n").desc(), "word")
    return counted.withColumn("_place", F.row_number().over(best)).where(F.col("_place") == 1).select("term", "word")


def lexicon_of(items: DataFrame, queries: DataFrame) -> DataFrame:
    """Build `Corpus.lexicon`. idf = log(1 + (N - n + .5) / (n + .5)) over the N items with a text, as in Lucene."""
    n = F.coalesce("n", F.lit(0))
    in_items = items.groupBy("term").agg(F.count(F.lit(1)).alias("n"))
    in_queries = queries.groupBy("term").agg(F.count(F.lit(1)).alias("m"))
    shared = in_items.join(in_queries, on="term", how="full").where(n + F.coalesce("m", F.lit(0)) > 1)
    total = F.broadcast(items.agg(F.count_distinct("item_index").alias("total")))
    idf = F.log1p((F.col("total") - n + 0.5) / (n + 0.5)).alias("idf")
    indexed = with_index(shared.crossJoin(total), "term", "term_index")
    return indexed.select("term", "term_index", idf, F.col("term").rlike("[0-9]").alias("digit"))


def bm25(terms: DataFrame, b: float = B, key: str = "item_index") -> DataFrame:
    """Add `weight` to `terms` (`key`, `term_index`, `tf`, `length`, `idf`): BM25 score for a query with the term."""
    lengths = terms.groupBy(key).agg(F.first("length").alias("length"))
    mean = F.broadcast(lengths.agg(F.avg("length").alias("_mean")))
    saturated = saturation(F.col("tf"), F.col("length") / F.greatest("_mean", F.lit(1e-9)), b)
    return terms.crossJoin(mean).withColumn("weight", F.col("idf") * saturated).drop("_mean")


def saturation(tf: Column, relative_length: Column, b: float) -> Column:
    """Return BM25's term frequency factor. relative_length: length of the document divided by the mean length."""
    return tf * (K1 + 1) / (tf + K1 * (1 - b + b * relative_length))


def exact_sum(value: Column) -> Column:
    """Return an aggregate: the sum of values cut to millionths, independent of the order of rows."""
    return _millionths(value) / SCALE


def _millionths(value: Column) -> Column:
    return F.sum((value * SCALE).cast("long"))


def heaviest(rows: DataFrame, key: str, most: int, by: str) -> DataFrame:
    """Return the `most` rows with the largest `by` per `key`; ties go to the smaller `term_index`."""
    best = Window.partitionBy(key).orderBy(F.col(by).desc(), "term_index")
    return rows.withColumn("_place", F.row_number().over(best)).where(F.col("_place") <= most).drop("_place")


def tfidf(items: DataFrame) -> DataFrame:
    """Return `item_index`, `term_index`, `weight`: (1 + log tf) x idf, scaled to length 1 per item."""
    raw = items.select("item_index", "term_index", ((1 + F.log("tf")) * F.col("idf")).alias("weight"))
    return to_unit_length(raw, "item_index")


def to_unit_length(weights: DataFrame, key: str) -> DataFrame:
    """Return `key`, `term_index`, `weight` with weights scaled to length 1 per key."""
    squares = _millionths(F.col("weight") ** 2).over(Window.partitionBy(key))
    scaled = F.col("weight") / F.sqrt(F.greatest(squares, F.lit(1)) / SCALE)
    return weights.select(key, "term_index", scaled.alias("weight"))


def query_weights(queries: DataFrame) -> DataFrame:
    """Return `query_index`, `term_index`, `weight`: 1 / (sum of idf of the query).

    With these weights a score is BM25 relative to the query's information, comparable between queries.
    """
    whole = _millionths(F.col("idf")).over(Window.partitionBy("query_index")) / SCALE
    return queries.select("query_index", "term_index", (1 / F.greatest(whole, F.lit(1e-6))).alias("weight"))


def packed_vectors(weights: DataFrame, key: str) -> DataFrame:
    """Return `key` and `vector` array<float>: term indices, then as many weights.

    Indices are padded with -1 and weights with 0 to the longest row.
    """
    listed = weights.groupBy(key).agg(
        F.sort_array(F.collect_list(F.struct("term_index", F.col("weight").cast("float").alias("weight")))).alias("t")
    )
    width = F.broadcast(listed.agg(F.max(F.size("t")).alias("width")))
    lacking = (F.col("width") - F.size("t")).cast("int")
    ids = F.concat(F.transform("t", lambda t: t["term_index"].cast("float")),
                   F.array_repeat(F.lit(-1.0).cast("float"), lacking))  # fmt: skip
    values = F.concat(F.transform("t", lambda t: t["weight"]), F.array_repeat(F.lit(0.0).cast("float"), lacking))
    return listed.crossJoin(width).select(key, F.concat(ids, values).alias("vector"))


def matching(queries: Floats, targets: Floats) -> Floats:
    """Compute inner products of packed vectors over their common terms; a kernel for `retrieval.top_k`."""
    return sparse_products(unpacked(queries), unpacked(targets))


def unpacked(vectors: Floats) -> csr_matrix:
    """Convert packed vectors (n, 2L) to a sparse matrix (n, terms)."""
    width = vectors.shape[1] // 2
    ids, weights = vectors[:, :width].astype(np.int32), vectors[:, width:]
    known = ids >= 0
    starts = np.concatenate([[0], known.sum(axis=1).cumsum()])
    size = int(ids.max(initial=0)) + 1
    return csr_matrix((weights[known], ids[known], starts), shape=(len(vectors), size))


def indicator(rows: csr_matrix) -> csr_matrix:
    """Return the matrix with 1 for every stored value."""
    return csr_matrix((np.ones_like(rows.data), rows.indices, rows.indptr), shape=rows.shape)
