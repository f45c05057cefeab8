"""Baskets that stand for a preference: items chosen so that ALS, given them, finds the preferred place again.

Implicit ALS gives a user with the items B the factor that solves A x = sum of the y of B, A being nearly Y'Y where B is
small among the items. So the basket for a generated x is one whose sum of item factors points where (Y'Y) x does: found
greedily, one item after the other, which is herding (Welling 2009, doi:10.1145/1553374.1553517; Chen, Welling and Smola
2010, arXiv:1203.3472). The best n items alone tell ALS that nothing else is liked, and a draw of few is noisy
(docs/decisions/007-baskets-by-herding.md).

Shapes: B users of a block, M items of the pool, R rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.synthesis.blocks import in_blocks, map_blocks

POOL = 4096
"""Items that baskets are chosen from: the most popular, to whom ALS looks to place a user. Bounds memory and time."""
LARGEST_SHARE = 10
"""A basket holds at most one in this many items of the pool: of more nothing can be chosen."""
TAKEN = np.float32(-1e30)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """What baskets are chosen from, and what is known of all items."""

    index: npt.NDArray[np.int32]
    """Item indices, ascending, (M,)."""
    vectors: Floats
    """(M, R)."""
    gram: Floats
    """Y'Y over all items, (R, R)."""
    total: Floats
    """Sum of y over all items, (R,)."""

    @property
    def largest(self) -> int:
        """Items of a basket at most."""
        return max(1, len(self.index) // LARGEST_SHARE)


def pool_of(items: DataFrame, size: int = POOL) -> Pool:
    """The `size` most popular of `items` (`item_index`, `vector`, `log_popularity`), and the sums over all of them."""
    best = items.orderBy(F.col("log_popularity").desc(), "item_index").limit(size).collect()
    best.sort(key=lambda row: row["item_index"])
    rank = len(best[0]["vector"])
    sums = items.select("item_index", "vector").mapInArrow(partial(_sums, rank=rank), "sums array<double>").collect()
    added = np.sum([row["sums"] for row in sums], axis=0).reshape(rank + 1, rank).astype(np.float32)
    vectors = np.array([row["vector"] for row in best], dtype=np.float32)
    return Pool(np.array([row["item_index"] for row in best], dtype=np.int32), vectors, added[:rank], added[rank])


def herded(users: DataFrame, pool: Pool) -> DataFrame:
    """`user_index`, `item_index` of a basket for each user.

    users: `user_index`, `vector` in ALS's own space, `k` int (items; at most `pool.largest`), and `exclude` array<int>
    (items that the user has; may be null). Blocks of users are fixed, so that baskets do not depend on partitions.
    """

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from map_blocks(batches, lambda _, rows: _block(rows, pool))

    asked = in_blocks(users.select("user_index", "vector", "k", "exclude"), "user_index")
    return asked.mapInArrow(apply, "user_index int, item_index int")


def choose(wanted: Floats, k: npt.NDArray[np.int32], taken: npt.NDArray[np.bool_], pool: Pool) -> npt.NDArray[np.intp]:
    """Places in the pool, (B, max k), in the order in which they are chosen.

    wanted: x of each user, (B, R); k: size of each basket, (B,), which is the pace at which the sum grows; taken: what
    must not be chosen, (B, M).
    """
    target = wanted @ pool.gram
    expected = np.maximum(wanted @ pool.total, 1e-9)  # items that x stands for: the sum of its preferences
    target *= np.minimum(1.0, k / expected)[:, None].astype(np.float32)
    held = np.zeros_like(target)
    blocked = np.where(taken, TAKEN, np.float32(0))
    rows, steps = np.arange(len(wanted)), int(k.max(initial=0))
    chosen = np.zeros((len(wanted), steps), dtype=np.intp)
    for step in range(steps):
        pace = np.minimum((step + 1) / np.maximum(k, 1), 1.0).astype(np.float32)[:, None]
        chosen[:, step] = ((target * pace - held) @ pool.vectors.T + blocked).argmax(axis=1)
        blocked[rows, chosen[:, step]] = TAKEN
        held += pool.vectors[chosen[:, step]]
    return chosen


def _block(rows: pa.Table, pool: Pool) -> pa.Table:
    users = rows.column("user_index").to_numpy()
    wanted = np.array(rows.column("vector").to_pylist(), dtype=np.float32)
    k = np.minimum(rows.column("k").to_numpy(), pool.largest).astype(np.int32)
    taken = np.array([np.isin(pool.index, known or []) for known in rows.column("exclude").to_pylist()])
    k = np.minimum(k, (~taken).sum(axis=1)).astype(np.int32)
    chosen = choose(wanted, k, taken, pool)
    kept = np.arange(chosen.shape[1]) < k[:, None]
    columns = [np.repeat(users, k).astype(np.int32), pool.index[chosen[kept]]]
    return pa.Table.from_arrays([pa.array(c, pa.int32()) for c in columns], names=["user_index", "item_index"])


def _sums(batches: Iterable[pa.RecordBatch], rank: int) -> Iterator[pa.RecordBatch]:
    """Y'Y and, below it, the sum of y over one partition."""
    added = np.zeros((rank + 1, rank))
    for batch in batches:
        y = batch.column("vector").flatten().to_numpy(zero_copy_only=False).reshape(-1, rank).astype(np.float64)
        added += np.concatenate([y.T @ y, y.sum(axis=0, keepdims=True)])
    flat = pa.array(added.ravel(), pa.float64())
    yield pa.RecordBatch.from_arrays(
        [pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat)], names=["sums"]
    )
