"""Compare the speed of Petastorm's reader in the cells of the test matrix: `make benchmark-feed`.

Writes benchmarks/results/feed_speed.json; docs/decisions/001-petastorm.md has its table. Only cells that `make
test-matrix` has installed are read. One feed of 300,000 rows and 60 columns (half of them integers) is read by each
cell's environment in turn, ROUNDS times, in a process of its own, and each figure is the median of rows per second of
CPU time. `stock` is Petastorm 0.12.1 without the adapter and with its own pool of one thread, where its imports still
work (pyarrow 14, numpy 1.26, Python 3.11); `scan` is pyarrow alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from synthspark.supported import CELLS, DEFAULT_CELL  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "feed_speed.json"
ROUNDS, PASSES = 5, 3
ROWS, COLUMNS, FILES, ROW_GROUP = 300_000, 60, 6, 17_000
STOCK_CELL = "py311-spark40"
NAMES = [f"c{number}" for number in range(COLUMNS)]


def main() -> None:
    """Read the feed in every cell that is installed and write the medians."""
    cells = {name: python for name in CELLS.values() if (python := _python(name)).exists()}
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in cells}
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        for _ in range(ROUNDS):
            for name, python in cells.items():
                for kind in ("adapter", "scan", *(["stock"] if name == STOCK_CELL else [])):
                    command = [str(python), __file__, "--read", folder, kind]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    figures[name].setdefault(kind, []).append(float(done.stdout))
    medians = {name: {kind: round(statistics.median(values)) for kind, values in kinds.items()}
               for name, kinds in figures.items()}  # fmt: skip
    RESULTS.write_text(json.dumps({"rows_per_cpu_second": medians}, indent=1) + "\n")
    sys.stdout.write(RESULTS.read_text())


def _python(cell: str) -> Path:
    folder = ROOT / ".venv" if cell == DEFAULT_CELL else ROOT / ".cells" / cell
    return folder / "bin" / "python"


def _write(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ROWS // FILES
    for number in range(FILES):
        table = {
            name: rng.integers(0, 50, rows, dtype=np.int32)
            if place % 2
            else rng.standard_normal(rows, dtype=np.float32)
            for place, name in enumerate(NAMES)
        }
        pq.write_table(pa.table(table), folder / f"{number}.parquet", row_group_size=ROW_GROUP)


def read(folder: str, kind: str) -> float:
    """Return the rows per second of CPU time of PASSES passes over the feed, after one that is not counted."""
    pa.set_cpu_count(1)
    one_pass: Callable[[], int] = {"adapter": _adapter, "stock": _stock, "scan": _scan}[kind](folder)
    one_pass()
    began = time.process_time()
    rows = sum(one_pass() for _ in range(PASSES))
    if rows != PASSES * ROWS:
        raise SystemExit(f"{kind} read {rows} of {PASSES * ROWS} rows")
    return rows / (time.process_time() - began)


def _adapter(folder: str) -> Callable[[], int]:
    from synthspark.training.petastorm_reader import batch_reader

    return lambda: _rows_of(batch_reader(f"file://{folder}", NAMES, seed=1))


def _stock(folder: str) -> Callable[[], int]:
    warnings.simplefilter("ignore")  # its deprecated imports
    from petastorm import make_batch_reader

    fields = [f"^{name}$" for name in NAMES]
    return lambda: _rows_of(make_batch_reader(f"file://{folder}", schema_fields=fields, workers_count=1, seed=1,
                                              reader_pool_type="thread", num_epochs=1))  # fmt: skip


def _rows_of(reader: Any) -> int:
    try:
        return sum(len(group[0]) for group in reader)
    finally:
        reader.stop()
        reader.join()


def _scan(folder: str) -> Callable[[], int]:
    def one_pass() -> int:
        rows = 0
        for path in sorted(Path(folder).glob("*.parquet")):
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    columns = [column.to_numpy() for column in file.read_row_group(group, columns=NAMES).columns]
                    rows += len(columns[0])
        return rows

    return one_pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--read", nargs=2, metavar=("FOLDER", "KIND"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        sys.stdout.write(str(read(*given.read)))
    else:
        main()
