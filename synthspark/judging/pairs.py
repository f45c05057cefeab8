"""Features of pairs, computed on the executors: one row per user holds their history and their candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import uniform
from synthspark.judging.features import Items, ItemStatistics, PairTable, Proposal, pair_features
from synthspark.judging.judge import Judge
from synthspark.pairing import random_pairs
from synthspark.spark_versions import to_arrow


class LabelledFeatures(NamedTuple):
    """Training data of a judge, n pairs."""

    features: npt.NDArray[np.float32]
    """(n, F)."""
    labels: npt.NDArray[np.bool_]
    """(n,)."""
    items: npt.NDArray[np.int32]
    """Indices of the items, (n,)."""

    def where(self, mine: npt.NDArray[np.bool_]) -> LabelledFeatures:
        """Return the pairs where `mine` (n,) is true."""
        return LabelledFeatures(self.features[mine], self.labels[mine], self.items[mine])


PAIR = ("user_index", "item_index")
PROPOSAL = ("score", "norm", "linear_score", "linear_norm", "log_activity")
"""Fields of a candidate, in the order of `Proposal`."""
SCORES = {"score": "vector", "linear_score": "linear"}
"""Score -> the item vector whose inner product with the user's vector it is: generator's, and regression's."""
LONG, MARGIN = 4, 64
"""A history longer than LONG x the items it may show is thinned beforehand; MARGIN: items kept to spare."""
MAX_CELLS = 1 << 23
"""Maximum of candidates x items of the history that a worker compares at once: 32 MB per array."""
MERIT = "merit"
"""Column that pairs are chosen by: the judge's probability, or the generator's score if there is no judge."""


def in_fold(index: str, fraction: float, seed: int) -> Any:
    """Return whether a warm item is in the pseudo-cold fold: a hash of seed and index, so that all stages agree."""
    return uniform(F.lit("fold"), F.lit(seed), index) < fraction


def item_statistics(items: DataFrame, pairs: DataFrame, table: PairTable) -> ItemStatistics:
    """Count over `items` (`item_index`, code columns) and their `pairs`; the result is bounded by the vocabularies."""
    breadth = pairs.groupBy("item_index").agg(F.count(F.lit(1)).alias("_users"))
    places = F.array(*[F.struct(F.lit(i).alias("place"), F.col(c).alias("code")) for i, c in enumerate(table.codes)])
    if not table.codes:
        return ItemStatistics([], [], items.count())
    joined = items.join(breadth, on="item_index", how="left")
    rows = joined.select(F.explode(places).alias("p"), F.coalesce("_users", F.lit(0)).alias("_users"))
    counted = rows.groupBy("p.place", "p.code").agg(F.count(F.lit(1)).alias("items"), F.sum("_users").alias("users"))
    return ItemStatistics.of(table, [tuple(row) for row in counted.collect()])


def labelled_pairs(pairs: DataFrame, fold: DataFrame, negatives: int, max_pairs: int, seed: int) -> DataFrame:
    """Return the real pairs of the `fold` items and uniform other pairs: `user_index`, `item_index`, `label`.

    Negatives are drawn from all pairs, not from the generator's best ones: against those alone, the judge learned only
    to tell near misses from real pairs (cold NDCG@20 .120 against .175 on validation).
    """
    real = pairs.join(fold.select("item_index"), on="item_index", how="left_semi").select(*PAIR).persist()
    count = real.count()
    kept = min(1.0, max_pairs / max(count * (1 + negatives), 1))
    drawn = random_pairs(pairs.select("user_index").distinct(), fold, int(count * kept) * negatives, seed)
    false = drawn.join(real, on=list(PAIR), how="left_anti").withColumn("label", F.lit(False))
    thinned = uniform(F.lit(seed), *PAIR) < kept
    return real.where(thinned).withColumn("label", F.lit(True)).unionByName(false)


def pair_rows(
    pairs: DataFrame, made: DataFrame, encoded: DataFrame, history: DataFrame, table: PairTable, max_history: int
) -> DataFrame:
    """Build one row per user: `user_index`, `candidates` and `history`, both arrays of structs in a fixed order.

    pairs: `user_index`, `item_index`, `score`, `linear_score`, optionally `label`; made: `item_index`, `vector`,
    `linear`, `log_activity`; encoded: `item_index` and the encoded columns of all candidates and history items;
    history: `user_index`, `item_index`. A history keeps at most `max_history` items, drawn by a hash.
    """
    codes = F.array(*table.codes).cast("array<int>").alias("codes")
    numbers = F.array(*table.numbers).cast("array<float>").alias("numbers")
    tokens = F.array(*table.tokens).cast("array<int>").alias("tokens")
    items = encoded.select("item_index", codes, numbers, tokens)
    said = made.select("item_index", _length("vector").alias("norm"), _length("linear").alias("linear_norm"),
                       "log_activity")  # fmt: skip
    label = [c for c in ("label",) if c in pairs.columns]
    asked = pairs.join(said, on="item_index", how="inner").join(items, on="item_index", how="inner")
    fields = ("item_index", *PROPOSAL, "codes", "numbers", "tokens", *label)
    candidates = asked.groupBy("user_index").agg(F.sort_array(F.collect_list(F.struct(*fields))).alias("candidates"))
    order = F.xxhash64("item_index")
    shown = F.struct(order.alias("order"), "item_index", "codes", "numbers", "tokens")
    known = thinned(history, order, max_history).join(items, on="item_index", how="inner")
    owned = known.groupBy("user_index").agg(
        F.slice(F.sort_array(F.collect_list(shown)), 1, max_history).alias("history")
    )
    return candidates.join(owned, on="user_index", how="left")


