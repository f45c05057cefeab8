"""Fixed blocks of rows, which make synthetic rows independent of partitions, executors and retries.

A row's noise depends on (seed, block, position in the block), and a block always passes through the network as a whole,
so that not even the order of floating-point sums can differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

ROWS = 1024
"""Rows per block."""


def in_blocks(df: DataFrame, index: str) -> DataFrame:
    """Add the column `block` to `df`; each block is whole within one partition and ordered by `index`."""
    blocked = df.withColumn("block", F.floor(F.col(index) / ROWS))
    return blocked.repartition("block").sortWithinPartitions("block", index)


def map_blocks(
    batches: Iterable[pa.RecordBatch], handle: Callable[[int, pa.Table], pa.Table]
) -> Iterator[pa.RecordBatch]:
    """Call `handle(block, rows)` for each whole block in `batches` (of `in_blocks`), however batches divide blocks."""
    held: list[pa.Table] = []
    current: int | None = None
    for batch in batches:
        table = pa.Table.from_batches([batch])
        numbers = batch.column(batch.schema.get_field_index("block")).to_numpy(zero_copy_only=False)
        starts = np.flatnonzero(np.diff(numbers, prepend=np.nan))
        for start, stop in zip(starts, [*starts[1:], len(numbers)], strict=True):
            if current is not None and numbers[start] != current:
                yield from handle(current, pa.concat_tables(held)).to_batches()
                held = []
            current = int(numbers[start])
            held.append(table.slice(start, stop - start))
    if current is not None:
        yield from handle(current, pa.concat_tables(held)).to_batches()


def generator(seed: int, *salt: int) -> np.random.Generator:
    """Return the random generator of one block; it is counter-based, so that neighbouring seeds are unrelated."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed & 0xFFFFFFFFFFFFFFFF, *salt])))
