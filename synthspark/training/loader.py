"""The feed: Petastorm reads this process's shard of a Parquet directory as batches of tensors.

The only file that imports Petastorm. Why these settings and no others: docs/decisions/001-petastorm-pins.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

import fsspec
import pyarrow.parquet as pq
import torch
from torch import Tensor

from synthspark.errors import TrainingError
from synthspark.training.storage import portable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of what it deprecates itself
    from petastorm import make_batch_reader
    from petastorm.pytorch import BatchedDataLoader

SHUFFLING_ROWS = 16_384


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


@contextmanager
def feed(
    url: str, columns: list[str], batch_size: int, rank: int, processes: int, seed: int
) -> Iterator[Iterator[dict[str, Tensor]]]:
    """Batches of this process's shard, in an order that the seeds decide: one pass, or endless if shared.

    Several processes must not run dry before each other: their shards differ in size. So a shared feed starts over, and
    fills up the last batch of a pass from the next one.
    """
    one_pass = partial(_one_pass, url, columns, batch_size, rank, processes)
    batches = one_pass(seed) if processes == 1 else _endless(one_pass, batch_size, seed)
    try:
        yield batches
    finally:
        batches.close()


def _one_pass(
    url: str, columns: list[str], batch_size: int, rank: int, processes: int, seed: int
) -> Generator[dict[str, Tensor], None, None]:
    """Every row of the shard once.

    One worker thread: more are faster, but their order cannot be reproduced. One epoch: at the start of a further one
    Petastorm draws the order again for as long as its queue is full, so that time decides it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = make_batch_reader(
            portable(url),
            schema_fields=[f"^{c}$" for c in columns],
            reader_pool_type="thread",
            workers_count=1,
            cur_shard=rank,
            shard_count=processes,
            seed=seed % (1 << 31) + 1,  # 0 would mean: not reproducible
            num_epochs=1,
        )
    try:
        yield from BatchedDataLoader(
            reader, batch_size=batch_size, shuffling_queue_capacity=max(SHUFFLING_ROWS, 2 * batch_size)
        )
    finally:
        reader.stop()
        reader.join()


def _endless(
    one_pass: Callable[[int], Iterable[dict[str, Tensor]]], batch_size: int, seed: int
) -> Generator[dict[str, Tensor], None, None]:
    """Passes without end, each in an order of its own, as batches of exactly `batch_size`."""
    held: dict[str, Tensor] = {}
    for number in count():
        rows = 0
        for batch in one_pass(seed + number):
            rows += _rows(batch)
            held = {name: torch.cat([held[name], value]) for name, value in batch.items()} if held else batch
            while held and _rows(held) >= batch_size:
                yield {name: value[:batch_size] for name, value in held.items()}
                held = {name: value[batch_size:] for name, value in held.items()} if _rows(held) > batch_size else {}
        if rows == 0:
            raise TrainingError("a process of training has no row of its feed; lower train.processes")


def _rows(batch: dict[str, Tensor]) -> int:
    return len(next(iter(batch.values())))


def stacked(batch: dict[str, Tensor], columns: list[str], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The named columns as one tensor, shape (B, columns)."""
    if not columns:
        return torch.zeros(_rows(batch), 0, dtype=dtype, device=device)
    return torch.stack([batch[c] for c in columns], dim=1).to(device=device, dtype=dtype)
