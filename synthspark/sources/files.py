"""List the files behind a path as Spark does, and read the beginnings of their text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from pyspark.sql import SparkSession

LISTING = ("pathglobfilter", "recursivefilelookup", "modifiedbefore", "modifiedafter", "ignoremissingfiles")
"""Options of Spark's readers that decide which files are read, in lower case."""
THREADS = 16
"""Number of files inspected at the same time; the threads mostly wait for storage."""

Found = TypeVar("Found")


def option(options: Mapping[str, str], name: str, otherwise: str = "") -> str:
    """Return a reader's option; like in Spark, letter case of the name does not matter."""
    return next((str(v) for k, v in options.items() if k.lower() == name.lower()), otherwise)


def input_files(spark: SparkSession, path: str, options: Mapping[str, str]) -> list[str]:
    """Return every file that Spark would read below `path` (or a pattern), sorted.

    Raises AnalysisException if there is none.
    """
    asked = {k: v for k, v in options.items() if k.lower() in LISTING}
    uri: Any = spark._jvm.java.net.URI  # type: ignore[union-attr]
    hadoop_path: Any = spark._jvm.org.apache.hadoop.fs.Path  # type: ignore[union-attr]
    listed = spark.read.format("text").options(**asked).load(path).inputFiles()
    return sorted(hadoop_path(uri(name)).toString() for name in listed)


def literal(path: str) -> str:
    """Escape a file's path so that Spark does not read it as a pattern."""
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", path)


def base_path(spark: SparkSession, path: str) -> dict[str, str]:
    """Return the option that keeps partition columns when single files below the folder `path` are read."""
    where: Any = spark._jvm.org.apache.hadoop.fs.Path(path)  # type: ignore[union-attr]
    files = where.getFileSystem(spark._jsc.hadoopConfiguration())
    is_folder = files.exists(where) and files.getFileStatus(where).isDirectory()
    return {"basePath": path} if is_folder else {}


def first_bytes(spark: SparkSession, path: str, size: int) -> bytes:
    """Return up to `size` bytes of a file's beginning, decompressed."""
    jvm: Any = spark._jvm
    conf = spark._jsc.hadoopConfiguration()
    where = jvm.org.apache.hadoop.fs.Path(path)
    packed = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(conf).getCodec(where)
    stream = where.getFileSystem(conf).open(where)
    try:
        plain = stream if packed is None else packed.createInputStream(stream)
        bounded = jvm.org.apache.commons.io.input.BoundedInputStream(plain, size)
        return bytes(jvm.org.apache.commons.io.IOUtils.toByteArray(bounded))
    finally:
        stream.close()


def of_each(files: Sequence[str], look: Callable[[str], Found]) -> list[Found]:
    """Apply `look` to every file, several at the same time; results are in the order of `files`."""
    if len(files) == 1:
        return [look(files[0])]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(look, files))


@contextmanager
def settings(spark: SparkSession, wanted: Mapping[str, str]) -> Iterator[None]:
    """Change settings of the Spark session for the block and restore them afterwards."""
    before = {name: spark.conf.get(name, None) for name in wanted}
    for name, value in wanted.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            spark.conf.unset(name) if old is None else spark.conf.set(name, old)
