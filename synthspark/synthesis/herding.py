"""Baskets that stand for a preference: of items drawn by it, those whose sum points where ALS must be led.

Implicit ALS gives a user with the items B the factor that solves A x = sum of the y of B, A being nearly Y'Y where B is
small among the items. So a basket for the place x should have a sum of item factors that points where (Y'Y) x does. A
draw in proportion to x.y has it on average; taking from the drawn one item after the other so that the sum keeps to the
way is herding (Welling 2009, doi:10.1145/1553374.1553517; Chen, Welling and Smola 2010, arXiv:1203.3472). Why only from
the drawn: docs/decisions/007-baskets-are-drawn.md.

Shapes: P drawn items, R rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

TAKEN = -1e30
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Crowd:
    """Sums over the factors y of all items."""

    gram: Floats
    """Y'Y, (R, R)."""
    total: Floats
    """(R,)."""


def crowd_of(items: DataFrame) -> Crowd:
    """The sums over `items` (`vector`): one small matrix per partition comes to the driver."""
    rank = len(items.select("vector").first()[0])  # type: ignore[index]
    parts = items.select("vector").mapInArrow(partial(_sums, rank=rank), "sums array<double>").collect()
    added = np.sum([row["sums"] for row in parts], axis=0).reshape(rank + 1, rank).astype(np.float32)
    return Crowd(added[:rank], added[rank])


def herded(drawn: DataFrame, users: DataFrame, items: DataFrame, crowd: Crowd) -> DataFrame:
    """`user_index`, `item_index`: of each user's `drawn` (the same columns) the `k` that herding takes.

    users: `user_index`, `vector`, `k` int; items: `item_index`, `vector`, both in ALS's own space.
    """
    known = drawn.select("user_index", "item_index").join(items.select("item_index", "vector"), on="item_index")
    listed = known.groupBy("user_index").agg(
        F.sort_array(F.collect_list(F.struct("item_index", "vector"))).alias("drawn")
    )
    rows = listed.join(users.select("user_index", "vector", "k"), on="user_index", how="inner")
    return rows.mapInArrow(partial(_herd, crowd=crowd), "user_index int, item_index int")


def choose(wanted: Floats, k: int, vectors: Floats, crowd: Crowd) -> list[int]:
    """Places of at most `k` of the `vectors` (P, R), in the order in which they are taken; wanted: x, (R,)."""
    k = min(k, len(vectors))
    expected = max(float(wanted @ crowd.total), 1e-9)  # items that x stands for: the sum of its preferences
    target = wanted @ crowd.gram * min(1.0, k / expected)
    held, blocked, chosen = np.zeros_like(target), np.zeros(len(vectors), np.float32), list[int]()
    for step in range(k):
        place = int((vectors @ (target * ((step + 1) / k) - held) + blocked).argmax())
        chosen.append(place)
        blocked[place] = TAKEN
        held = held + vectors[place]
    return chosen


def _herd(batches: Iterable[pa.RecordBatch], crowd: Crowd) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for row in range(batch.num_rows):
            drawn = batch.column("drawn")[row].values
            index = drawn.field("item_index").to_numpy(zero_copy_only=False)
            flat = drawn.field("vector").flatten().to_numpy(zero_copy_only=False).astype(np.float32)
            wanted: Any = batch.column("vector")[row].values.to_numpy(zero_copy_only=False)
            taken = choose(wanted, batch.column("k")[row].as_py(), flat.reshape(len(index), -1), crowd)
            users = np.full(len(taken), batch.column("user_index")[row].as_py())
            columns = [pa.array(users, pa.int32()), pa.array(index[taken], pa.int32())]
            yield pa.RecordBatch.from_arrays(columns, names=["user_index", "item_index"])


def _sums(batches: Iterable[pa.RecordBatch], rank: int) -> Iterator[pa.RecordBatch]:
    """Y'Y and, below it, the sum of y over one partition."""
    added = np.zeros((rank + 1, rank))
    for batch in batches:
        y = batch.column("vector").flatten().to_numpy(zero_copy_only=False).reshape(-1, rank).astype(np.float64)
        added += np.concatenate([y.T @ y, y.sum(axis=0, keepdims=True)])
    flat = pa.array(added.ravel(), pa.float64())
    lists = pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat)
    yield pa.RecordBatch.from_arrays([lists], names=["sums"])
