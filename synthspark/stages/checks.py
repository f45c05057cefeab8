"""Checks of source tables: find signs of wrong reading, and the column at which Spark fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.clean.columns import ColumnSource, mapped
from synthspark.clean.known import Known, known_ids, unknown_examples
from synthspark.config import EntitySource
from synthspark.errors import SourceError
from synthspark.sides import Side
from synthspark.sources import first_words
from synthspark.sources.failures import SPARK_FAILURES

MAX_MALFORMED = 0.5
"""Maximum share of rows whose number of fields differs from the header; with more, the file's options are wrong."""


@dataclass(frozen=True)
class Declared:
    """A source table and what the configuration takes from it."""

    frame: DataFrame
    columns: Mapping[str, ColumnSource]
    filter: str | None = None


@contextmanager
def blamed(tables: Mapping[str, Declared]) -> Iterator[None]:
    """Turn Spark's failures in this block into SourceErrors that name the table and the column.

    tables: name of a source table -> what is read of it. Columns are tried one by one, which is slow, but nothing else
    is left to do then. Failures that no source causes are raised unchanged.
    """
    try:
        yield
    except SPARK_FAILURES as error:
        for side, table in tables.items():
            for what, frame in _attempts(side, table):
                try:
                    frame.write.format("noop").mode("overwrite").save()
                except SPARK_FAILURES as again:
                    raise SourceError(f"table source.{side}: {what}: {first_words(again)}") from error
        raise


def _attempts(side: str, table: Declared) -> Iterator[tuple[str, DataFrame]]:
    """Yield (words, frame): each column alone, then the filter, then whole rows."""
    for name, source in table.columns.items():
        shown = f"column {name!r} (source.{side}.columns.{name}: {source.name or source.expr})"
        yield shown, mapped(table.frame, {name: source}, f"source.{side}")
    if table.filter is not None:
        yield f"filter {table.filter!r} (source.{side}.filter)", table.frame.where(F.expr(table.filter))
    yield "its rows cannot be read", table.frame


def require_sound(side: str, rows: int, reasons: Mapping[str, int]) -> None:
    """Raise SourceError if the reasons of rejected rows show that the table is read in a wrong way.

    rows: number of rows that were checked; reasons: reason -> number of rejected rows.
    """
    inexact, malformed = reasons.get("inexact_id", 0), reasons.get("malformed_row", 0)
    if inexact:
        raise SourceError(
            f"table source.{side}: {inexact:,} ids have lost digits, being stored as floating-point numbers beyond "
            "2^53 or shortened to the like of 4.01E+12; write them anew as whole numbers or text"
        )
    if malformed > MAX_MALFORMED * rows:
        raise SourceError(
            f"table source.{side}: {malformed:,} of {rows:,} rows have another number of fields than the header; check "
            f"source.{side}.options (sep, quote, escape, multiLine), or let `synthspark init` find them"
        )


def require_known(events: DataFrame, entities: DataFrame, side: Side, source: EntitySource) -> Known:
    """Count the events' ids that the table has. events, entities: classified rows.

    Raises SourceError with examples if their share is below `min_known_ids`.
    """
    found = known_ids(events, entities, side.key)
    if found.share < source.min_known_ids:
        examples = examples_in_words(events, entities, side)
        raise SourceError(
            f"table source.{side.name}: it has only {found.known:,} of the {found.ids:,} ids that the events have for "
            f"{side.key} ({found.share:.0%}); it lacks {examples}. Write them the same on both sides with an "
            f"{{expr: ...}} for {side.key}, or accept it by source.{side.name}.min_known_ids: "
            f"{int(found.share * 100) / 100:g}"
        )
    return found


def examples_in_words(events: DataFrame, entities: DataFrame, side: Side) -> str:
    """Return examples of ids that the table lacks, each with the most similar id that it has."""
    pairs = unknown_examples(events, entities, side.key)
    return ", ".join(f"{lacking!r}" + (f" (nearest: {near!r})" if near else "") for lacking, near in pairs)
