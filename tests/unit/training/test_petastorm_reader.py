from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthspark.training import petastorm_reader
from synthspark.training.petastorm_reader import batch_reader
from tests.cells.feeds import differences, read, write


def test_every_process_together_reads_every_value_once() -> None:
    assert list(differences(60)) == []


def test_no_row_is_lost_where_the_ventilator_ends_between_the_pools_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the interpreter had switched threads there; Petastorm's own thread pool loses every row then."""
    ventilator = petastorm_reader._reader.ConcurrentVentilator
    completed, ventilate = ventilator.completed, ventilator._ventilate

    def late(self: Any) -> Any:
        if threading.current_thread() is not self._ventilation_thread:
            time.sleep(0.02)
        return completed(self)

    def ventilate_late(self: Any) -> None:
        time.sleep(0.01)
        ventilate(self)

    monkeypatch.setattr(ventilator, "completed", late)
    monkeypatch.setattr(ventilator, "_ventilate", ventilate_late)
    pq.write_table(pa.table({"id": np.arange(50)}), tmp_path / "a.parquet", row_group_size=20)

    def rows(pool: Any) -> int:
        reader = batch_reader(f"file://{tmp_path}", ["id"], seed=1, pool=pool)
        found = sum(len(group.id) for group in reader)
        reader.stop()
        reader.join()
        return found

    assert rows(None) == 50
    assert rows(petastorm_reader._reader.ThreadPool(1, 50)) < 50


def test_the_seed_decides_the_order(tmp_path: Path) -> None:
    feed = write(f"file://{tmp_path}/feed", np.random.default_rng(5))
    assert feed.row_groups > 3
    first, again, other = (read(feed, seed)["id"].tolist() for seed in (1, 1, 2))
    assert first == again and first != other and sorted(first) == sorted(other)


def test_pyarrow_and_numpy_are_as_they_were() -> None:
    for gone in ("distutils", "pyarrow.filesystem", "pyarrow.hdfs"):
        module = sys.modules.get(gone)
        assert module is None or module.__file__ is not None  # the real one, of an old Python or pyarrow
    assert pq.ParquetDataset is not petastorm_reader.ParquetDataset
    assert type(np) is type(sys)


def test_a_missing_column_is_an_error_and_not_less_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "a.parquet")
    with pytest.raises(RuntimeError, match="No fields matching"):
        batch_reader(f"file://{tmp_path}", ["nothing"], seed=1)
