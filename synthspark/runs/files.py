"""Files and folders below one root on any Hadoop file system; errors name the operation that failed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from synthspark.errors import LakeError

MISSING_FORMAT = "DATA_SOURCE_NOT_FOUND"
STORAGE_SIGNS = ("java.io", "java.nio", "hadoop.fs", MISSING_FORMAT)
"""Substrings that mark an error as one of the storage."""
PART = re.compile(r"\.[0-9a-f]{8}\.part$")
"""Name of a text file that was written but not yet renamed to its final name."""


class Files:
    """File operations below `root`, a full URL."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        jvm = spark._jvm
        assert jvm is not None, "the job needs a classic Spark session, not Spark Connect"
        self._jvm: Any = jvm
        try:
            path = self._jvm.org.apache.hadoop.fs.Path(root)
            self._fs = path.getFileSystem(spark._jsc.hadoopConfiguration())
            self.root = str(self._fs.makeQualified(path)).rstrip("/")
        except Py4JError as error:
            raise LakeError(f"lake {root!r}: {_reason(error)}; is the scheme's jar on Spark's path?") from error

    def check_writable(self) -> None:
        """Raise LakeError if files cannot be written below the root."""
        probe = f"{self.root}/_staging/probe-{uuid.uuid4().hex[:8]}"
        self.write_text(probe, "")
        self.delete(probe)

    def exists(self, path: str) -> bool:
        """Return whether a file or folder exists."""
        with self.guarded("looking up a path"):
            return bool(self._fs.exists(self._path(path)))

    def read_text(self, path: str) -> str:
        """Read a small UTF-8 text file."""
        with self.guarded(f"reading {path}"):
            stream = self._fs.open(self._path(path))
            try:
                return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
            finally:
                stream.close()

    def write_text(self, path: str, text: str) -> None:
        """Write a small text file under a temporary name, then rename it, so that it is never seen half-written."""
        part = f"{path}.{uuid.uuid4().hex[:8]}.part"
        with self.guarded(f"writing {path}"):
            stream = self._fs.create(self._path(part), True)
            try:
                stream.write(bytearray(text.encode("utf-8")))
            finally:
                stream.close()
            self.delete(path)
            self.rename(part, path)

    def replace_text(self, path: str, text: str) -> None:
        """Replace a text file atomically where the store can: readers find the old file or the new one."""
        part = f"{path}.{uuid.uuid4().hex[:8]}.part"
        if self._fs.getScheme() == "file":  # Hadoop's own local rename deletes the old one first
            here, there = (Path(self._path(p).toUri().getPath()) for p in (part, path))
            here.write_text(text, encoding="utf-8")
            there.with_name(f".{there.name}.crc").unlink(missing_ok=True)  # checksum of an older file
            here.replace(there)
            return
        self.write_text(part, text)
        with self.guarded(f"replacing {path}"):
            fs = self._jvm.org.apache.hadoop.fs
            overwrite = self._jvm.java.lang.reflect.Array.newInstance(fs.Options.Rename.OVERWRITE.getClass(), 1)
            overwrite[0] = fs.Options.Rename.OVERWRITE
            context = fs.FileContext.getFileContext(self._path(path).toUri(), self.spark._jsc.hadoopConfiguration())
            context.rename(self._path(part), self._path(path), overwrite)

    def rename(self, source: str, target: str) -> None:
        """Move a file or folder and create the target's parents; the target must not exist."""
        self._fs.mkdirs(self._path(target).getParent())
        if not self._fs.rename(self._path(source), self._path(target)):
            raise LakeError(f"lake {self.root}: could not rename {source} to {target}")

    def copy(self, source: str, target: str) -> None:
        """Copy a folder within the lake."""
        files = self._jvm.org.apache.hadoop.fs.FileUtil
        conf = self.spark._jsc.hadoopConfiguration()
        with self.guarded(f"copying {source}"):
            self._fs.mkdirs(self._path(target).getParent())
            files.copy(self._fs, self._path(source), self._fs, self._path(target), False, conf)

    def delete(self, path: str) -> None:
        """Delete a file or folder recursively, if it exists."""
        self._fs.delete(self._path(path), True)

    def folders(self, folder: str) -> list[Any]:
        """Return the subfolders of a folder; none if it does not exist."""
        return [s.getPath() for s in self.statuses(folder) if s.isDirectory()]

    def files(self, folder: str) -> list[Any]:
        """Return the files in a folder; none if it does not exist."""
        return [s.getPath() for s in self.statuses(folder) if s.isFile()]

    def statuses(self, folder: str) -> list[Any]:
        """Return Hadoop's FileStatus of each entry of a folder; none if it does not exist."""
        path = self._path(folder)
        return list(self._fs.listStatus(path)) if self._fs.exists(path) else []

    def _path(self, path: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(path)

    @contextmanager
    def guarded(self, doing: str) -> Iterator[None]:
        """Turn storage errors of Spark and Hadoop into a LakeError that names the operation `doing`."""
        try:
            yield
        except (Py4JJavaError, PySparkException) as error:
            reason = _reason(error)
            if any(sign in reason for sign in STORAGE_SIGNS):
                raise LakeError(f"lake {self.root}: {doing} failed: {reason}{_advice(reason)}") from error
            raise


def _reason(error: BaseException) -> str:
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        # Spark's own error names the missing format; the root cause below it names only an internal class.
        while cause.getCause() is not None and MISSING_FORMAT not in str(cause.toString()):
            cause = cause.getCause()
        return str(cause.toString()).splitlines()[0]
    return str(error).splitlines()[0]


def _advice(reason: str) -> str:
    if "Permission denied" in reason or "Mkdirs failed" in reason or "Read-only" in reason:
        return " (the lake must be writable: check its permissions, or set lake.root elsewhere)"
    if MISSING_FORMAT in reason or "ClassNotFound" in reason:
        return " (add the format's package to spark.jars.packages)"
    return ""
