"""Timestamps of every kind to UTC instants; what cannot be read becomes null, and nothing is thrown."""

from __future__ import annotations

import zoneinfo

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.errors import SourceError, did_you_mean

EPOCHS = {"epoch_seconds": 1_000_000, "epoch_millis": 1_000}
"""Microseconds in one unit of a number's declared format."""

_HAS_ZONE = r"(?:[zZ]|[+-]\d{2}:?(?:\d{2})?|\[[^\]]+\]|[A-Z]{2,4}|[A-Za-z]+/[A-Za-z_]+)\s*$"


def require_zone(zone: str, table: str) -> None:
    """Raises SourceError for a zone that does not exist."""
    known = zoneinfo.available_timezones()
    if zone not in known:
        raise SourceError(f"table {table}: timezone {zone!r} is not known.{did_you_mean(zone, known)}")


def to_utc(column: Column, kind: T.DataType, zone: str, pattern: str | None, where: str) -> Column:
    """The instant of `column` (of type `kind`); what carries no zone of its own is local time in `zone`.

    pattern: a Spark datetime pattern for text, or one of EPOCHS for numbers. `where` names table and column in errors.
    """
    if isinstance(kind, T.TimestampType | T.NullType):
        return column.cast("timestamp")
    if isinstance(kind, T.TimestampNTZType | T.DateType):
        return F.to_utc_timestamp(column.cast("timestamp"), zone)
    if isinstance(kind, T.NumericType):
        if pattern not in EPOCHS:
            raise SourceError(
                f"{where} is {kind.simpleString()}: declare timestamp_format epoch_seconds or epoch_millis"
            )
        return _from_epoch(column.cast("double"), EPOCHS[pattern])
    if isinstance(kind, T.StringType):
        if pattern in EPOCHS:
            return _from_epoch(column.try_cast("double"), EPOCHS[pattern])
        return _from_text(F.trim(column), zone, pattern)
    raise SourceError(f"{where} is {kind.simpleString()}, accepted are timestamp, date, string and epoch numbers")


def _from_epoch(number: Column, micros: int) -> Column:
    scaled = number * micros
    in_range = scaled.between(-6.2e16, 2.5e17)  # years 0 to 9999: beyond, Spark's own arithmetic overflows
    return F.when(in_range, F.timestamp_micros(scaled.cast("long")))


def _from_text(text: Column, zone: str, pattern: str | None) -> Column:
    if pattern is not None:
        instant = F.try_to_timestamp(text, F.lit(pattern))
        # Spark reads a pattern without a zone in the session's zone, which the job sets to UTC.
        return instant if any(letter in pattern for letter in "zZXxVO") else F.to_utc_timestamp(instant, zone)
    instant = text.try_cast("timestamp")
    time_of_day = F.regexp_extract(text, r"[T ](.*)$", 1)
    return F.when(time_of_day.rlike(_HAS_ZONE), instant).otherwise(F.to_utc_timestamp(instant, zone))
