"""Read Parquet and ORC files whose columns and types may differ, also with timestamp types unknown to Spark."""

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
"""Attribute of ORC columns written by Spark; its value is the column's Spark type."""
_NANOS = re.compile(r"^  (?:optional|required) int64 (.+) \(TIMESTAMP\(NANOS,(true|false)\)\)", re.MULTILINE)
"""Matches a top-level column in the text of a Parquet schema; the groups are its name and whether it is in UTC."""


class _Footer(NamedTuple):
    """Contents of a Parquet file's footer."""

    schema: str
    """Text of the schema."""
    names: tuple[str, ...]
    """Names of the top-level columns."""
    rows: int


def read_parquet(
    spark: SparkSession, path: str, options: Mapping[str, str], needed: Sequence[str], where: str
) -> DataFrame:
    """Read all columns of all files; if Spark cannot merge the schemas, read them per schema and use `merging.union`.

    TIMESTAMP(NANOS), as written by pandas, becomes a timestamp; without a zone if the file declares none.
    """
    merged = options if option(options, "mergeSchema") else {**options, "mergeSchema": "true"}
    try:
        if spark.conf.get(NANOS_AS_LONG, "false") == "false":
            return spark.read.options(**merged).parquet(path)
    except SPARK_FAILURES:  # types that differ or are unknown to Spark: read the footers instead
        pass
    return _by_schema(spark, path, options, needed, where)


def read_orc(spark: SparkSession, path: str, options: Mapping[str, str], where: str) -> DataFrame:
    """Read all columns of all files. ORC `timestamp` columns not written by Spark become timestamps without a zone.

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
        # The reader interprets them as local times of the JVM.
        return F.from_utc_timestamp(found, zone).cast("timestamp_ntz") if name in naive else found

    return frame.select([column(name).alias(name) for name in frame.columns]) if naive else frame


def _require_told_apart(names: Sequence[str], file: str, where: str) -> None:
    """Raise SourceError for columns that differ by letter case only: columns of these formats are read by name."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            raise SourceError(f"{where}: {file} has columns {seen[name.lower()]!r} and {name!r}, which Spark does "
                              "not tell apart; rename one")  # fmt: skip
        seen[name.lower()] = name


def _orc_schema(spark: SparkSession, file: str) -> Any:
    """Return the schema in an ORC file's footer."""
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
        if found.rows or not any_rows:  # files without rows are ignored
            groups.setdefault(found.schema, []).append(file)
    if any("TIMESTAMP(NANOS" in schema for schema in groups):
        spark.conf.set(NANOS_AS_LONG, "true")  # not reset: Spark checks it again when it reads the rows
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
