"""Load the feed: Petastorm reads this process's shard of a Parquet directory by row groups; they are batched here.

Petastorm's own loader shuffles row by row, which takes four to seven times as long. The rows of a feed are already in
hash order, so shuffling the row groups and the rows inside each is enough. docs/decisions/001-petastorm.md gives the
reasons for these settings.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import torch
from torch import Tensor

from synthspark.errors import TrainingError
from synthspark.training.petastorm_reader import batch_reader
from synthspark.training.storage import portable

SHUFFLED_ROWS = 16_384
"""Minimum shuffle buffer, in rows, for feeds that are not held in memory."""
HELD_BYTES = 1 << 28
"""Maximum size, in bytes, of a feed that stays in memory between passes; starting a reader takes longer than a pass."""
BYTES_PER_VALUE = 8
Batch = dict[str, Tensor]
"""Column name -> values; all columns have the same number of rows."""


def check_feed(url: str, num_rows: int, processes: int) -> None:
    """Raise TrainingError unless the Parquet footers have `num_rows` rows in at least `processes` row groups.

    Petastorm silently returns fewer rows if a file is missing, and hangs ranks that get no row group.
    """
    fs, path = fsspec.core.url_to_fs(portable(url))
    footers = [pq.read_metadata(fs.open(f)) for f in sorted(fs.glob(f"{path}/*.parquet"))]
    rows = sum(f.num_rows for f in footers)
    if rows != num_rows:
        raise TrainingError(f"feed {url}: its files hold {rows} rows, its record says {num_rows}; featurize again")
    groups = sum(f.num_row_groups for f in footers)
    if groups < processes:
        raise TrainingError(
            f"feed {url}: {groups} row groups cannot be shared by {processes} processes; lower train.processes"
        )


def batch_rows(num_rows: int, processes: int, batch_size: int) -> int:
    """Return the rows per step and process: the batch size, or the whole shard if that is smaller."""
    return max(1, min(batch_size, num_rows // processes))


def steps_per_epoch(num_rows: int, processes: int, batch_size: int) -> int:
    """Return the steps per epoch, which are the same in every process whatever the size of its shard."""
    return max(1, num_rows // processes // batch_rows(num_rows, processes, batch_size))


@dataclass(frozen=True)
class Shard:
    """Part of a feed that one process reads."""

    url: str
    columns: list[str]
    num_rows: int
    """Number of rows of the whole feed."""
    rank: int = 0
    processes: int = 1

    @contextmanager
    def batches(self, size: int, seed: int) -> Iterator[Iterator[Batch]]:
        """Provide batches in an order determined by the seed: one pass, or endless if the feed is shared.

        The last batch of a single pass may be smaller. Shards differ in size and no process may run out of rows before
        the others, so a shared feed starts over and fills the last batch of a pass with rows of the next.
        """
        batches = _batches(self._pass(seed) if self.processes == 1 else _endless(self._pass, seed), size)
        try:
            yield batches
        finally:
            batches.close()

    def _pass(self, seed: int) -> Generator[Batch, None, None]:
        """Yield all rows once, in shuffled parts."""
        if self._rows_in_memory is None:
            yield from _prefetched(self._row_groups(seed))
        elif self._rows_in_memory:
            yield _shuffled([self._rows_in_memory], torch.Generator().manual_seed(seed))

    @cached_property
    def _rows_in_memory(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return all rows, in an order that is the same after a restart; None if they are too many."""
        if self.num_rows * len(self.columns) * BYTES_PER_VALUE > HELD_BYTES:
            return None
        parts = list(self._row_groups(0))
        return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]} if parts else {}

    def _row_groups(self, seed: int) -> Generator[Batch, None, None]:
        """Yield the rows as Petastorm reads them: one row group, or several small ones shuffled together, at a time."""
        reader = batch_reader(
            portable(self.url), self.columns, rank=self.rank, processes=self.processes, seed=seed % (1 << 31) + 1
        )
        draws = torch.Generator().manual_seed(seed)
        groups: list[dict[str, npt.NDArray[Any]]] = []
        rows = 0
        try:
            for group in reader:
                groups.append(group._asdict())
                rows += len(group[0])
                if rows >= SHUFFLED_ROWS:
                    yield _shuffled(groups, draws)
                    groups, rows = [], 0
            if groups:
                yield _shuffled(groups, draws)
        finally:
            reader.stop()
            reader.join()


def _prefetched(parts: Generator[Batch, None, None]) -> Generator[Batch, None, None]:
    """Yield `parts`; a thread reads and shuffles the next part while the current one is used."""
    with closing(parts), ThreadPoolExecutor(1, "feed") as reader:
        coming = reader.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = reader.submit(next, parts, None)
            yield part


def _shuffled(groups: list[dict[str, npt.NDArray[Any]]], draws: torch.Generator) -> Batch:
    """Concatenate groups and shuffle their rows, column by column, which fits the processor's cache."""
    order = torch.randperm(sum(len(next(iter(group.values()))) for group in groups), generator=draws)

    def column(name: str) -> Tensor:
        # Concatenating copies even a single part: torch warns about Arrow's memory, which is read-only.
        joined = torch.from_numpy(np.concatenate([group[name] for group in groups]))
        # Indexing by brackets, in numpy or torch, takes three times as long.
        return joined.index_select(0, order)

    return {name: column(name) for name in groups[0]}


def _endless(one_pass: Callable[[int], Generator[Batch, None, None]], seed: int) -> Generator[Batch, None, None]:
    """Yield endless passes, each in another order. Raises TrainingError if a pass has no rows."""
    for number in count():
        rows = 0
        with closing(one_pass(seed + number)) as groups:
            for group in groups:
                rows += _rows(group)
                yield group
        if rows == 0:
            raise TrainingError("a training process has no rows of its feed; lower train.processes")


def _batches(groups: Generator[Batch, None, None], size: int) -> Generator[Batch, None, None]:
    """Yield batches of exactly `size` rows, except the last. A batch is a view of its row group if possible."""
    held: Batch = {}
    with closing(groups):
        for group in groups:
            start, rows = 0, _rows(group)
            if held:
                start = min(size - _rows(held), rows)
                held = {name: torch.cat([value, group[name][:start]]) for name, value in held.items()}
                if _rows(held) < size:
                    continue
                yield held
            stop = start + (rows - start) // size * size
            for first in range(start, stop, size):
                yield _cut(group, first, first + size)
            held = _cut(group, stop, rows) if stop < rows else {}
        if held:
            yield held


def _cut(batch: Batch, start: int, stop: int) -> Batch:
    return {name: value[start:stop] for name, value in batch.items()}


def _rows(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def stacked(batch: Batch, columns: list[str], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Stack the named columns to one tensor, shape (B, columns)."""
    if not columns:
        return torch.zeros(_rows(batch), 0, dtype=dtype, device=device)
    return torch.stack([batch[c] for c in columns], dim=1).to(device=device, dtype=dtype)
