"""A first configuration for tables that nobody has described yet."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.clean import require_rows
from synthspark.errors import SourceError
from synthspark.guess import configuration_text, facts, guess_entities, guess_events
from synthspark.guess.columns import ColumnFacts
from synthspark.guess.words import Place
from synthspark.schemas import quoted

SAMPLE = 200_000
"""Rows looked at per table."""
FORMATS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".orc": "orc"}
PACKED = (".gz", ".bz2", ".zst", ".snappy", ".lz4", ".deflate")
CSV = {"header": "true", "escape": '"'}
"""A quote within quotes is doubled, as nearly everybody but Spark writes it."""


def first_configuration(
    spark: SparkSession, paths: Mapping[str, str], lake: str, kind: str | None = None,
    given: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """The YAML for `events`, `items` and `users` (paths; all but the first may be missing).

    kind: the format, where file names do not tell; given: `user_id` or `item_id` -> column of the events, where values
    and names do not tell. Raises SourceError where a table cannot be read, or no user and no item is to be seen in it.
    """
    places = {name: _place(spark, path, kind, name) for name, path in paths.items()}
    seen = {name: _look(spark, place, name) for name, place in places.items()}
    for role, column in (given or {}).items():
        if column not in [c.name for c in seen["events"]]:
            names = ", ".join(c.name for c in seen["events"])
            raise SourceError(f"table events ({paths['events']}): no column {column!r} for {role}; it has {names}")
    events, item_key, user_key = guess_events(seen["events"], seen.get("items", ()), seen.get("users", ()), given or {})
    entities = {}
    for side, key, role in (("items", item_key, "item_id"), ("users", user_key, "user_id")):
        if side in seen:
            if key is None:
                raise SourceError(
                    f"table {side} ({paths[side]}): no column shares values with one of the events' columns; is it the "
                    f"right table? If ids are written differently there, leave --{side} out, and add the table to the "
                    "configuration by hand, with an {expr: ...} that writes them as the events do"
                )
            own = next(c for c in seen["events"] if c.name == events.columns[role])
            entities[side] = guess_entities(seen[side], key, own)
    return configuration_text(lake, places, events, seen, entities)


def _place(spark: SparkSession, path: str, kind: str | None, name: str) -> Place:
    suffix = _suffix(spark, path, name)
    kind = kind or FORMATS.get(suffix)
    if suffix in (".xlsx", ".xls", ".ods"):
        raise SourceError(f"table {name} ({path}): Spark reads no spreadsheets; save it as CSV (UTF-8)")
    if kind is None:
        raise SourceError(f"table {name} ({path}): its files' names do not say what they are; add --format "
                          f"{'|'.join(sorted(set(FORMATS.values())))}")  # fmt: skip
    return Place(path, kind, _csv_options(spark, path, name) if kind == "csv" else {})


def _csv_options(spark: SparkSession, path: str, name: str) -> dict[str, str]:
    """What Spark must be told of these files: separator, and whether values go over several lines."""
    try:
        lines = spark.read.text(path).limit(SAMPLE)
        first = [r["value"] for r in lines.limit(20).collect()]
    except AnalysisException as error:
        raise SourceError(f"table {name} ({path}): there is nothing to read at that path") from error
    try:
        sign = csv.Sniffer().sniff("\n".join(first), delimiters=",;\t|").delimiter
    except csv.Error:
        sign = ","
    value = F.col("value")
    odd_quotes = F.length(value) - F.length(F.replace(value, F.lit('"'), F.lit("")))
    foreign, sound, broken = lines.agg(
        F.count_if(~F.is_valid_utf8(value)),
        F.count_if(F.is_valid_utf8(value) & (F.octet_length(value) > F.length(value))),
        F.count_if(odd_quotes % 2 == 1),
    ).collect()[0]
    if foreign > sound:  # not one slip, but another encoding; of those that Spark knows none has a euro sign
        raise SourceError(f"table {name} ({path}): it is not UTF-8; save it as UTF-8, or: "
                          "iconv -f windows-1252 -t utf-8 OLD.csv > NEW.csv")  # fmt: skip
    options = CSV if sign == "," else {**CSV, "sep": sign}
    return {**options, "multiLine": "true"} if broken else options


def _suffix(spark: SparkSession, path: str, name: str) -> str:
    """Of the path, or of the first file in it; a packed file's is that of what is packed."""
    jvm: Any = spark._jvm
    try:
        place = jvm.org.apache.hadoop.fs.Path(path)
        files = place.getFileSystem(spark._jsc.hadoopConfiguration())
        found = [s.getPath().getName() for s in files.listStatus(place)] if not PurePosixPath(path).suffix else [path]
    except Py4JError as error:
        raise SourceError(f"table {name} ({path}): there is nothing to read at that path") from error
    for file in sorted(f for f in found if not PurePosixPath(f).name.startswith(("_", "."))):
        parts = [s for s in PurePosixPath(file).suffixes if s not in PACKED]
        if parts:
            return parts[-1].lower()
    return ""


def _look(spark: SparkSession, place: Place, name: str) -> list[ColumnFacts]:
    try:
        df = spark.read.format(place.format).options(**place.options).load(place.path)
    except AnalysisException as error:
        raise SourceError(f"table {name} ({place.path}): {str(error).splitlines()[0]}") from error
    require_rows(df, f"{name} ({place.path})")
    types = {f.name: f.dataType.simpleString() for f in df.schema.fields}
    return facts(_sample(df), types)


def _sample(df: DataFrame) -> pd.DataFrame:
    text = [F.col(quoted(n)).cast("string").alias(n) for n in df.columns]
    return df.select(text).limit(SAMPLE).toPandas()
