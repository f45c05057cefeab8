"""Reading the source tables that the configuration names."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from synthspark.clean import ColumnSource, EntityRules, EventRules, require_rows
from synthspark.config import Config, EntitySource, Expression, Source
from synthspark.errors import SourceError


def read_source(spark: SparkSession, source: Source, name: str) -> DataFrame:
    """The table as it is. Raises SourceError that names the table, the path and Spark's word if it is not there."""
    where = source.path or source.table
    try:
        if source.table is not None:
            df = spark.read.options(**source.options).table(source.table)
        else:
            df = spark.read.format(source.format).options(**source.options).load(source.path)
    except AnalysisException as error:
        words = str(error).splitlines()[0]
        check = f"source.{name}.path and .format" if source.path else f"source.{name}.table and Spark's catalogue"
        raise SourceError(f"table source.{name} ({where}): {words} Check {check}.") from error
    require_rows(df, f"source.{name} ({where})")
    return df


def column_sources(columns: Mapping[str, str | Expression]) -> dict[str, ColumnSource]:
    """The declared columns as the clean stage takes them."""
    return {n: ColumnSource(name=c) if isinstance(c, str) else ColumnSource(expr=c.expr) for n, c in columns.items()}


def event_rules(config: Config) -> EventRules:
    """What the configuration says of events."""
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
        keep_unknown_items=source.unknown_items == "keep",
        max_events_per_user_per_day=source.max_events_per_user_per_day,
    )


def entity_rules(source: EntitySource, key: str) -> EntityRules:
    """What the configuration says of items or users; an attribute's column is the one of its name if none is given."""
    columns = column_sources(source.columns)
    return EntityRules(
        key=key,
        columns={key: columns[key], **{a: columns.get(a, ColumnSource(name=a)) for a in source.attributes}},
        attributes={name: str(kind) for name, kind in source.attributes.items()},
        filter=source.filter,
        timezone=source.timezone,
        separator=source.separator,
    )
