"""Features of a query-item pair for the judge: words, two-tower vectors, and past clicks of the query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix

from synthspark.indexing import uniform
from synthspark.search.corpus import SCALE, Corpus, exact_sum, heaviest, indicator, tfidf, to_unit_length

WORDS = ("bm25", "bm25_share", "coverage", "missing_terms", "rarest_missing", "query_terms", "item_terms",
         "missing_numbers", "last_term", "translated", "least_translated", "tower")  # fmt: skip
"""Features that every query has."""
HISTORY = ("alike", "alike_share", "like_clicked", "tower_like_clicked", "clicks", "tower_above_mean",
           "bm25_above_mean")  # fmt: skip
"""Features of queries with clicks; NaN for other queries."""
NAMES = [*WORDS, *HISTORY]
"""All features, in order."""
MAX_CLICKED = 50
"""Maximum number of clicked items that represent a query, drawn at random."""
CENTROID_TERMS = 48
"""Maximum number of terms in the centroid of a query's clicked items."""

Floats = npt.NDArray[np.float32]
PAIR = ["query_index", "item_index"]


def query_payload(corpus: Corpus, query_vectors: DataFrame) -> DataFrame:
    """Return `query_index`, `q`: the inputs of the features that depend on the query alone, not on clicks."""
    terms = F.sort_array(F.collect_list(F.struct("term_index", F.col("idf").cast("float").alias("idf"), "digit")))
    last = F.max_by("term_index", "position")
    listed = corpus.queries.groupBy("query_index").agg(terms.alias("t"), last.alias("last"))
    q = F.struct(
        F.col("t.term_index").alias("terms"), F.col("t.idf").alias("idf"), F.col("t.digit").alias("digit"), "last",
        "vector",
    )  # fmt: skip
    return listed.join(query_vectors, on="query_index", how="inner").select("query_index", q.alias("q"))


def item_payload(corpus: Corpus, expansion: DataFrame, item_vectors: DataFrame) -> DataFrame:
    """Return `item_index`, `i`: the inputs of the features that depend on the item alone."""
    tf = tfidf(corpus.items).withColumnRenamed("weight", "tfidf")
    both = corpus.items.join(tf, on=["item_index", "term_index"], how="inner")
    terms = F.sort_array(F.collect_list(F.struct(
        "term_index", F.col("weight").cast("float").alias("bm25"), F.col("tfidf").cast("float").alias("tfidf")
    )))  # fmt: skip
    listed = both.groupBy("item_index").agg(terms.alias("t"), F.first("length").cast("int").alias("length"))
    more = expansion.groupBy("item_index").agg(
        F.sort_array(F.collect_list(F.struct("term_index", F.col("tf").cast("float").alias("tf")))).alias("e")
    )
    i = F.struct(
        F.col("t.term_index").alias("terms"), F.col("t.bm25").alias("bm25"), F.col("t.tfidf").alias("tfidf"),
        F.col("e.term_index").alias("translated"), F.col("e.tf").alias("translated_weights"), "length", "vector",
    )  # fmt: skip
    joined = listed.join(item_vectors, on="item_index", how="inner").join(more, on="item_index", how="left")
    return joined.select("item_index", i.alias("i"))


