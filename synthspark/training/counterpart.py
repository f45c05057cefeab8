"""The other side's factors: mapped from disk, so that no process holds them in its own memory, or on its GPU."""

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
"""Of a table that a GPU holds, some eight million entities: else the rows of each step are copied there."""


class Counterpart:
    """Factors and log popularity by index, and the drawing of negatives among the entities that have a factor."""

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
        # No file is left when the process is killed: what is mapped stays when its name is gone.
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
        """`count` rows of the table, drawn half uniformly and half by popularity, and log q of each: (M, R+1), (M,).

        They are drawn on the CPU, wherever the table lies, and so are the same ones.
        """
        drawn = torch.searchsorted(self._upto, torch.rand(count, dtype=torch.float64) * self._upto[-1])
        drawn = drawn.clamp(max=len(self.present) - 1)
        return self.rows(self.present[drawn]), self._q[drawn].log().float()

    def rows(self, index: Tensor) -> Tensor:
        """Rows of the table; what lies below 0 (no positive) gives row 0, to be masked by the caller."""
        return self.table[index.clamp(min=0).to(self.table.device)]
