"""Fold-in of users against fixed item factors: the last half step of implicit ALS, one ridge regression per user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.recommend.als import AlsSettings


def folded_in(pairs: DataFrame, items: DataFrame, settings: AlsSettings, most: int) -> DataFrame:
    """Compute the factors of users who have pairs with `items`: `user_index`, `vector`.

    pairs: `user_index`, `item_index`, `rating`; items: `item_index`, `vector` array<float>; most: maximum number of
    interactions per user, drawn by a hash. On the pairs that `items` were fitted on, it returns the user factors of
    that fit (Hu, Koren, Volinsky 2008, equation 4, with Spark's ALS-WR regularization).
    """
    gram = _gram(items)
    known = pairs.join(items, on="item_index", how="inner")
    row = F.struct(F.xxhash64("item_index").alias("order"), "item_index", "rating", "vector")
    rows = known.groupBy("user_index").agg(F.slice(F.sort_array(F.collect_list(row)), 1, most).alias("known"))
    rank, alpha, penalty = len(gram), settings.alpha, settings.regularization

    def solve(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            made = []
            for place in range(batch.num_rows):
                of_user = batch.column("known")[place].values
                vectors = of_user.field("vector").flatten().to_numpy(zero_copy_only=False).reshape(-1, rank)
                vectors = vectors.astype(np.float64)
                confidence = alpha * of_user.field("rating").to_numpy(zero_copy_only=False).astype(np.float64)
                left = gram + (vectors * confidence[:, None]).T @ vectors + penalty * len(vectors) * np.eye(rank)
                made.append(np.linalg.solve(left, vectors.T @ (1.0 + confidence)))
            flat = np.asarray(made, np.float32).ravel()
            offsets = pa.array(np.arange(0, len(flat) + 1, rank), pa.int32())
            lists = pa.ListArray.from_arrays(offsets, pa.array(flat, pa.float32()))
            yield pa.RecordBatch.from_arrays([batch.column("user_index"), lists], names=["user_index", "vector"])

    return rows.mapInArrow(solve, "user_index int, vector array<float>")


def _gram(items: DataFrame) -> npt.NDArray[np.float64]:
    """Compute Y'Y of the items' vectors, shape (R, R): summed by one task in the items' order, so reproducible."""

    def summed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total: npt.NDArray[np.float64] | None = None
        for batch in batches:
            vectors = batch.column("vector")
            y = vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(vectors), -1).astype(np.float64)
            total = y.T @ y if total is None else total + y.T @ y
        if total is not None:
            flat = pa.array(total.ravel(), pa.float64())
            yield pa.RecordBatch.from_arrays([pa.ListArray.from_arrays(pa.array([0, len(flat)]), flat)], names=["gram"])

    ordered = items.select("item_index", "vector").repartition(1).sortWithinPartitions("item_index")
    rows = ordered.mapInArrow(summed, "gram array<double>").collect()
    flat = np.asarray(rows[0]["gram"] if rows else [], np.float64)
    rank = round(len(flat) ** 0.5)
    return flat.reshape(rank, rank)
