"""Read any source table; shared by `init`, `plan` and `clean`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.schemas import MALFORMED
from synthspark.sources.columnar import read_orc, read_parquet
from synthspark.sources.delimited import read_csv
from synthspark.sources.failures import as_source_error
from synthspark.sources.files import settings
from synthspark.sources.json_lines import read_json
from synthspark.sources.nested import exploded

PARTITIONS_AS_TEXT = {"spark.sql.sources.partitionColumnTypeInference.enabled": "false"}
"""Setting that keeps dept=001 as the text 001; by default Spark infers a number."""


@dataclass(frozen=True)
class Place:
    """Location of a table and how to read it."""

    path: str | None = None
    table: str | None = None
    """Name in the catalogue, instead of a path."""
    format: str = "parquet"
    options: Mapping[str, str] = field(default_factory=dict)
    explode: tuple[str, ...] = ()
    """Lists to explode into rows, in this order."""
    where: str | None = None
    """SQL condition on the source's own columns, before lists are exploded."""


def read(spark: SparkSession, place: Place, name: str, needed: Sequence[str] = ()) -> DataFrame:
    """Read the table with the source's names and types; a column `schemas.MALFORMED` marks unparsable lines.

    name: table name for errors; needed: columns that every file must have if there are several. Raises SourceError.
    """
    where = f"table {name} ({place.path or place.table})"
    hint = f" Check {name}.path and .format." if place.path else f" Check {name}.table and Spark's catalogue."
    with as_source_error(where, hint), settings(spark, PARTITIONS_AS_TEXT):
        frame = _read(spark, place, needed, where)
        if place.where is not None:
            frame = frame.where(_wanted(frame, place.where))
    return exploded(frame, place.explode, f"table {name}")


def _wanted(frame: DataFrame, condition: str) -> Column:
    """Return the condition; malformed lines pass it so that they are reported."""
    wanted = F.expr(condition)
    return wanted | F.col(MALFORMED).isNotNull() if MALFORMED in frame.columns else wanted


def _read(spark: SparkSession, place: Place, needed: Sequence[str], where: str) -> DataFrame:
    if place.path is None:
        assert place.table is not None
        return spark.read.options(**place.options).table(place.table)
    if place.format == "csv":
        return read_csv(spark, place.path, place.options, needed, where)
    if place.format == "json":
        return read_json(spark, place.path, place.options, where)
    if place.format == "parquet":
        return read_parquet(spark, place.path, place.options, needed, where)
    if place.format == "orc":
        return read_orc(spark, place.path, place.options, where)
    return spark.read.format(place.format).options(**place.options).load(place.path)
