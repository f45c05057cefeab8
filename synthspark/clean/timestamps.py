"""Convert timestamps of every type to UTC instants; unreadable values become null instead of raising errors."""

from __future__ import annotations

import zoneinfo
from datetime import datetime

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.clean.ids import BLANKS, as_text
from synthspark.errors import SourceError, did_you_mean
from synthspark.spark_versions import try_cast

EPOCHS = {"epoch_seconds": 1_000_000, "epoch_millis": 1_000, "epoch_micros": 1, "epoch_nanos": 0.001}
"""Declared format of a number -> microseconds per unit."""

# Four-digit years only: Spark would also parse 170000 as a year, and a bare time of day as a time today.
_DATE = r"\d{4}(?:-\d{1,2}(?:-\d{1,2})?)?"
_PLAIN = rf"^{_DATE}(?:[T ]+\d{{1,2}}(?::\d{{1,2}}){{0,2}}(?:\.\d*)?|[T ])?"
_WITHOUT_SECONDS = r"^(\d{4}-\d{1,2}-\d{1,2}[T ]\d{1,2}:\d{1,2})(?=[^\d:.])"
_SMALLEST, _LARGEST = -6.2e16, 2.5e17
"""Range of epoch microseconds, about the years 0 to 9999; Spark's arithmetic overflows beyond it."""


def require_zone(zone: str, table: str) -> None:
    """Raise SourceError if the time zone does not exist."""
    known = zoneinfo.available_timezones()
    if zone not in known:
        raise SourceError(f"table {table}: timezone {zone!r} is not known.{did_you_mean(zone, known)}")


def require_pattern(df: DataFrame, pattern: str | None, where: str) -> None:
    """Raise SourceError if Spark rejects the pattern; it is tried on a constant."""
    if pattern is None or pattern in EPOCHS:
        return
    if pattern.lower().startswith("epoch"):
        raise SourceError(f"{where}: timestamp_format {pattern!r} is not known.{did_you_mean(pattern, EPOCHS)}")
    try:
        probe = F.try_to_timestamp(F.lit("2024-01-31 10:00:00"), F.lit(pattern))
        df.sparkSession.range(1).select(probe.cast("string")).collect()
    except PySparkException:
        style = " (that is strftime's notation)" if "%" in pattern else ""
        raise SourceError(
            f"{where}: timestamp_format {pattern!r} is not a pattern that Spark can read{style}; write it as in "
            f"yyyy-MM-dd HH:mm:ss, or use one of {', '.join(EPOCHS)}"
        ) from None


def instant_rules(ts: Column, now: datetime) -> list[tuple[str, Column]]:
    """Return the rules that reject a row by its instant `ts`. now: current time in UTC."""
    return [
        ("unparsable_timestamp", ts.isNull()),
        ("future_timestamp", ts > F.lit(now)),
        ("pre_epoch_timestamp", ts < F.timestamp_seconds(F.lit(0))),
    ]


def to_utc(column: Column, kind: T.DataType, zone: str, pattern: str | None, where: str) -> Column:
    """Return the UTC instant of `column` (of type `kind`); values without a time zone are local time in `zone`.

    pattern: Spark datetime pattern for texts, or one of EPOCHS for numbers. where: table and column, for errors.
    Raises SourceError for other types and for numbers without a pattern.
    """
    if isinstance(kind, T.TimestampType | T.NullType):
        return column.cast("timestamp")
    if isinstance(kind, T.TimestampNTZType | T.DateType):
        return F.to_utc_timestamp(column.cast("timestamp"), zone)
    if isinstance(kind, T.NumericType):
        if pattern is not None and pattern not in EPOCHS:  # 20240131 is a day
            return _from_text(as_text(column, kind), zone, pattern)
        if pattern is None:
            raise SourceError(f"{where} is {kind.simpleString()}: declare timestamp_format {' or '.join(EPOCHS)}")
        return _from_epoch(column, kind, pattern)
    if isinstance(kind, T.StringType):
        if pattern in EPOCHS:
            return _from_epoch(try_cast(column, "decimal(38,9)"), T.DecimalType(38, 9), pattern)
        return _from_text(F.btrim(column, F.lit(BLANKS)), zone, pattern)
    raise SourceError(f"{where} is {kind.simpleString()}, accepted are timestamp, date, string and epoch numbers")


def to_day_or_utc(column: Column, kind: T.DataType, zone: str, where: str) -> Column:
    """Like `to_utc`, for attributes: a day without a time of day becomes midnight UTC whatever `zone` is.

    Converted from a zone east of UTC, a date would become the evening before.
    """
    instant = to_utc(column, kind, zone, None, where)
    if isinstance(kind, T.DateType):
        return column.cast("timestamp")
    if isinstance(kind, T.TimestampNTZType):
        day = column.cast("timestamp")
        return F.when(day == F.date_trunc("day", day), day).otherwise(instant)
    if isinstance(kind, T.StringType):
        bare = F.btrim(column, F.lit(BLANKS))
        day_only = bare.rlike(rf"^{_DATE}([T ]00:00(:00(\.0*)?)?)?$")
        return F.when(day_only, try_cast(bare, "timestamp")).otherwise(instant)
    return instant


def _from_epoch(number: Column, kind: T.DataType, pattern: str) -> Column:
    """Convert epoch numbers, in decimal arithmetic if they are exact: current nanoseconds exceed 2^53."""
    factor = EPOCHS[pattern]
    if isinstance(kind, T.DoubleType | T.FloatType):
        scaled = number * factor
        return F.when(scaled.between(_SMALLEST, _LARGEST), F.timestamp_micros(F.floor(scaled).cast("long")))
    exact = number.cast("decimal(38,9)")
    bound = exact.cast("double") * factor
    scaled = F.floor(exact / 1000) if pattern == "epoch_nanos" else F.floor(exact.cast("decimal(28,9)") * int(factor))
    return F.when(bound.between(_SMALLEST, _LARGEST), F.timestamp_micros(scaled.cast("long")))


def _from_text(text: Column, zone: str, pattern: str | None) -> Column:
    if pattern is not None:
        instant = F.try_to_timestamp(text, F.lit(pattern))
        # Spark interprets a pattern without a zone in the zone of its session, which the job sets to UTC.
        return instant if any(letter in _letters(pattern) for letter in "zZXxVO") else F.to_utc_timestamp(instant, zone)
    complete = F.regexp_replace(text, _WITHOUT_SECONDS, "$1:00")  # Spark parses a zone only after seconds
    rest = F.regexp_replace(complete, _PLAIN, "")
    instant = F.when(complete.rlike(rf"^{_DATE}(?!\d)"), try_cast(complete, "timestamp"))
    # Anything after the time of day that Spark's cast accepts is a zone, and the cast has applied it.
    return F.when(rest != "", instant).otherwise(F.to_utc_timestamp(instant, zone))


def _letters(pattern: str) -> str:
    """Return the pattern without its quoted parts."""
    return "".join(pattern.split("'")[::2])
