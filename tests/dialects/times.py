"""The ways in which tables write a time; each says what it loses and whether it names its zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
UNITS = {"day": 86_400_000_000, "minute": 60_000_000, "second": 1_000_000, "milli": 1_000, "micro": 1}
"""Microseconds."""
NANOS = 321
"""What a time has below the microsecond; floor and round agree on it."""


class TimeStyle(NamedTuple):
    """One way to write a time."""

    unit: str
    """Smallest unit that is written."""
    zoned: bool
    """The value names its zone, or is an instant by definition."""
    type: pa.DataType
    write: Callable[[datetime, datetime], object]
    """From the instant in UTC and the local time."""


def micros(instant: datetime) -> int:
    """Microseconds since 1970."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def rounded(instant: datetime, unit: str, zone: str) -> datetime:
    """The instant, cut to `unit` in local time; never in the hour that a clock shows twice."""
    local = instant.astimezone(ZoneInfo(zone))
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        local = (instant + timedelta(hours=3)).astimezone(ZoneInfo(zone))
    local -= timedelta(microseconds=local.microsecond % min(UNITS[unit], UNITS["second"]))
    if unit in ("minute", "day"):
        local = local.replace(second=0)
    if unit == "day":
        local = local.replace(hour=0, minute=0)
    return local.astimezone(timezone.utc)


def _local(pattern: str) -> Callable[[datetime, datetime], object]:
    return lambda _utc, local: local.strftime(pattern)


def _at(zone: timezone | ZoneInfo, suffix: str, pattern: str = "%Y-%m-%dT%H:%M:%S") -> Callable[..., object]:
    return lambda utc, _local: utc.astimezone(zone).strftime(pattern) + suffix


def _mixed(utc: datetime, _local: datetime) -> object:
    first = micros(utc) // 1_000_000 % 2 == 0
    return str(_at(timezone.utc, "Z")(utc, _local) if first else _at(INDIA, "+05:30")(utc, _local))


def _nanos(utc: datetime, local: datetime) -> object:
    return f"{local.strftime('%Y-%m-%d %H:%M:%S.%f')}{NANOS}"


def _epoch(unit: str) -> Callable[[datetime, datetime], object]:
    return lambda utc, _local: micros(utc) // UNITS[unit]


def _naive(_utc: datetime, local: datetime) -> object:
    return local.replace(tzinfo=None)


def _day(_utc: datetime, local: datetime) -> object:
    return date(local.year, local.month, local.day)


INDIA = timezone(timedelta(hours=5, minutes=30))
BLANK = "%Y-%m-%d %H:%M:%S"
TEXT: dict[str, TimeStyle] = {
    "iso with T": TimeStyle("second", False, pa.string(), _local("%Y-%m-%dT%H:%M:%S")),
    "iso with blank": TimeStyle("second", False, pa.string(), _local(BLANK)),
    "date only": TimeStyle("day", False, pa.string(), _local("%Y-%m-%d")),
    "Z": TimeStyle("second", True, pa.string(), _at(timezone.utc, "Z")),
    "+05:30": TimeStyle("second", True, pa.string(), _at(INDIA, "+05:30")),
    "+5:30": TimeStyle("second", True, pa.string(), _at(INDIA, "+5:30", BLANK)),
    "+0530": TimeStyle("second", True, pa.string(), _at(INDIA, "+0530")),
    "UTC in words": TimeStyle("second", True, pa.string(), _at(timezone.utc, " UTC", BLANK)),
    "GMT+2": TimeStyle("second", True, pa.string(), _at(timezone(timedelta(hours=2)), " GMT+2", BLANK)),
    "Etc/GMT+5": TimeStyle("second", True, pa.string(), _at(timezone(timedelta(hours=-5)), " Etc/GMT+5", BLANK)),
    "Europe/Paris": TimeStyle("second", True, pa.string(), _at(ZoneInfo("Europe/Paris"), " Europe/Paris", BLANK)),
    "Z and +05:30": TimeStyle("second", True, pa.string(), _mixed),
    "milliseconds Z": TimeStyle("milli", True, pa.string(), lambda utc, _: _millis(utc) + "Z"),
    "milliseconds": TimeStyle("milli", False, pa.string(), lambda _, local: _millis(local)),
    "microseconds": TimeStyle("micro", False, pa.string(), _local("%Y-%m-%d %H:%M:%S.%f")),
    "nanoseconds": TimeStyle("micro", False, pa.string(), _nanos),
    "d.M.yyyy HH:mm": TimeStyle("minute", False, pa.string(), _local("%-d.%-m.%Y %H:%M")),
    "d.M.yyyy": TimeStyle("day", False, pa.string(), _local("%-d.%-m.%Y")),
    "M/d/yyyy h:mm a": TimeStyle("minute", False, pa.string(), _local("%-m/%-d/%Y %-I:%M %p")),
    "d/M/yyyy HH:mm": TimeStyle("minute", False, pa.string(), _local("%d/%m/%Y %H:%M")),
    "yyyyMMdd": TimeStyle("day", False, pa.string(), _local("%Y%m%d")),
    "yyyyMMddHHmmss": TimeStyle("second", False, pa.string(), _local("%Y%m%d%H%M%S")),
}
NUMBERS: dict[str, TimeStyle] = {
    "epoch seconds": TimeStyle("second", True, pa.int64(), _epoch("second")),
    "epoch millis": TimeStyle("milli", True, pa.int64(), _epoch("milli")),
    "epoch micros": TimeStyle("micro", True, pa.int64(), _epoch("micro")),
    "epoch nanos": TimeStyle("micro", True, pa.int64(), lambda utc, _: micros(utc) * 1000 + NANOS),
    "yyyyMMdd number": TimeStyle("day", False, pa.int64(), lambda _, local: int(local.strftime("%Y%m%d"))),
}
ARROW: dict[str, TimeStyle] = {
    "timestamp[ms, UTC]": TimeStyle("milli", True, pa.timestamp("ms", "UTC"), lambda utc, _: utc),
    "timestamp[us, UTC]": TimeStyle("micro", True, pa.timestamp("us", "UTC"), lambda utc, _: utc),
    "timestamp[ns, UTC]": TimeStyle("micro", True, pa.timestamp("ns", "UTC"), lambda utc, _: utc),
    "timestamp[s]": TimeStyle("second", False, pa.timestamp("s"), _naive),
    "timestamp[ms]": TimeStyle("milli", False, pa.timestamp("ms"), _naive),
    "timestamp[us]": TimeStyle("micro", False, pa.timestamp("us"), _naive),
    "timestamp[ns]": TimeStyle("micro", False, pa.timestamp("ns"), _naive),
    "date32": TimeStyle("day", False, pa.date32(), _day),
}
PARTITION_DAY = "day of the folder"
STYLES: dict[str, TimeStyle] = {
    **TEXT,
    **NUMBERS,
    **ARROW,
    PARTITION_DAY: TimeStyle("day", False, pa.string(), _local("%Y-%m-%d")),
}


def _millis(moment: datetime) -> str:
    return f"{moment.strftime('%Y-%m-%dT%H:%M:%S')}.{moment.microsecond // 1000:03d}"