def histories(corpus: Corpus, clicks: DataFrame, queries: DataFrame, item_payloads: DataFrame) -> DataFrame:
    """Return `query_index`, `h`: the inputs of the features from past clicks. queries: result of `query_payload`."""
    order = Window.partitionBy("query_index").orderBy(uniform(*PAIR), "item_index")
    drawn = clicks.select(PAIR).withColumn("_n", F.row_number().over(order)).where(F.col("_n") <= MAX_CLICKED)
    breadth = clicks.groupBy("query_index").agg(F.count(F.lit(1)).cast("float").alias("clicks"))
    titles = drawn.join(tfidf(corpus.items), on="item_index", how="inner").groupBy("query_index", "term_index")
    summed = titles.agg(exact_sum(F.col("weight")).alias("weight"))
    kept = heaviest(summed, "query_index", CENTROID_TERMS, "weight")
    centroid = (
        to_unit_length(kept, "query_index")
        .groupBy("query_index")
        .agg(
            F.sort_array(F.collect_list(F.struct("term_index", F.col("weight").cast("float").alias("weight")))).alias(
                "c"
            )
        )
    )
    own = item_payloads.select("item_index", F.col("i.vector").alias("vector"))
    vectors = (
        drawn.join(own, on="item_index", how="inner")
        .groupBy("query_index")
        .agg(F.sort_array(F.collect_list(F.struct("item_index", "vector"))).alias("m"))
    )
    zero = F.transform(F.element_at("m", 1)["vector"], lambda x: x.cast("double") * 0.0)
    total = F.aggregate("m", zero, lambda acc, m: F.zip_with(acc, m["vector"], lambda a, b: a + b))
    means = vectors.select("query_index", total.cast("array<float>").alias("direction"))
    pairs = drawn.join(queries, on="query_index", how="inner").join(item_payloads, on="item_index", how="inner")
    scores = features_of(pairs.withColumn("h", F.lit(None)).withColumn("alike", F.lit(None).cast("float")))
    whole = {name: F.avg((F.element_at("features", NAMES.index(name) + 1) * SCALE).cast("long")) / SCALE
             for name in ("tower", "bm25")}  # fmt: skip
    usual = scores.groupBy("query_index").agg(*[c.cast("float").alias(f"usual_{n}") for n, c in whole.items()])
    h = F.struct(F.col("c.term_index").alias("terms"), F.col("c.weight").alias("weights"), "direction", "clicks",
                 "usual_tower", "usual_bm25")  # fmt: skip
    joined = breadth.join(centroid, on="query_index", how="inner").join(means, on="query_index", how="inner")
    return joined.join(usual, on="query_index", how="inner").select("query_index", h.alias("h"))


def joined(pairs: DataFrame, queries: DataFrame, items: DataFrame, past: DataFrame, alike: DataFrame) -> DataFrame:
    """Join all payloads to `pairs` (`query_index`, `item_index`, further columns); `h` is null without past clicks."""
    rows = pairs.join(queries, on="query_index", how="inner").join(items, on="item_index", how="inner")
    return rows.join(past, on="query_index", how="left").join(alike, on=PAIR, how="left")


def features_of(rows: DataFrame) -> DataFrame:
    """Replace the payloads in `rows` (result of `joined`) by `features` array<float>, in the order of NAMES."""
    kept = [c for c in rows.columns if c not in ("q", "i", "h", "alike")]
    schema = ", ".join(f"{c} {rows.schema[c].dataType.simpleString()}" for c in kept)

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                found = matrix_of(batch)
                values = pa.array(found.reshape(-1), pa.float32())
                starts = pa.array(np.arange(0, found.size + 1, len(NAMES)), pa.int32())
                arrays = [batch.column(c) for c in kept] + [pa.ListArray.from_arrays(starts, values)]
                yield pa.RecordBatch.from_arrays(arrays, names=[*kept, "features"])

    return rows.mapInArrow(apply, f"{schema}, features array<float>")


def matrix_of(batch: pa.RecordBatch) -> Floats:
    """Compute the features, shape (n, len(NAMES)), of a batch of joined pairs."""
    q, i = batch.column("q"), batch.column("i")
    size = 1 + max(_largest(q, "terms"), _largest(i, "terms"), _largest(i, "translated"), _largest_of(batch))
    idf = _sparse(q, "terms", "idf", size)
    asked, bm25 = indicator(idf), _sparse(i, "terms", "bm25", size)
    titles, digits = indicator(bm25), _sparse(q, "terms", "digit", size)
    information = np.maximum(_sums(idf), 1e-6)
    hits = _dots(asked, titles)
    missing = idf - idf.multiply(titles)
    last = _numbers(q, "last").astype(np.int64)
    last_term = csr_matrix((np.ones(len(last), np.float32), last, np.arange(len(last) + 1)), shape=asked.shape)
    expansion = _sparse(i, "translated", "translated_weights", size)
    translated = asked.multiply(expansion).tocsr()
    lengths = _sums(asked)
    tower = np.einsum("nd,nd->n", _vectors(q, "vector"), _vectors(i, "vector"))
    score = _dots(asked, bm25)
    columns: list[npt.NDArray[Any]] = [
        score, score / information, _dots(idf, titles) / information, lengths - hits,
        np.asarray(missing.tocsr().max(axis=1).todense()).ravel(), lengths, _numbers(i, "length"),
        _sums(digits) - _dots(digits, titles), _dots(last_term, titles), _dots(idf, expansion) / information,
        _smallest_stored(translated, lengths), tower,
    ]  # fmt: skip
    return np.column_stack([*columns, *_history(batch, tower, score, size)]).astype(np.float32)


