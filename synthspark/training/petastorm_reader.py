"""Petastorm's batch reader on every supported pyarrow, numpy and Python, without the race that loses rows.

The only file that imports Petastorm. Version 0.12.1 was written against data set classes that pyarrow dropped after
version 14, two numpy names that numpy 2 dropped, and `distutils`, which Python 3.12 dropped. The stand-ins for them are
in `sys.modules` only while Petastorm is imported, and afterwards only in the namespaces of Petastorm's own modules:
pyarrow and numpy themselves stay as they are. docs/decisions/001-petastorm.md describes the race and the measurements.
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
"""Of file names that are no data, as `_SUCCESS` and `.part-0.parquet.crc`."""


def _module(name: str, **content: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(content)
    return module


class _Unavailable:
    """Stands for a class that Petastorm imports but does not use when it is given a file system."""

    def __init__(self, *_: Any) -> None:
        raise NotImplementedError("synthspark gives Petastorm an fsspec file system; this class is not supported")


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Provide the modules and the exception that Petastorm imports, for as long as the block runs."""
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
            warnings.simplefilter("ignore")  # Petastorm warns of its own deprecated imports
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
    """One row group of a Parquet file; the whole file, for its metadata, where `index` is None."""

    partition_keys: tuple[()] = ()

    def __init__(self, fs: Any, path: str, footer: pq.FileMetaData, index: int | None = None) -> None:
        self.fs, self.path, self.footer, self.index = fs, path, footer, index

    def get_metadata(self) -> pq.FileMetaData:
        """Of the file."""
        return self.footer

    def read(self, columns: set[str], partitions: None = None) -> pa.Table:
        """The named columns of this row group. Petastorm passes `partitions` to every piece; feeds have none."""
        with pq.ParquetFile(_source(self.fs, self.path), metadata=self.footer) as file:
            return file.read_row_group(self.index, columns=sorted(columns))


def _source(fs: Any, path: str) -> Any:
    """What pyarrow opens. A local path is opened by Arrow itself: a Python file needs the interpreter lock per read."""
    return path if isinstance(fs, LocalFileSystem) else fs.open(path, "rb")


class _NoFiles:
    """The worker opens the file of every row group and hands it on to `RowGroup.read`, which does not need it."""

    @staticmethod
    def open(_: str) -> None:
        return None


class ParquetDataset:
    """The part of pyarrow's former ParquetDataset that Petastorm's batch reader uses: a flat directory of files."""

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
        """The row groups of all files, in the order of the file names."""
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

    The ventilator has handed out everything before the first row group is read. Petastorm's own pools look twice, at
    the number of pending items and at whether the ventilator has completed; if it hands out its last items and ends
    between the two looks, they report the end of the data and the rest is lost.
    """

    workers_count = 1 << 30
    """Petastorm lets this many items wait, so the ventilator never does."""

    def start(self, worker_class: Any, worker_args: Any, ventilator: Any) -> None:
        """Collect all items; called once by the reader."""
        self._items: deque[dict[str, Any]] = deque()
        self._tables: deque[pa.Table] = deque()
        self._worker = worker_class(0, self._tables.append, worker_args)
        ventilator.start()
        ventilator._ventilation_thread.join()

    def ventilate(self, **item: Any) -> None:
        """Called by the ventilator with what the worker needs to find one row group."""
        self._items.append(item)

    def get_results(self) -> pa.Table:
        """The next row group's rows. Raises EmptyResultError after the last."""
        while not self._tables:
            if not self._items:
                raise EmptyResultError
            self._worker.process(**self._items.popleft())
        return self._tables.popleft()

    def stop(self) -> None:
        """Forget what has not been read."""
        self._items.clear()

    def join(self) -> None:
        """Nothing runs that could be waited for."""


def batch_reader(
    url: str, columns: list[str], *, rank: int = 0, processes: int = 1, seed: int, pool: Any = None
) -> Any:
    """Petastorm's Reader of one process's row groups: an iterator of named tuples of numpy arrays.

    url: directory of Parquet files, with a scheme that fsspec knows.
    seed: decides the order of the row groups and which process gets which; 0 would mean not reproducible.
    pool: another Petastorm pool, for comparisons; None is a SequentialPool.
    Raises petastorm.errors.NoDataAvailableError where this process gets no row group.
    """
    fs, path = fsspec.core.url_to_fs(url)
    return _reader.Reader(
        fs, path, schema_fields=[f"^{name}$" for name in columns], worker_class=_worker.ArrowReaderWorker,
        reader_pool=pool or SequentialPool(), is_batched_reader=True, num_epochs=1, seed=seed,
        cur_shard=rank, shard_count=processes,
    )  # fmt: skip
