"""Factors of the other side: memory-mapped from disk, or on the GPU if they are small."""

from __future__ import annotations

import tempfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from synthspark.errors import TrainingError
from synthspark.training.storage import portable

CPU = torch.device("cpu")

ON_GPU_BYTES = 1 << 31
"""Maximum size of a table that is kept on the GPU, about eight million entities; otherwise rows are copied per step."""


class Counterpart:
    """Table of factors and log popularity by index, from which negatives are drawn. Raises TrainingError if empty."""

    def __init__(self, url: str, rank: int, device: torch.device = CPU) -> None:
        fs, path = fsspec.core.url_to_fs(portable(url))
        files = [pq.ParquetFile(fs.open(f)) for f in sorted(fs.glob(f"{path}/*.parquet"))]
        columns = ["index", *[f"factor_{i:02d}" for i in range(rank)], "log_popularity"]
        size, present = 0, []
        for file in files:
            for batch in file.iter_batches(columns=["index"]):
                present.append(batch.column(0).to_numpy())
                size = max(size, int(present[-1].max(initial=-1)) + 1)
        if size == 0:
            raise TrainingError(f"factor table {url}: it has no row; featurize again")
        self.present = torch.from_numpy(np.sort(np.concatenate(present)).astype(np.int64))
        # The file is deleted at once, so none is left if the process is killed; the mapping stays valid.
        with tempfile.TemporaryDirectory(prefix="synthspark-factors-") as folder:
            table = np.memmap(Path(folder) / "factors", dtype=np.float32, mode="w+", shape=(size, rank + 1))
        for file in files:
            for batch in file.iter_batches(columns=columns):
                table[batch.column(0).to_numpy()] = np.column_stack([c.to_numpy() for c in batch.columns[1:]])
        table.flush()
        mapped = torch.from_numpy(table)
        popularity = mapped[self.present, -1].double().exp()
        self._q = 0.5 / len(self.present) + 0.5 * popularity / popularity.sum()
        self._upto = torch.cumsum(self._q, 0)
        self.table = mapped.to(device if table.nbytes <= ON_GPU_BYTES else CPU)
        """[factor, log popularity] by index, shape (size, R + 1)."""

    def negatives(self, count: int) -> tuple[Tensor, Tensor]:
        """Draw `count` rows, half uniformly and half by popularity; returns the rows (M, R+1) and log q of each (M,).

        They are drawn on the CPU, so they do not depend on the table's device.
        """
        drawn = torch.searchsorted(self._upto, torch.rand(count, dtype=torch.float64) * self._upto[-1])
        drawn = drawn.clamp(max=len(self.present) - 1)
        return self.rows(self.present[drawn]), self._q[drawn].log().float()

    def rows(self, index: Tensor) -> Tensor:
        """Return rows of the table; indices below 0 (no positive) give row 0, which the caller must mask."""
        return self.table[index.clamp(min=0).to(self.table.device)]
