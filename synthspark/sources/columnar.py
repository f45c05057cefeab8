"""Parquet and ORC whose files need not have the same columns, the same types or times that Spark knows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.errors import SourceError
from synthspark.schemas import quoted
from synthspark.sources.failures import SPARK_FAILURES
from synthspark.sources.files import base_path, input_files, literal, of_each, option
from synthspark.sources.merging import Part, union

NANOS_AS_LONG = "spark.sql.legacy.parquet.nanosAsLong"
ZONED_ORC = "timestamp with local time zone"
SPARKS_OWN = "spark.sql.catalyst.type"
"""Attribute of ORC columns that Spark has written, with their type in Spark."""
_NANOS = re.compile(r"^  (?:optional|required) int64 (.+) \(TIMESTAMP\(NANOS,(true|false)\)\)", re.MULTILINE)
"""In a Parquet schema as it is written out: a column of the table itself, and whether its times are UTC."""


class _Footer(NamedTuple):
    """What a Parquet file says of itself."""

    schema: str
    names: tuple[str, ...]
    """Of its columns."""
    rows: int


def read_parquet(
    spark: SparkSession, path: str, options: Mapping[str, str], needed: Sequence[str], where: str
) -> DataFrame:
    """All columns of all files; where Spark cannot merge their schemas, file by file (`merging.union`).

    TIMESTAMP(NANOS), as pandas writes it, becomes a timestamp; with no zone if the file says none.
    """
    merged = options if option(options, "mergeSchema") else {**options, "mergeSchema": "true"}
    try:
        if spark.conf.get(NANOS_AS_LONG, "false") == "false":
            return spark.read.options(**merged).parquet(path)
    except SPARK_FAILURES:  # types that differ, or that Spark does not know: the footers tell more
        pass
    return _by_schema(spark, path, options, needed, where)


def read_orc(spark: SparkSession, path: str, options: Mapping[str, str], where: str) -> DataFrame:
    """All columns of all files. Times of ORC's `timestamp` that Spark has not written have no zone.

    Raises SourceError for ORC's `timestamp with local time zone`, which Spark does not read.
    """
    files = input_files(spark, path, options)
    schemas = of_each(files, lambda f: _orc_schema(spark, f))
    if any(ZONED_ORC in schema.toString() for schema in schemas):
        raise SourceError(
            f"{where}: its files have columns of ORC's type {ZONED_ORC!r}, which Spark does not read; write them as "
            "timestamp, or the table as Parquet"
        )
    for file, schema in zip(files, schemas, strict=True):
        _require_told_apart([str(name) for name in schema.getFieldNames()], file, where)
    merged = {} if option(options, "mergeSchema") or len(files) == 1 else {"mergeSchema": "true"}
    frame = spark.read.options(**options, **merged).orc(path)
    naive = {name for schema in schemas for name in _naive_times(schema)}
    zone = str(spark._jvm.java.util.TimeZone.getDefault().getID())  # type: ignore[union-attr]

    def column(name: str) -> Column:
        found = F.col(quoted(name))
        # The reader takes them for local times of the JVM.
        return F.from_utc_timestamp(found, zone).cast("timestamp_ntz") if name in naive else found

    return frame.select([column(name).alias(name) for name in frame.columns]) if naive else frame


def _require_told_apart(names: Sequence[str], file: str, where: str) -> None:
    """Raises SourceError for columns that differ by letter case only: these formats are read by names."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            raise SourceError(f"{where}: {file} has columns {seen[name.lower()]!r} and {name!r}, which Spark does "
                              "not tell apart; rename one")  # fmt: skip
        seen[name.lower()] = name


def _orc_schema(spark: SparkSession, file: str) -> Any:
    """What a file's footer says of its columns."""
    jvm: Any = spark._jvm
    asked = jvm.org.apache.orc.OrcFile.readerOptions(spark._jsc.hadoopConfiguration())
    reader = jvm.org.apache.orc.OrcFile.createReader(jvm.org.apache.hadoop.fs.Path(file), asked)
    try:
        return reader.getSchema()
    finally:
        reader.close()


def _naive_times(schema: Any) -> list[str]:
    columns = zip(schema.getFieldNames(), schema.getChildren(), strict=True)
    return [
        str(name)
        for name, kind in columns
        if str(kind.getCategory()) == "TIMESTAMP" and kind.getAttributeValue(SPARKS_OWN) is None
    ]


def _by_schema(
    spark: SparkSession, path: str, options: Mapping[str, str], needed: Sequence[str], where: str
) -> DataFrame:
    files = input_files(spark, path, options)
    footers = of_each(files, lambda f: _footer(spark, f))
    for file, found in zip(files, footers, strict=True):
        _require_told_apart(found.names, file, where)
    any_rows = any(found.rows for found in footers)
    groups: dict[str, list[str]] = {}
    for file, found in zip(files, footers, strict=True):
        if found.rows or not any_rows:  # of no row, a file has no say
            groups.setdefault(found.schema, []).append(file)
    if any("TIMESTAMP(NANOS" in schema for schema in groups):
        spark.conf.set(NANOS_AS_LONG, "true")  # for good: Spark asks for it again when it reads the rows
    base, parts = base_path(spark, path), []
    plain = {k: v for k, v in options.items() if k.lower() != "mergeschema"}
    for schema, names in groups.items():
        frame = spark.read.options(**{**plain, **base}).parquet(*[literal(n) for n in names])
        parts.append(Part(_with_times(frame, schema), names[0]))
    return union(parts, needed, where)


def _footer(spark: SparkSession, file: str) -> _Footer:
    jvm: Any = spark._jvm
    where = jvm.org.apache.hadoop.fs.Path(file)
    source = jvm.org.apache.parquet.hadoop.util.HadoopInputFile.fromPath(where, spark._jsc.hadoopConfiguration())
    reader = jvm.org.apache.parquet.hadoop.ParquetFileReader.open(source)
    try:
        schema = reader.getFooter().getFileMetaData().getSchema()
        names = tuple(str(field.getName()) for field in schema.getFields())
        return _Footer(str(schema.toString()), names, int(reader.getRecordCount()))
    finally:
        reader.close()


def _with_times(frame: DataFrame, schema: str) -> DataFrame:
    nanos = dict(_NANOS.findall(schema))

    def column(name: str) -> Column:
        found = F.col(quoted(name))
        if name not in nanos:
            return found
        micros = F.floor(found.cast("decimal(20,0)") / 1000).cast("long")
        instant = F.timestamp_micros(micros)
        return instant if nanos[name] == "true" else instant.cast("timestamp_ntz")

    return frame.select([column(name).alias(name) for name in frame.columns]) if nanos else frame
