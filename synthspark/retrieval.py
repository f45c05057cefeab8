"""Exact top-k by inner product (or another kernel), in blocks: the one place where the users and the items meet.

Recommending, judging and placing synthetic events all ask the same: for each query vector the k target vectors with
the largest inner product, some of them excluded. Queries and targets are packed into blocks of fixed index ranges,
every pair of blocks is one matrix product in an executor's Python worker, and only each query's best survive. Nothing
of size queries x targets ever exists, and a block's content depends on indices alone, so that results do not depend
on partitions.
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
"""Ties of a query are in the order of its own multiplicative hash of the targets (Knuth, TAOCP 3, 6.4), a permutation:
((query x MIXING mod MIXED) XOR target) x MIXING mod MIXED."""
TINY = 1e-6
"""Stands for a score of 0 or less where targets are drawn in proportion to their scores."""

_CANDIDATES = "query_index int, target_index int, score float"


Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Kernel = Callable[[Floats, Floats], Floats]
"""Scores (Q, T) of query rows (Q, n) against target rows (T, n)."""


@dataclass(frozen=True)
class Draw:
    """Targets drawn without replacement, (nearly) in proportion to score^sharpness; scores of 0 or less come last.

    With Gumbel noise on the logarithms the top k are such draws (Kool et al. 2019, arXiv:1903.06059). The noise depends
    on the seed and the indices only.
    """

    seed: int
    sharpness: float = 1.0


def inner_products(queries: Floats, targets: Floats) -> Floats:
    """The usual kernel."""
    return queries @ targets.T


def top_k(
    queries: DataFrame, targets: DataFrame, draw: Draw | None = None, kernel: Kernel = inner_products
) -> DataFrame:
    """The best targets of every query.

    queries: `query_index` int, `vector` array<float>, `k` int, `exclude` array<int> (target indices; may be null).
    targets: `target_index` int, `vector` array<float> of the same length.
    draw: draw the k targets by their scores instead of ranking them.
    Returns `query_index`, `target_index`, `score` float, `rank` int from 1; ties are in an order of the query's own, so
    that equal targets share the queries. Fewer than k rows where fewer targets are left.
    """
    packed_queries = _packed(queries, "query_index", QUERY_BLOCK, ["query_index", "vector", "k", "exclude"], "q")
    packed_targets = _packed(targets, "target_index", TARGET_BLOCK, ["target_index", "vector"], "t")
    pairs = packed_queries.crossJoin(packed_targets)
    candidates = pairs.mapInArrow(partial(_score_blocks, draw=draw, kernel=kernel), _CANDIDATES)
    best = Window.partitionBy("query_index").orderBy(F.col("score").desc(), tie("query_index", "target_index"))
    ranked = candidates.withColumn("rank", F.row_number().over(best))
    wanted = queries.select("query_index", F.col("k").alias("_k"))
    within = ranked.join(wanted, on="query_index", how="inner").where(F.col("rank") <= F.col("_k"))
    return within.select("query_index", "target_index", "score", "rank")


def tie(query: str, target: str) -> Column:
    """The order of targets with equal scores, by the indices' columns."""
    own = F.pmod(F.col(query).cast("long") * MIXING, F.lit(MIXED))
    return F.pmod(F.col(target).cast("long").bitwiseXOR(own) * MIXING, F.lit(MIXED))


def scored(pairs: DataFrame, users: DataFrame, made: DataFrame, by: Mapping[str, str] | None = None) -> DataFrame:
    """`pairs` with `score`, the inner product of both sides' `vector`; pairs of unknown entities are dropped.

    by: name of a score -> the column of `made` that it goes by, instead of `score` by `vector`.
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
    """The best targets so far of the queries of a block: its rows, in no order that matters."""

    row: Ints
    """Of the query within its block."""
    target: Ints
    score: Floats
    tie: Ints
    """The smaller is taken of equal scores."""

    def among(self, k: Ints) -> _Best:
        """The best `k` of each query, k: (Q,)."""
        order = np.lexsort((self.tie, -self.score, self.row))
        row = self.row[order]
        kept = order[np.arange(len(row)) - np.searchsorted(row, row) < k[row]]
        return _Best(self.row[kept], self.target[kept], self.score[kept], self.tie[kept])

    def and_those(self, other: _Best) -> _Best:
        """Both together."""
        return _Best(*(np.concatenate(both) for both in zip(self, other, strict=True)))


def _score_blocks(batches: Iterable[pa.RecordBatch], draw: Draw | None, kernel: Kernel) -> Iterator[pa.RecordBatch]:
    """Spark pairs a block of queries with many of targets in a row: what leaves the worker is the best of them all."""
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
    """One block of queries against one block of targets: at most k rows per query."""
    target_index = _numpy(targets.field("target_index"))
    scores = kernel(_matrix(queries.field("vector")), _matrix(targets.field("vector")))
    query_index = _numpy(queries.field("query_index"))
    if draw is not None:
        logits = np.float32(draw.sharpness) * np.log(np.maximum(scores, TINY))
        scores = logits + _gumbel(scores, draw.seed, query_index, target_index)
    _hide(scores, target_index, queries.field("exclude"))
    k = np.minimum(_numpy(queries.field("k")), len(target_index))
    threshold = np.full((len(k), 1), np.inf, np.float32)
    for width in np.unique(k[k > 0]):
        asked = k == width
        threshold[asked] = np.partition(scores[asked], -width, axis=1)[:, -width, None]
    rows, places = np.nonzero((scores >= threshold) & np.isfinite(scores))  # with all ties of the last one
    own, found = query_index.astype(np.int64) * MIXING % MIXED, target_index[places]
    tie = (found ^ own[rows]) * MIXING % MIXED
    return _Best(rows.astype(np.int32), found, scores[rows, places], tie.astype(np.int32)).among(k)


def _gumbel(scores: Floats, seed: int, query: npt.NDArray[Any], target: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Standard Gumbel noise of every pair: the n-th best target of a query has the n-th number of its golden sequence.

    Such a sequence (fractions of start + n x golden ratio) is uniform, and so is every stretch of it: of any run of
    targets with like scores nearly the expected number is drawn. The start is drawn per query and block of targets.
    """
    block = np.random.SeedSequence([seed & 0xFFFFFFFF, int(query[0]) // QUERY_BLOCK, int(target[0]) // TARGET_BLOCK])
    start = np.random.Generator(np.random.Philox(block)).random(QUERY_BLOCK)[query % QUERY_BLOCK, None]
    place = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    uniform = np.clip((start + GOLDEN * place) % 1.0, 1e-7, 1 - 1e-7)
    noise: npt.NDArray[np.float32] = -np.log(-np.log(uniform)).astype(np.float32)
    return noise


def _hide(scores: npt.NDArray[np.float32], target_index: npt.NDArray[np.int32], exclude: Any) -> None:
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
