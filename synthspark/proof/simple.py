"""Preference vectors from simple models, which the generator must beat: content neighbours and ridge regression.

Both sides alike: `encoded` are items or users with their index and encoded columns, `vectors` the factors of the warm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.judging import PairTable

BUCKETS = 1024
"""Buckets that codes are hashed into for the ridge: its normal equations are this wide, whatever the vocabulary."""
PENALTY = 10.0

Floats = npt.NDArray[np.float32]


def knn_vectors(near: DataFrame, vectors: DataFrame, key: str) -> DataFrame:
    """`key`, `vector`: the mean of the neighbours' vectors, weighed by similarity.

    near: of `neighbours`; vectors: `key`, `vector`. Who has no neighbour gets no vector.
    """
    known = near.join(vectors.withColumnRenamed(key, "neighbour"), on="neighbour", how="inner")
    terms = F.transform("vector", lambda x: x * F.col("similarity"))
    listed = known.select(key, "neighbour", "similarity", terms.alias("terms")).groupBy(key).agg(
        F.sort_array(F.collect_list(F.struct("neighbour", "similarity", "terms"))).alias("near"))  # fmt: skip
    empty = F.transform(F.element_at("near", 1)["terms"], lambda _: F.lit(0.0))
    total = F.aggregate("near", empty, lambda acc, n: F.zip_with(acc, n["terms"], lambda a, b: a + b))
    weight = F.aggregate("near", F.lit(0.0), lambda acc, n: acc + n["similarity"])
    return listed.select(key, F.transform(total, lambda x: (x / weight).cast("float")).alias("vector"))


def ridge_vectors(cold: DataFrame, warm: DataFrame, vectors: DataFrame, key: str, table: PairTable) -> DataFrame:
    """`key`, `vector` by linear ridge regression of the warm vectors on codes and tokens (hashed) and numbers.

    The normal equations are summed on the executors; what comes to the driver does not grow with the rows.
    """
    known = warm.join(vectors, on=key, how="inner")
    width = len(known.select("vector").first()[0])  # type: ignore[index]
    size = BUCKETS + len(table.numbers) + 1

    def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        left, right = np.zeros((size, size)), np.zeros((size, width))
        for batch in batches:
            x = _design(batch, table, size)
            y = batch.column("vector").flatten().to_numpy(zero_copy_only=False).reshape(len(x), -1)
            left, right = left + x.T @ x, right + x.T @ y
        flat = pa.array(np.concatenate([left, right], axis=1).ravel(), pa.float64())
        offsets = pa.array([0, len(flat)], pa.int32())
        yield pa.RecordBatch.from_arrays([pa.ListArray.from_arrays(offsets, flat)], names=["sums"])

    columns = (*table.codes, *table.numbers, *table.tokens)
    inputs = known.select(*columns, "vector").coalesce(4)
    parts = [np.asarray(r["sums"]).reshape(size, size + width) for r in inputs.mapInArrow(sums, "sums array<double>")
             .collect()]  # fmt: skip
    total = np.sum(parts, axis=0)
    penalty = PENALTY * np.eye(size)
    penalty[-1, -1] = 1e-3  # the constant is not shrunken
    weights = np.linalg.solve(total[:, :size] + penalty, total[:, size:])

    def predict(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            made = (_design(batch, table, size) @ weights).astype(np.float32)
            offsets = pa.array(np.arange(0, made.size + 1, width), pa.int32())
            lists = pa.ListArray.from_arrays(offsets, pa.array(made.ravel(), pa.float32()))
            yield pa.RecordBatch.from_arrays([batch.column(key), lists], names=[key, "vector"])

    asked = cold.select(key, *columns)
    return asked.mapInArrow(predict, f"{key} int, vector array<float>")


def _design(batch: pa.RecordBatch, table: PairTable, size: int) -> npt.NDArray[np.float64]:
    """Hashed one-hot codes and weights of tokens, numbers, and a constant: shape (B, size)."""
    x = np.zeros((batch.num_rows, size))
    x[:, -1] = 1.0
    for place, column in enumerate(table.codes):
        code = batch.column(column).to_numpy(zero_copy_only=False)
        x[np.arange(len(x)), _bucket(code, place)] += 1.0
    for place, column in enumerate(table.numbers):
        x[:, BUCKETS + place] = batch.column(column).to_numpy(zero_copy_only=False)
    for place, bag in enumerate(table.bags, len(table.codes)):
        ids = np.column_stack([batch.column(c).to_numpy(zero_copy_only=False) for c in bag.columns])
        tokens = bag.matrix(ids.astype(np.int32)).tocoo()
        np.add.at(x, (tokens.row, _bucket(tokens.col, place)), tokens.data)
    return x


def _bucket(code: npt.NDArray[Any], place: int) -> npt.NDArray[np.int64]:
    """The bucket of each code of column number `place`."""
    mixed = (code.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(place * 0x85EBCA6B)) >> np.uint64(32)
    return (mixed % np.uint64(BUCKETS)).astype(np.int64)
