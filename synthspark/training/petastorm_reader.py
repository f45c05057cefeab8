"""Petastorm's batch reader for every supported pyarrow, numpy and Python, without the race that loses rows.

Only this file imports Petastorm. Its version 0.12.1 uses data set classes that pyarrow dropped after version 14, two
names that numpy 2 dropped, and `distutils`, which Python 3.12 dropped. Stand-ins for them are in `sys.modules` only
while Petastorm is imported, and afterwards only in the namespaces of Petastorm's own modules: pyarrow and numpy are not
modified. docs/decisions/001-petastorm.md describes the race and the measurements.
"""

from __future__ import annotations

import sys
import types
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

IGNORED_PREFIXES = ("_", ".")
"""Prefixes of names of files without data, such as `_SUCCESS` and `.part-0.parquet.crc`."""


def _module(name: str, **content: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(content)
    return module


class _Unavailable:
    """Stand-in for a class that Petastorm imports but does not use if it is given a file system."""

    def __init__(self, *_: Any) -> None:
        raise NotImplementedError("synthspark gives Petastorm an fsspec file system; this class is not supported")


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Provide the modules and the exception that Petastorm imports, during the block."""
    missing = {
        "distutils": _module("distutils"),
        "distutils.version": _module("distutils.version", LooseVersion=_Unavailable),
        "pyarrow.filesystem": _module("pyarrow.filesystem", LocalFileSystem=_Unavailable),
        "pyarrow.hdfs": _module("pyarrow.hdfs", HadoopFileSystem=_Unavailable),
    }
    before = {name: sys.modules.get(name) for name in missing}
    sys.modules.update(missing)
    has_io_error = hasattr(pa.lib, "ArrowIOError")
    if not has_io_error:
        pa.lib.ArrowIOError = OSError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Petastorm's own deprecated imports
            yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
        if not has_io_error:
            del pa.lib.ArrowIOError


class RowGroup:
    """One row group of a Parquet file; if `index` is None, the whole file, for its metadata."""

    partition_keys: tuple[()] = ()

    def __init__(self, fs: Any, path: str, footer: pq.FileMetaData, index: int | None = None) -> None:
        self.fs, self.path, self.footer, self.index = fs, path, footer, index

    def get_metadata(self) -> pq.FileMetaData:
        """Return the metadata of the file."""
        return self.footer

    def read(self, columns: set[str], partitions: None = None) -> pa.Table:
        """Read the named columns of this row group. Petastorm passes `partitions`; feeds have none."""
        with pq.ParquetFile(_source(self.fs, self.path), metadata=self.footer) as file:
            return file.read_row_group(self.index, columns=sorted(columns))


def _source(fs: Any, path: str) -> Any:
    """Return what pyarrow opens: a local path, or a file object of other file systems.

    Arrow opens local paths itself; reads from Python file objects need the interpreter lock.
    """
    return path if isinstance(fs, LocalFileSystem) else fs.open(path, "rb")


class _NoFiles:
    """File system without files: the worker opens a file per row group, but `RowGroup.read` does not need it."""

    @staticmethod
    def open(_: str) -> None:
        return None


class ParquetDataset:
    """Part of pyarrow's former ParquetDataset that Petastorm's batch reader uses: a flat directory of files."""

    metadata = common_metadata = partitions = None
    fs = _NoFiles

    def __init__(self, path: str, filesystem: Any, filters: None = None, **_: Any) -> None:
        if filters is not None:
            raise NotImplementedError("filters are not supported by the feed's reader")
        self.paths = path
        names = (name for name in filesystem.ls(path, detail=False) if name.endswith(".parquet"))
        data = sorted(name for name in names if not name.rsplit("/", 1)[-1].startswith(IGNORED_PREFIXES))
        self.pieces = [RowGroup(filesystem, name, _footer(filesystem, name)) for name in data]

    def row_groups(self) -> list[RowGroup]:
        """Return the row groups of all files, in the order of the file names."""
        return [RowGroup(file.fs, file.path, file.footer, index)
                for file in self.pieces for index in range(file.footer.num_row_groups)]  # fmt: skip


def _footer(fs: Any, path: str) -> pq.FileMetaData:
    with pq.ParquetFile(_source(fs, path)) as file:
        return file.metadata


class _Numpy(types.ModuleType):
    """numpy with the two names that numpy 2 dropped."""

    unicode_, string_ = np.str_, np.bytes_

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


with _stand_ins():
    import petastorm.arrow_reader_worker as _worker
    import petastorm.reader as _reader
    import petastorm.unischema as _unischema
    from petastorm.etl import dataset_metadata as _dataset_metadata
    from petastorm.workers_pool import EmptyResultError

_PARQUET = _module("pyarrow.parquet", ParquetDataset=ParquetDataset, read_metadata=pq.read_metadata)
for _patched in (_worker, _reader, _dataset_metadata):
    _patched.pq = _PARQUET
for _patched in (_worker, _unischema):
    _patched.np = _Numpy("numpy")
_worker.ParquetFile = lambda _: None
_dataset_metadata.load_row_groups = ParquetDataset.row_groups


class SequentialPool:
    """A Petastorm pool that reads row groups in the caller's thread, in the order of the ventilator.

    The ventilator passes on all items before the first row group is read. Petastorm's own pools make two separate
    checks, of the number of pending items and of whether the ventilator has completed. If the ventilator passes on its
    last items and ends between these checks, the pools report the end of the data and the remaining rows are lost.
    """

    workers_count = 1 << 30
    """Number of items that Petastorm lets wait; so large that the ventilator never blocks."""

    def start(self, worker_class: Any, worker_args: Any, ventilator: Any) -> None:
        """Collect all items. Called once by the reader."""
        self._items: deque[dict[str, Any]] = deque()
        self._tables: deque[pa.Table] = deque()
        self._worker = worker_class(0, self._tables.append, worker_args)
        ventilator.start()
        ventilator._ventilation_thread.join()

    def ventilate(self, **item: Any) -> None:
        """Queue one row group. Called by the ventilator with the arguments of the worker."""
        self._items.append(item)

    def get_results(self) -> pa.Table:
        """Return the rows of the next row group. Raises EmptyResultError after the last."""
        while not self._tables:
            if not self._items:
                raise EmptyResultError
            self._worker.process(**self._items.popleft())
        return self._tables.popleft()

    def stop(self) -> None:
        """Discard row groups that have not been read."""
        self._items.clear()

    def join(self) -> None:
        """Do nothing; there are no threads to wait for."""


def batch_reader(
    url: str, columns: list[str], *, rank: int = 0, processes: int = 1, seed: int, pool: Any = None
) -> Any:
    """Return Petastorm's Reader of one process's row groups: an iterator of named tuples of numpy arrays.

    url: directory of Parquet files, with a scheme that fsspec knows.
    seed: seed of the order of row groups and of their assignment to processes; 0 would not be reproducible.
    pool: another Petastorm pool, for comparisons; None for a SequentialPool.
    Raises petastorm.errors.NoDataAvailableError if this process gets no row group.
    """
    fs, path = fsspec.core.url_to_fs(url)
    return _reader.Reader(
        fs, path, schema_fields=[f"^{name}$" for name in columns], worker_class=_worker.ArrowReaderWorker,
        reader_pool=pool or SequentialPool(), is_batched_reader=True, num_epochs=1, seed=seed,
        cur_shard=rank, shard_count=processes,
    )  # fmt: skip
