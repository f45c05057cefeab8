"""The feed: Petastorm reads this process's shard of a Parquet directory by row groups, which are cut into batches here.

Petastorm's own loader shuffles row by row and costs four to seven times as much; rows of a feed lie in an order of
hashes already, so that it is enough to shuffle the row groups and the rows within each. Why these settings and no
others: docs/decisions/001-petastorm.md.
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
"""Largest feed that stays in memory between its passes: starting a reader takes longer than a pass over it."""
BYTES_PER_VALUE = 8
Batch = dict[str, Tensor]
"""Columns of as many rows each."""


def check_feed(url: str, num_rows: int, processes: int) -> None:
    """Raises TrainingError unless the Parquet footers hold `num_rows` rows in at least `processes` row groups.

    Petastorm itself returns fewer rows without a word when a file is missing, and hangs ranks that got no row group.
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
    """Rows per step and process: the batch size, or the whole shard where that is smaller."""
    return max(1, min(batch_size, num_rows // processes))


def steps_per_epoch(num_rows: int, processes: int, batch_size: int) -> int:
    """Steps of an epoch, the same on every process, whatever rows its shard happens to have."""
    return max(1, num_rows // processes // batch_rows(num_rows, processes, batch_size))


@dataclass(frozen=True)
class Shard:
    """What one process reads of a feed, for as many passes as it is asked for."""

    url: str
    columns: list[str]
    num_rows: int
    """Of the whole feed."""
    rank: int = 0
    processes: int = 1

    @contextmanager
    def batches(self, size: int, seed: int) -> Iterator[Iterator[Batch]]:
        """Batches in an order that the seed decides, the last of them perhaps smaller: one pass, or endless if shared.

        Several processes must not run dry before each other: their shards differ in size. So a shared feed starts over,
        and fills up the last batch of a pass from the next one.
        """
        batches = _batches(self._pass(seed) if self.processes == 1 else _endless(self._pass, seed), size)
        try:
            yield batches
        finally:
            batches.close()

    def _pass(self, seed: int) -> Generator[Batch, None, None]:
        """The rows once, in parts that are shuffled."""
        if self._held is None:
            yield from _ahead(self._row_groups(seed))
        elif self._held:
            yield _shuffled([self._held], torch.Generator().manual_seed(seed))

    @cached_property
    def _held(self) -> dict[str, npt.NDArray[Any]] | None:
        """All rows, in an order that is the same in every process that goes on; None if they are too many."""
        if self.num_rows * len(self.columns) * BYTES_PER_VALUE > HELD_BYTES:
            return None
        parts = list(self._row_groups(0))
        return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]} if parts else {}

    def _row_groups(self, seed: int) -> Generator[Batch, None, None]:
        """The rows as Petastorm reads them, a row group at a time, or several that are small: shuffled together."""
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


def _ahead(parts: Generator[Batch, None, None]) -> Generator[Batch, None, None]:
    """`parts`, each read and shuffled by a thread while the one before is used, so that large steps do not wait."""
    with closing(parts), ThreadPoolExecutor(1, "feed") as reader:
        coming = reader.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = reader.submit(next, parts, None)
            yield part


def _shuffled(groups: list[dict[str, npt.NDArray[Any]]], draws: torch.Generator) -> Batch:
    """Their rows in one drawn order. Column by column, which stays within the processor's cache."""
    order = torch.randperm(sum(len(next(iter(group.values()))) for group in groups), generator=draws)

    def column(name: str) -> Tensor:
        # Joined even where it is one part, and so copied: torch warns of Arrow's memory, which is read-only.
        joined = torch.from_numpy(np.concatenate([group[name] for group in groups]))
        # Indexing by brackets, numpy's or torch's, takes three times as long.
        return joined.index_select(0, order)

    return {name: column(name) for name in groups[0]}


def _endless(one_pass: Callable[[int], Generator[Batch, None, None]], seed: int) -> Generator[Batch, None, None]:
    """Passes without end, each in an order of its own."""
    for number in count():
        rows = 0
        with closing(one_pass(seed + number)) as groups:
            for group in groups:
                rows += _rows(group)
                yield group
        if rows == 0:
            raise TrainingError("a process of training has no row of its feed; lower train.processes")


def _batches(groups: Generator[Batch, None, None], size: int) -> Generator[Batch, None, None]:
    """The rows in batches of exactly `size`, but for the last. A batch is a view of its row group where it can be."""
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
    """The named columns as one tensor, shape (B, columns)."""
    if not columns:
        return torch.zeros(_rows(batch), 0, dtype=dtype, device=device)
    return torch.stack([batch[c] for c in columns], dim=1).to(device=device, dtype=dtype)
