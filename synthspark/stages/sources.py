"""Read the source tables, and translate their configuration into cleaning rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from synthspark.clean import (
    ColumnSource,
    EntityRules,
    EventRules,
    SearchRules,
    UserSample,
    require_rows,
    user_sample,
)
from synthspark.config import Config, EntitySource, Expression, SearchSource, Source
from synthspark.sides import Side
from synthspark.sources import Place, as_source_error, read

STORAGE = StorageLevel.MEMORY_AND_DISK
"""Storage of classified sources: they are written in several parts, each of which would scan the source again."""
KEYS = ("user_id", "item_id", "ts", "event_type", "query")
"""Columns that every file of a table must have; rows without them are useless."""


def read_source(spark: SparkSession, source: Source, name: str) -> DataFrame:
    """Return the source table unchanged.

    Raises SourceError with the table, its path and Spark's message if it cannot be read or is empty.
    """
    place = Place(source.path, source.table, source.format, source.options, tuple(source.explode), source.where)
    needed = [c for role, c in source.columns.items() if role in KEYS and isinstance(c, str)]
    frame = read(spark, place, f"source.{name}", [] if place.explode else needed)
    where = f"source.{name} ({source.path or source.table})"
    with as_source_error(f"table {where}"):
        require_rows(frame, where)
    return frame


def sample_of_users(config: Config, events: DataFrame) -> UserSample | None:
    """Return the sample of the users of `events` that is to be read; None to read all."""
    source = config.source.events
    if config.source.max_users is None:
        return None
    column = column_sources(source.columns)["user_id"]
    return user_sample(events, column, "source.events", source.null_values, config.source.max_users, config.seed)


def column_sources(columns: Mapping[str, str | Expression]) -> dict[str, ColumnSource]:
    """Return the declared columns in the form that stage clean uses."""
    return {n: ColumnSource(name=c) if isinstance(c, str) else ColumnSource(expr=c.expr) for n, c in columns.items()}


def event_rules(config: Config) -> EventRules:
    """Return the cleaning rules of events."""
    source = config.source.events
    bounds: dict[str, tuple[float | None, float | None]] = {"value": (0.0, None), "price": (0.0, None)}
    bounds.update({str(name): (b.min, b.max) for name, b in source.bounds.items()})
    return EventRules(
        columns=column_sources(source.columns),
        event_type=source.event_type,
        timezone=source.timezone,
        timestamp_format=source.timestamp_format,
        bounds=bounds,
        event_types=tuple(config.events.weights),
        null_values=_null_values(source),
        keep_unknown_items=source.unknown_items == "keep",
        max_events_per_user_per_day=source.max_events_per_user_per_day,
    )


def search_rules(source: SearchSource) -> SearchRules:
    """Return the cleaning rules of searches."""
    return SearchRules(
        columns=column_sources(source.columns),
        timezone=source.timezone,
        timestamp_format=source.timestamp_format,
        null_values=_null_values(source),
        keep_unknown_items=source.unknown_items == "keep",
    )


def entity_rules(source: EntitySource, side: Side) -> EntityRules:
    """Return the cleaning rules of items or users; an attribute is read from the column of its name by default."""
    columns = column_sources(source.columns)
    return EntityRules(
        key=side.key,
        columns={side.key: columns[side.key], **{a: columns.get(a, ColumnSource(name=a)) for a in source.attributes}},
        attributes={name: str(kind) for name, kind in source.attributes.items()},
        filter=source.filter,
        timezone=source.timezone,
        separator=source.separator,
        separators=dict(source.separators),
        null_values=_null_values(source),
        bounds={name: (_bound(b.min), _bound(b.max)) for name, b in source.bounds.items()},
    )


def _null_values(source: Source) -> tuple[str, ...] | None:
    return None if source.null_values is None else tuple(source.null_values)


def _bound(value: float | date | None) -> float | datetime | None:
    """Return a bound as Spark's literals need it: a day becomes midnight UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value
