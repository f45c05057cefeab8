"""Write a first configuration for tables without one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.clean import require_rows
from synthspark.clean.columns import ColumnSource, find, resolved
from synthspark.clean.ids import as_id
from synthspark.errors import SourceError, did_you_mean
from synthspark.guess import configuration_text, facts, guess_entities, guess_events, guess_searches
from synthspark.guess.columns import ColumnFacts
from synthspark.guess.vocabulary import matches_item
from synthspark.guess.words import Place
from synthspark.schemas import MALFORMED, quoted
from synthspark.sources import Place as SourcePlace
from synthspark.sources import as_source_error, read
from synthspark.sources.delimited import decoded
from synthspark.sources.dialect import dialect
from synthspark.sources.files import first_bytes, input_files
from synthspark.sources.leaves import Leaf, leaves

SAMPLE = 200_000
"""Number of rows sampled per table."""
MAX_TYPES = 30
"""Maximum number of event types that are listed with their rows."""
HEAD = 65_536
"""Number of bytes of a JSON file that are read to see whether each record is on one line."""
FORMATS = {
    ".parquet": "parquet", ".parq": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".tab": "csv",
    ".json": "json", ".jsonl": "json", ".ndjson": "json", ".orc": "orc",
}  # fmt: skip
SHEETS = (".xlsx", ".xls", ".ods")
PACKED = (".gz", ".bz2", ".zst", ".snappy", ".lz4", ".deflate")


@dataclass(frozen=True)
class Seen:
    """One table: its location, its rows and facts about its columns."""

    place: Place
    frame: DataFrame
    columns: list[ColumnFacts]


def first_configuration(
    spark: SparkSession, paths: Mapping[str, str], lake: str, kind: str | None = None,
    given: Mapping[str, str] | None = None, encoding: str | None = None,
) -> str:  # fmt: skip
    """Return the YAML of a configuration for the tables `paths`: `events`, optionally `items`, `users`, `searches`.

    kind: format of the files, if their names do not show it; given: `user_id`, `item_id` or `ts` -> column of the
    events, if it cannot be guessed ("" for ts: no times); encoding: encoding of CSV files that are not UTF-8. Raises
    SourceError if a table cannot be read or its user and item ids cannot be found.
    """
    seen = {name: _seen(spark, path, name, kind, encoding) for name, path in paths.items()}
    given = _checked(given or {}, seen["events"])
    columns = {name: seen[name].columns if name in seen else [] for name in ("events", "items", "users", "searches")}
    events, item_key, user_key = guess_events(columns["events"], columns["items"], columns["users"], given)
    entities, ids = {}, {}
    for side, key, role in (("items", item_key, "item_id"), ("users", user_key, "user_id")):
        own = next(c for c in columns["events"] if c.name == events.columns[role])
        ids[role] = next((c for c in columns[side] if c.name == key), own)
        if side in seen:
            if key is None:
                raise SourceError(
                    f"table {side} ({paths[side]}): no column shares values with one of the events' columns; is it the "
                    f"right table? If its ids are written differently, leave --{side} out, and add the table to the "
                    "configuration by hand, with an {expr: ...} that converts them to the ids of the events"
                )
            entities[side] = guess_entities(columns[side], key, own)
    if "event_type" in events.columns:
        events = replace(events, event_types=_types(seen["events"].frame, events.columns["event_type"]))
    searches = guess_searches(columns["searches"], ids) if "searches" in seen else None
    places = {name: one.place for name, one in seen.items()}
    return configuration_text(lake, places, events, columns, entities, searches)


def _seen(spark: SparkSession, path: str, name: str, kind: str | None, encoding: str | None) -> Seen:
    where = f"table {name} ({path})"
    place = _place(spark, path, name, kind, encoding)

    def opened(explode: tuple[str, ...]) -> DataFrame:
        return read(spark, SourcePlace(path, None, place.format, place.options, explode), name)

    frame = opened(())
    with as_source_error(where):
        require_rows(frame, f"{name} ({path})")
        found = leaves(frame)
        lines = _lines(found) if name == "events" else None
        if lines is not None:
            place, frame = replace(place, explode=(lines,)), opened((lines,))
            found = [leaf for leaf in leaves(frame) if not leaf.is_list]
        return Seen(place, frame, _facts_of(frame, found))


def _checked(given: Mapping[str, str], events: Seen) -> dict[str, str]:
    """Validate columns named by the user. Raises SourceError for a missing column or one without single values."""
    known = {c.name: c for c in events.columns}
    for role, name in given.items():
        if name == "" and role == "ts":
            continue
        if name not in known:
            raise SourceError(f"table events ({events.place.path}): no column {name!r} for {role}."
                              f"{did_you_mean(name, known)} It has {', '.join(known)}")  # fmt: skip
        if known[name].type.startswith(("array", "map", "struct")):
            raise SourceError(
                f"table events ({events.place.path}): column {name!r} for {role} is {known[name].type[:60]}; name a "
                "column with one value per row"
            )
    return dict(given)


def _lines(found: Sequence[Leaf]) -> str | None:
    """Return the path of the list with the lines of an order, to explode; None if the rows themselves name an item.

    It is found by its name or by the names of its fields.
    """
    lists = [leaf for leaf in found if leaf.is_list]
    of_structs = [
        leaf for leaf in lists if isinstance(leaf.kind, T.ArrayType) and isinstance(leaf.kind.elementType, T.StructType)
    ]
    if any(matches_item(leaf.path) for leaf in found if not leaf.is_list and "." not in leaf.path):
        return None
    telling = [leaf for leaf in of_structs if any(matches_item(n) for n in _inside(leaf)) or matches_item(leaf.path)]
    plain = [leaf for leaf in lists if leaf not in of_structs and "." not in leaf.path and matches_item(leaf.path)]
    chosen = telling or (of_structs if len(of_structs) == 1 else []) or plain
    return chosen[0].path if chosen else None


def _inside(leaf: Leaf) -> list[str]:
    assert isinstance(leaf.kind, T.ArrayType)
    return leaf.kind.elementType.fieldNames() if isinstance(leaf.kind.elementType, T.StructType) else []


def _place(spark: SparkSession, path: str, name: str, kind: str | None, encoding: str | None) -> Place:
    where = f"table {name} ({path})"
    with as_source_error(where, " There is nothing to read at that path."):
        files = input_files(spark, path, {})
    suffix = next((s for s in map(_suffix, files) if s), "")
    kind = kind or FORMATS.get(suffix)
    if suffix in SHEETS:
        raise SourceError(f"{where}: Spark cannot read spreadsheets; save it as CSV (UTF-8)")
    if kind is None:
        raise SourceError(f"{where}: the names of its files do not show their format; add --format "
                          f"{'|'.join(sorted(set(FORMATS.values())))}")  # fmt: skip
    with as_source_error(where):
        if kind == "csv":
            found = dialect(spark, path, where, encoding)
            return Place(path, kind, found.options, words=found.words)
        if kind == "json" and files and not _has_lines(spark, files[0]):
            return Place(path, kind, {"multiLine": "true"})
    return Place(path, kind, {})


def _suffix(file: str) -> str:
    """Return the last suffix of a file name, ignoring suffixes of compression."""
    parts = [s.lower() for s in PurePosixPath(file).suffixes if s.lower() not in PACKED]
    return parts[-1] if parts else ""


def _has_lines(spark: SparkSession, file: str) -> bool:
    """Return whether each record of a JSON file is on one line."""
    text = decoded(first_bytes(spark, file, HEAD), "UTF-8")
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < 2:
        return True
    try:
        json.loads(lines[0])
    except ValueError:
        return not lines[0].strip().endswith(("{", "[", ","))
    return True


def _facts_of(frame: DataFrame, found: Sequence[Leaf]) -> list[ColumnFacts]:
    """Collect facts from a sample; values are converted like ids, so that keys of different types can be compared."""
    asked, types, paths = [], {}, {}
    computed = {leaf.path for leaf in found if leaf.computed}
    for leaf in found:
        column = F.expr(leaf.sql) if leaf.computed else find(frame, leaf.path, "")
        if column is None:
            continue
        text = as_id(column, leaf.kind, ()) if isinstance(leaf.kind, T.AtomicType) else column.cast("string")
        asked.append(text.alias(leaf.path))
        types[leaf.path] = leaf.kind.simpleString()
        if leaf.sql != quoted(leaf.path):
            paths[leaf.path] = leaf.sql
    sample: pd.DataFrame = _sound(frame).select(asked).limit(SAMPLE).toPandas()
    return [replace(c, computed=c.name in computed) for c in facts(sample, types, paths)]


def _sound(frame: DataFrame) -> DataFrame:
    return frame.where(F.col(MALFORMED).isNull()) if MALFORMED in frame.columns else frame


def _types(events: DataFrame, column: str) -> dict[str, int]:
    """Count the rows per event type, the most frequent first, at most MAX_TYPES types."""
    events = _sound(events)
    found = resolved(events, ColumnSource(name=column), "events")
    kind = events.select(found.alias("c")).schema["c"].dataType
    counted = events.select(as_id(found, kind, ()).alias("type")).where("type is not null").groupBy("type").count()
    rows = counted.orderBy(F.desc("count"), "type").limit(MAX_TYPES).collect()
    return {row["type"]: row["count"] for row in rows}
