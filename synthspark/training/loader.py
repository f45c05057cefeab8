"""The feed: Petastorm reads this process's shard of a Parquet directory as batches of tensors.

The only file that imports Petastorm. Why these settings and no others: docs/decisions/001-petastorm-pins.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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

    One worker thread: more are faster, but their order cannot be reproduced.
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
            # One process passes once. Several must not run dry before the others: their shards differ in size.
            num_epochs=1 if processes == 1 else None,
        )
    try:
        loader = BatchedDataLoader(
            reader, batch_size=batch_size, shuffling_queue_capacity=max(SHUFFLING_ROWS, 2 * batch_size)
        )
        yield iter(loader)
    finally:
        reader.stop()
        reader.join()


def stacked(batch: dict[str, Tensor], columns: list[str], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The named columns as one tensor, shape (B, columns)."""
    if not columns:
        rows = len(next(iter(batch.values())))
        return torch.zeros(rows, 0, dtype=dtype, device=device)
    return torch.stack([batch[c] for c in columns], dim=1).to(device=device, dtype=dtype)