def _length(vector: str) -> Column:
    squares = F.aggregate(vector, F.lit(0.0), lambda total, x: total + x * x)
    return F.sqrt(squares).cast("float")


def thinned(history: DataFrame, order: Column, most: int) -> DataFrame:
    """Thin long histories to a superset of the `most` items that are compared, so that no user is too large for a row.

    The first `most` items by `order` are all kept, except with a probability of one in millions.
    """
    size = history.groupBy("user_index").agg(F.count(F.lit(1)).alias("_size"))
    long = F.broadcast(size.where(F.col("_size") > LONG * most))
    joined = history.join(long, on="user_index", how="left")
    share = order.cast("double") / 2.0**64 + 0.5
    few = F.col("_size").isNull() | (share < (2.0 * most + MARGIN) / F.col("_size"))
    return joined.where(few).drop("_size")


def training_rows(rows: DataFrame, table: PairTable, stats: ItemStatistics) -> LabelledFeatures:
    """Collect the training data of a judge from labelled `pair_rows`, in a fixed order.

    The rows come to the driver; `labelled_pairs` bounds their number.
    """

    def handle(user: int, candidates: Any, features: npt.NDArray[np.float32]) -> pa.RecordBatch:
        flat = pa.array(features.reshape(-1), pa.float32())
        offsets = pa.array(np.arange(0, flat.__len__() + 1, features.shape[1]), pa.int32())
        arrays = [
            pa.array(np.full(len(features), user), pa.int32()),
            candidates.field("item_index"),
            candidates.field("label"),
            pa.ListArray.from_arrays(offsets, flat),
        ]
        return pa.RecordBatch.from_arrays(arrays, names=[*PAIR, "label", "features"])

    schema = "user_index int, item_index int, label boolean, features array<float>"
    found = to_arrow(rows.mapInArrow(_over_users(table, stats, handle), schema))
    found = found.sort_by([(name, "ascending") for name in PAIR]).combine_chunks()
    features = found.column("features").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return LabelledFeatures(
        features.reshape(len(found), -1) if len(found) else np.zeros((0, len(table.feature_names)), np.float32),
        found.column("label").to_numpy(),
        found.column("item_index").to_numpy(),
    )


def with_merit(rows: DataFrame, table: PairTable, stats: ItemStatistics, load: Callable[[], Judge]) -> DataFrame:
    """Compute the judge's merit of each pair of `pair_rows`, in (0, 1): `user_index`, `item_index`, `merit`."""
    names = table.feature_names

    def handle(user: int, candidates: Any, features: npt.NDArray[np.float32]) -> pa.RecordBatch:
        arrays = [
            pa.array(np.full(len(features), user), pa.int32()),
            candidates.field("item_index"),
            pa.array(load().merit(features, names), pa.float32()),
        ]
        return pa.RecordBatch.from_arrays(arrays, names=[*PAIR, MERIT])

    return rows.mapInArrow(_over_users(table, stats, handle), f"user_index int, item_index int, {MERIT} float")


def _over_users(
    table: PairTable, stats: ItemStatistics, handle: Callable[[int, Any, npt.NDArray[np.float32]], pa.RecordBatch]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in range(batch.num_rows):
                everything = batch.column("candidates")[row].values
                owned = _items(batch.column("history")[row].values, table)
                size = max(1, MAX_CELLS // max(len(owned.codes), 1))
                for first in range(0, len(everything), size):
                    candidates = everything[first : first + size]
                    proposal = Proposal(*(_numpy(candidates.field(n)) for n in PROPOSAL))
                    features = pair_features(table, stats, owned, _items(candidates, table), proposal)
                    yield handle(batch.column("user_index")[row].as_py(), candidates, features)

    return apply


def _items(rows: Any, table: PairTable) -> Items:
    size = 0 if rows is None else len(rows)

    def matrix(name: str, width: int, kind: npt.DTypeLike) -> npt.NDArray[Any]:
        flat = _numpy(rows.field(name).flatten()) if size else np.zeros(0)
        return flat.astype(kind, copy=False).reshape(size, width)

    return Items(
        matrix("codes", len(table.codes), np.int32),
        matrix("numbers", len(table.numbers), np.float32),
        matrix("tokens", len(table.tokens), np.int32),
    )


def _numpy(column: Any) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values
