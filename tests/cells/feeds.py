"""Many small feeds with random files, row groups and processes, every value compared with what was written.

Run as `python -m tests.cells.feeds 1000`; the unit tests read a few.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from synthspark.training.petastorm_reader import batch_reader

COLUMNS = ["id", "x", "code"]


class Feed(NamedTuple):
    """A feed that was written."""

    url: str
    table: pa.Table
    row_groups: int


def write(url: str, rng: np.random.Generator) -> Feed:
    """At most 400 rows in at most four files, some of whose row groups are small."""
    rows, files, group = int(rng.integers(1, 400)), int(rng.integers(1, 5)), int(rng.integers(1, 200))
    table = pa.table({
        "id": np.arange(rows, dtype=np.int64),
        "x": rng.standard_normal(rows).astype(np.float32),
        "code": rng.integers(0, 99, rows).astype(np.int32),
    })  # fmt: skip
    fs, folder = fsspec.core.url_to_fs(url)
    fs.makedirs(folder, exist_ok=True)
    fs.touch(f"{folder}/_SUCCESS")
    groups = 0
    for number, part in enumerate(np.array_split(np.arange(rows), files)):
        if len(part):
            with fs.open(f"{folder}/{number}.parquet", "wb") as file:
                pq.write_table(table.take(pa.array(part)), file, row_group_size=group)
            groups += -(-len(part) // group)
    return Feed(url, table, groups)


def read(feed: Feed, seed: int, rank: int = 0, processes: int = 1) -> dict[str, npt.NDArray[Any]]:
    """What one process gets, in its order."""
    reader = batch_reader(feed.url, COLUMNS, rank=rank, processes=processes, seed=seed)
    try:
        groups = [group._asdict() for group in reader]
    finally:
        reader.stop()
        reader.join()
    return {name: np.concatenate([group[name] for group in groups]) for name in COLUMNS}


def difference(feed: Feed, seed: int, processes: int) -> str | None:
    """In which way what all processes read is not what was written; None where it is."""
    shared_by = min(processes, feed.row_groups)  # Petastorm refuses more processes than row groups
    parts = [read(feed, seed, rank, shared_by) for rank in range(shared_by)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    if len(found["id"]) != len(feed.table):
        return f"{len(found['id'])} of {len(feed.table)} rows"
    order = np.argsort(found["id"])
    for name in COLUMNS:
        written = feed.table[name].to_numpy()
        if found[name].dtype != written.dtype or not np.array_equal(found[name][order], written):
            return f"{name} has other values"
    return None


def differences(count: int) -> Iterator[str]:
    """Of `count` feeds, a quarter of them on a file system that is not local."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            url = f"memory://feeds/{number}" if number % 4 == 3 else f"file://{folder}/feed {number}"
            feed = write(url, rng)
            if found := difference(feed, seed=number + 1, processes=1 + number % 3):
                yield f"{url}: {found}"


if __name__ == "__main__":
    asked = int(sys.argv[1])
    short = list(differences(asked))
    sys.stdout.write(json.dumps({"feeds": asked, "wrong": short}) + "\n")
    sys.exit(bool(short))
