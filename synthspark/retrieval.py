"""Exact top-k by inner product (or another kernel), in blocks.

Recommending, judging and placing synthetic events need the same: for each query vector the k target vectors with the
largest inner product, some of them excluded. Queries and targets are packed into blocks of fixed index ranges; each
pair of blocks is one matrix product in an executor's Python worker, which returns only each query's best. No table of
size queries x targets ever exists. A block's content depends on indices alone, so that results do not depend on
partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

QUERY_BLOCK = 512
TARGET_BLOCK = 4096
GOLDEN = (5**0.5 - 1) / 2
MIXING, MIXED = 2_654_435_761, 1 << 31
"""Ties are broken by a multiplicative hash of query and target (Knuth, TAOCP 3, 6.4), for each query a permutation of
the targets: ((query x MIXING mod MIXED) XOR target) x MIXING mod MIXED."""
TINY = 1e-6
"""Replaces scores of 0 or less if targets are drawn in proportion to their scores."""

_CANDIDATES = "query_index int, target_index int, score float"


Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Kernel = Callable[[Floats, Floats], Floats]
"""Scores (Q, T) of query rows (Q, n) against target rows (T, n)."""


@dataclass(frozen=True)
class Draw:
    """Draw targets without replacement, (nearly) in proportion to score^sharpness; scores of 0 or less come last.

    The top k of the logarithms plus Gumbel noise are such draws (Kool et al. 2019, arXiv:1903.06059). The noise depends
    on the seed and the indices only.
    """

    seed: int
    sharpness: float = 1.0


def inner_products(queries: Floats, targets: Floats) -> Floats:
    """Compute inner products (Q, T), the default kernel."""
    return queries @ targets.T


def top_k(
    queries: DataFrame, targets: DataFrame, draw: Draw | None = None, kernel: Kernel = inner_products
) -> DataFrame:
    """Find the best targets of every query.

    queries: `query_index` int, `vector` array<float>, `k` int, `exclude` array<int> (target indices; may be null).
    targets: `target_index` int, `vector` array<float> of the same length.
    draw: draw the k targets by their scores instead of ranking them.
    Returns `query_index`, `target_index`, `score` float, `rank` int from 1. Ties are broken in an order per query, so
    that equal targets share the queries. A query has fewer than k rows if fewer targets are left.
    """
    packed_queries = _packed(queries, "query_index", QUERY_BLOCK, ["query_index", "vector", "k", "exclude"], "q")
    packed_targets = _packed(targets, "target_index", TARGET_BLOCK, ["target_index", "vector"], "t")
    pairs = packed_queries.crossJoin(packed_targets)
    candidates = pairs.mapInArrow(partial(_score_blocks, draw=draw, kernel=kernel), _CANDIDATES)
    best = Window.partitionBy("query_index").orderBy(F.col("score").desc(), tie_breaker("query_index", "target_index"))
    ranked = candidates.withColumn("rank", F.row_number().over(best))
    wanted = queries.select("query_index", F.col("k").alias("_k"))
    within = ranked.join(wanted, on="query_index", how="inner").where(F.col("rank") <= F.col("_k"))
    return within.select("query_index", "target_index", "score", "rank")


def tie_breaker(query: str, target: str) -> Column:
    """Return the sort key of targets with equal scores. query, target: names of the index columns."""
    own = F.pmod(F.col(query).cast("long") * MIXING, F.lit(MIXED))
    return F.pmod(F.col(target).cast("long").bitwiseXOR(own) * MIXING, F.lit(MIXED))


def with_score(pairs: DataFrame, users: DataFrame, made: DataFrame, by: Mapping[str, str] | None = None) -> DataFrame:
    """Add `score` to `pairs`, the inner product of both sides' `vector`; pairs of unknown entities are dropped.

    by: name of a score -> vector column of `made`; default: `score` -> `vector`.
    """
    by = by or {"score": "vector"}
    left = users.select("user_index", F.col("vector").alias("_user"))
    right = made.select("item_index", *[F.col(vector).alias(f"_{name}") for name, vector in by.items()])
    joined = pairs.join(left, on="user_index", how="inner").join(right, on="item_index", how="inner")
    scores = {name: _inner_product("_user", f"_{name}") for name in by}
    return joined.withColumns(scores).drop("_user", *[f"_{name}" for name in by])


def _inner_product(left: str, right: str) -> Column:
    products = F.zip_with(left, right, lambda a, b: a.cast("double") * b)
    return F.aggregate(products, F.lit(0.0), lambda total, x: total + x).cast("float")


def _packed(df: DataFrame, index: str, size: int, columns: list[str], name: str) -> DataFrame:
    rows = F.sort_array(F.collect_list(F.struct(*columns))).alias(name)
    return df.groupBy(F.floor(F.col(index) / size).alias(f"{name}_block")).agg(rows).select(name)


class _Best(NamedTuple):
    """The best targets so far of the queries of a block, as parallel arrays in any order."""

    row: Ints
    """Row of the query in its block."""
    target: Ints
    score: Floats
    tie: Ints
    """Of equal scores, the one with the smaller value is kept."""

    def among(self, k: Ints) -> _Best:
        """Return the best `k` of each query. k: (Q,)."""
        order = np.lexsort((self.tie, -self.score, self.row))
        row = self.row[order]
        kept = order[np.arange(len(row)) - np.searchsorted(row, row) < k[row]]
        return _Best(self.row[kept], self.target[kept], self.score[kept], self.tie[kept])

    def and_those(self, other: _Best) -> _Best:
        """Concatenate both."""
        return _Best(*(np.concatenate(both) for both in zip(self, other, strict=True)))


def _score_blocks(batches: Iterable[pa.RecordBatch], draw: Draw | None, kernel: Kernel) -> Iterator[pa.RecordBatch]:
    """Score pairs of blocks; consecutive pairs of the same queries yield only the best targets of all of them."""
    pairs = ((batch.column("q")[row].values, batch.column("t")[row].values)
             for batch in batches for row in range(batch.num_rows))  # fmt: skip
    for query_index, group in groupby(pairs, key=lambda pair: tuple(_numpy(pair[0].field("query_index")))):
        held: _Best | None = None
        for queries, targets in group:
            found, k = _best_of_pair(queries, targets, draw, kernel), _numpy(queries.field("k"))
            held = found if held is None else held.and_those(found).among(k)
        assert held is not None
        yield _candidates(np.asarray(query_index, np.int32)[held.row], held.target, held.score)


def _best_of_pair(queries: Any, targets: Any, draw: Draw | None, kernel: Kernel) -> _Best:
    """Return the best targets of one block for one block of queries: at most k per query."""
    target_index = _numpy(targets.field("target_index"))
    scores = kernel(_matrix(queries.field("vector")), _matrix(targets.field("vector")))
    query_index = _numpy(queries.field("query_index"))
    if draw is not None:
        logits = np.float32(draw.sharpness) * np.log(np.maximum(scores, TINY))
        scores = logits + _gumbel(scores, draw.seed, query_index, target_index)
    _exclude(scores, target_index, queries.field("exclude"))
    k = np.minimum(_numpy(queries.field("k")), len(target_index))
    threshold = np.full((len(k), 1), np.inf, np.float32)
    for width in np.unique(k[k > 0]):
        asked = k == width
        threshold[asked] = np.partition(scores[asked], -width, axis=1)[:, -width, None]
    rows, places = np.nonzero((scores >= threshold) & np.isfinite(scores))  # including all ties with the k-th
    own, found = query_index.astype(np.int64) * MIXING % MIXED, target_index[places]
    tie = (found ^ own[rows]) * MIXING % MIXED
    return _Best(rows.astype(np.int32), found, scores[rows, places], tie.astype(np.int32)).among(k)


def _gumbel(scores: Floats, seed: int, query: npt.NDArray[Any], target: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return standard Gumbel noise of every pair: a query's n-th best target has the n-th number of a golden sequence.

    Such a sequence (fractional parts of start + n x golden ratio) is uniform, and so is every stretch of it: of targets
    with similar scores nearly the expected number is drawn. The start is drawn per query and block of targets.
    """
    block = np.random.SeedSequence([seed & 0xFFFFFFFF, int(query[0]) // QUERY_BLOCK, int(target[0]) // TARGET_BLOCK])
    start = np.random.Generator(np.random.Philox(block)).random(QUERY_BLOCK)[query % QUERY_BLOCK, None]
    place = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    uniform = np.clip((start + GOLDEN * place) % 1.0, 1e-7, 1 - 1e-7)
    noise: npt.NDArray[np.float32] = -np.log(-np.log(uniform)).astype(np.float32)
    return noise


def _exclude(scores: npt.NDArray[np.float32], target_index: npt.NDArray[np.int32], exclude: Any) -> None:
    """Set the scores of excluded targets to minus infinity, in place."""
    lengths = exclude.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    excluded = exclude.flatten().to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    place = np.minimum(np.searchsorted(target_index, excluded), len(target_index) - 1)
    here = target_index[place] == excluded
    scores[rows[here], place[here]] = -np.inf


def _matrix(vectors: Any) -> npt.NDArray[np.float32]:
    flat = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return np.ascontiguousarray(flat.reshape(len(vectors), -1))


def _numpy(column: Any) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def _candidates(query: npt.NDArray[Any], target: npt.NDArray[Any], score: npt.NDArray[Any]) -> pa.RecordBatch:
    arrays = [pa.array(query, pa.int32()), pa.array(target, pa.int32()), pa.array(score, pa.float32())]
    return pa.RecordBatch.from_arrays(arrays, names=["query_index", "target_index", "score"])
