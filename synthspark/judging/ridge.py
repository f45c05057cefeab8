"""Preference vectors by ridge regression on attributes: a second model beside the generator.

It has no interactions of attributes, and so learns from few items what the generator needs many for. The penalty of
each kind of attribute is chosen on held-out items, from the sums of the normal equations alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from pyspark.sql import DataFrame
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from scipy.sparse import csr_matrix, hstack
from typing_extensions import Self

from synthspark.errors import LakeError
from synthspark.judging.features import PairTable
from synthspark.judging.judge import HELD_OUT
from synthspark.judging.network import torch_threads
from synthspark.spark_versions import to_arrow

WIDTH = 2048
"""Maximum number of columns for all codes and tokens, whatever the vocabularies: bounds the normal equations."""
FOLDED = 256
"""Number of columns that the hashed tokens of a bag share."""
PENALTIES = (1.0, 10.0, 100.0, 1000.0)
"""Penalties tried for each kind of attribute."""
FIRST_PENALTY = 10.0
"""Penalty of a kind of attribute until it is tried."""
FREE = 1e-3
"""Penalty of the constant, which should hardly be shrunk."""
FILE = "ridge.safetensors"

Doubles = npt.NDArray[np.float64]
Sparse = Any
"""A scipy.sparse.csr_matrix, which has no type stubs."""


@dataclass(frozen=True)
class Design:
    """The columns of the regression: a block for all codes, one for the scalars, one per group and bag, a constant."""

    table: PairTable

    @property
    def inputs(self) -> list[str]:
        """The encoded columns that the regression reads."""
        return [*self.table.codes, *self.table.numbers, *self.table.tokens]

    @property
    def widths(self) -> list[int]:
        """Columns per code column and bag, at most WIDTH in all: small vocabularies fit, larger ones are hashed."""
        wanted = [*self.table.cardinalities, *(len(bag.weights) + FOLDED for bag in self.table.bags)]
        granted, left = [0] * len(wanted), WIDTH
        for number, place in enumerate(sorted(range(len(wanted)), key=lambda i: wanted[i])):
            granted[place] = max(1, min(wanted[place], left // (len(wanted) - number)))
            left -= granted[place]
        return granted

    def blocks(self) -> npt.NDArray[np.int64]:
        """Return the block (kind of attribute) of each column, shape (columns,)."""
        codes, widths = len(self.table.codes), self.widths
        sizes = [sum(widths[:codes]), len(self.table.scalars), *(len(g) for g in self.table.groups), *widths[codes:], 1]
        return np.repeat(np.arange(len(sizes)), sizes)

    def matrix(self, batch: pa.RecordBatch) -> Sparse:
        """Return the design matrix (B, columns): 0 or 1 for codes and tokens, numbers as they are, and a constant."""
        size, codes, widths = batch.num_rows, len(self.table.codes), self.widths
        parts = []
        for column, width in zip(self.table.codes, widths[:codes], strict=True):
            parts.append(_one_hot(_column(batch, column)[:, None], np.ones((size, 1), bool), width))
        if self.table.numbers:
            parts.append(csr_matrix(np.column_stack([_column(batch, c) for c in self.table.numbers])))
        for bag, width in zip(self.table.bags, widths[codes:], strict=True):
            ids = np.column_stack([_column(batch, c) for c in bag.columns])
            above = ids - len(bag.weights)
            parts.append(_one_hot(np.where(above >= 0, len(bag.weights) + above % FOLDED, ids), ids > 0, width))
        return hstack([*parts, csr_matrix(np.ones((size, 1)))], format="csr")


@dataclass(frozen=True)
class Ridge:
    """A fitted regression."""

    design: Design
    weights: npt.NDArray[np.float32]
    """Shape (columns, R)."""

    def vectors(self, rows: DataFrame, key: str) -> DataFrame:
        """Predict `key`, `vector` array<float> for `rows` (`key` and the encoded columns)."""
        design, weights = self.design, self.weights

        def predict(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                made = np.asarray(design.matrix(batch) @ weights, np.float32)
                offsets = pa.array(np.arange(0, made.size + 1, weights.shape[1]), pa.int32())
                lists = pa.ListArray.from_arrays(offsets, pa.array(made.ravel(), pa.float32()))
                yield pa.RecordBatch.from_arrays([batch.column(key), lists], names=[key, "vector"])

        return rows.select(key, *design.inputs).mapInArrow(predict, f"{key} int, vector array<float>")

    def save(self, write: Callable[[str, bytes], None]) -> str:
        """Write FILE by `write(name, data)`; return its sha256."""
        data: bytes = save_arrays({"weights": self.weights})
        write(FILE, data)
        return hashlib.sha256(data).hexdigest()

    @classmethod
    def load(cls, table: PairTable, data: bytes, about: Mapping[str, Any]) -> Self:
        """Load what `save` wrote. about: content of judge.json. Raises LakeError if its sha256 does not match."""
        if hashlib.sha256(data).hexdigest() != about.get("ridge_sha256"):
            raise LakeError(f"{FILE} is not what judge.json describes; train again")
        return cls(Design(table), load_arrays(data)["weights"])


def fit_ridge(known: DataFrame, key: str, table: PairTable) -> Ridge:
    """Fit on `known` (`key`, the encoded columns, `vector`); the result is the same bytes for any partitioning.

    One task sums the normal equations in the order of the keys; what comes to the driver does not grow with the rows.
    Every HELD_OUT-th entity is held out to choose the penalties; the final fit uses all entities.
    """
    design = Design(table)
    first = known.select("vector").first()
    rank = len(first[0]) if first else 1
    size = len(design.blocks())

    def summed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums = np.zeros((2, size, size + rank))
        squares = np.zeros(2)
        for batch in batches:
            x = design.matrix(batch)
            y = batch.column("vector").flatten().to_numpy(zero_copy_only=False).reshape(-1, rank).astype(np.float64)
            held = batch.column(key).to_numpy(zero_copy_only=False) % HELD_OUT == HELD_OUT - 1
            for part, mine in enumerate((~held, held)):
                sums[part, :, :size] += (x[mine].T @ x[mine]).toarray()
                sums[part, :, size:] += x[mine].T @ y[mine]
                squares[part] += np.square(y[mine]).sum()
        flat = pa.array(sums.ravel(), pa.float64())
        offsets = pa.array(np.arange(3) * (sums.size // 2), pa.int32())
        lists = pa.ListArray.from_arrays(offsets, flat)
        yield pa.RecordBatch.from_arrays(
            [pa.array([0, 1]), lists, pa.array(squares)], names=["part", "sums", "squares"]
        )

    ordered = known.select(key, *design.inputs, "vector").repartition(1).sortWithinPartitions(key)
    parts = ordered.mapInArrow(summed, "part long, sums array<double>, squares double")
    found = to_arrow(parts).sort_by("part")
    sums = found.column("sums").combine_chunks().flatten().to_numpy().reshape(2, size, size + rank)
    learned, held = (_Sums(part[:, :size], part[:, size:]) for part in sums)
    with torch_threads(1):  # sums over several threads depend on their number
        penalties = _chosen(learned, held, design.blocks(), float(found.column("squares")[1].as_py()))
        weights = _Sums(learned.left + held.left, learned.right + held.right).solved(penalties)
    return Ridge(design, np.ascontiguousarray(weights, np.float32))  # safetensors writes memory as it is laid out


@dataclass(frozen=True)
class _Sums:
    """Normal equations: X'X, shape (C, C), and X'Y, shape (C, R)."""

    left: Doubles
    right: Doubles

    def solved(self, penalties: Doubles) -> Doubles:
        """Return weights (C, R). penalties: (C,)."""
        lower = torch.linalg.cholesky(torch.from_numpy(self.left + np.diag(penalties)))
        found: Doubles = torch.cholesky_solve(torch.from_numpy(np.ascontiguousarray(self.right)), lower).numpy()
        return found

    def error(self, weights: Doubles, squares: float) -> float:
        """Return the sum of squares of Y - X weights. squares: the sum of squares of Y."""
        fitted = float((weights * (self.left @ weights)).sum())
        return fitted - 2.0 * float((weights * self.right).sum()) + squares


def _chosen(learned: _Sums, held: _Sums, blocks: npt.NDArray[np.int64], squares: float) -> Doubles:
    """Choose the penalty of each column, block after block, by the error on held-out entities; shape (columns,)."""
    penalties = np.full(len(blocks), FIRST_PENALTY)
    penalties[-1] = FREE
    if squares == 0:
        return penalties
    best = held.error(learned.solved(penalties), squares)
    for block in np.unique(blocks[:-1]):
        for penalty in PENALTIES:
            tried = np.where(blocks == block, penalty, penalties)
            error = held.error(learned.solved(tried), squares)
            if error < best:
                best, penalties = error, tried
    return penalties


def with_linear(made: DataFrame, items: DataFrame, ridge: Ridge) -> DataFrame:
    """Add to `made` (`item_index`, ...) the ridge's vector `linear`. items: `item_index` and the encoded columns."""
    asked = items.join(made.select("item_index"), on="item_index", how="left_semi")
    linear = ridge.vectors(asked, "item_index").withColumnRenamed("vector", "linear")
    return made.join(linear, on="item_index", how="inner")


def _one_hot(ids: npt.NDArray[Any], known: npt.NDArray[np.bool_], width: int) -> Sparse:
    """Set each row's known `ids` (B, n) to one among `width` columns; ids of `width` or more are hashed."""
    own = ids[known].astype(np.uint64)
    mixed = (own * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    column = np.where(own < width, own, mixed % np.uint64(width)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    return csr_matrix((np.ones(len(column)), column, starts), shape=(len(ids), width))


def _column(batch: pa.RecordBatch, name: str) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = batch.column(name).to_numpy(zero_copy_only=False)
    return values