def _history(batch: pa.RecordBatch, tower: Floats, score: Floats, size: int) -> list[npt.NDArray[Any]]:
    """Compute the features HISTORY, which depend on past clicks of the query."""
    if pa.types.is_null(batch.schema.field("h").type):
        return [np.full(batch.num_rows, np.nan)] * len(HISTORY)
    h, i = batch.column("h"), batch.column("i")
    known = np.asarray(h.is_valid().to_numpy(zero_copy_only=False))
    breadth = _numbers(h, "clicks")
    alike = np.nan_to_num(batch.column("alike").to_numpy(zero_copy_only=False).astype(np.float32))
    centroid = _dots(_sparse(h, "terms", "weights", size), _sparse(i, "terms", "tfidf", size))
    direction, vectors = _vectors(h, "direction", len(known)), _vectors(i, "vector")
    length = np.maximum(np.linalg.norm(direction, axis=1), 1e-9) if direction.size else np.ones(len(known))
    meant = (direction * vectors).sum(axis=1) / length if direction.size else np.zeros(len(known))
    columns = [alike, alike / np.sqrt(1 + np.nan_to_num(breadth)), centroid, meant, breadth,
               tower - _numbers(h, "usual_tower"), score - _numbers(h, "usual_bm25")]  # fmt: skip
    return [np.where(known, column, np.nan) for column in columns]


def _sparse(rows: pa.StructArray, ids: str, weights: str, size: int) -> csr_matrix:
    """Convert the term indices and weights of each row to a sparse matrix (n, size)."""
    listed, valued = rows.field(ids), rows.field(weights)
    lengths = _lengths(rows, listed)
    columns = _flat(rows, listed).astype(np.int32)
    values = _flat(rows, valued).astype(np.float32)
    return csr_matrix((values, columns, np.concatenate([[0], np.cumsum(lengths)])), shape=(len(rows), size))


def _lengths(rows: pa.StructArray, lists: pa.ListArray) -> npt.NDArray[np.int64]:
    there = rows.is_valid().to_numpy(zero_copy_only=False)
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(there, lengths, 0)


def _flat(rows: pa.StructArray, lists: pa.ListArray) -> npt.NDArray[Any]:
    """Concatenate the lists of the non-null rows."""
    if rows.null_count:
        lists = lists.filter(rows.is_valid())
    flat: npt.NDArray[Any] = lists.flatten().to_numpy(zero_copy_only=False)
    return flat


def _vectors(rows: pa.StructArray, name: str, size: int | None = None) -> Floats:
    """Return the vectors of the rows, shape (n, D); zeros for null rows."""
    lists = rows.field(name)
    flat = _flat(rows, lists).astype(np.float32)
    there = rows.is_valid().to_numpy(zero_copy_only=False)
    found = flat.reshape(int(there.sum()), -1) if len(flat) else np.zeros((0, 0), np.float32)
    if there.all():
        return found
    whole = np.zeros((len(rows), found.shape[1]), np.float32)
    whole[there] = found
    return whole


def _numbers(rows: pa.StructArray, name: str) -> npt.NDArray[np.float32]:
    found: Floats = rows.field(name).to_numpy(zero_copy_only=False).astype(np.float32)
    return found


def _largest(rows: pa.StructArray, name: str) -> int:
    flat = _flat(rows, rows.field(name))
    return int(flat.max()) if len(flat) else 0


def _largest_of(batch: pa.RecordBatch) -> int:
    return 0 if pa.types.is_null(batch.schema.field("h").type) else _largest(batch.column("h"), "terms")


def _dots(left: csr_matrix, right: csr_matrix) -> Floats:
    return np.asarray(left.multiply(right).sum(axis=1), np.float32).ravel()


def _sums(rows: csr_matrix) -> Floats:
    return np.asarray(rows.sum(axis=1), np.float32).ravel()


def _smallest_stored(rows: csr_matrix, lengths: Floats) -> Floats:
    """Return the smallest stored value of each row; 0 if fewer than its `lengths` terms have a value."""
    found = np.zeros(rows.shape[0], np.float32)
    whole = np.diff(rows.indptr) >= np.maximum(lengths, 1)
    if rows.nnz:
        starts = rows.indptr[:-1][whole]
        found[whole] = np.minimum.reduceat(rows.data, starts) if len(starts) == len(whole) else [
            rows.data[a:b].min() for a, b in zip(starts, rows.indptr[1:][whole], strict=True)
        ]  # fmt: skip
    return found
