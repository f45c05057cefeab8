"""What a column looks like, by a sample of its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from synthspark.guess.texts import MOSTLY, read_numbers, read_times

OLDEST, NEWEST = 631_152_000, 4_102_444_800
"""Epoch seconds that count as a time: 1990 to 2100."""
SOME = 0.01
"""Share of the values with leading zeros from which on they are no slip."""
HOURS = 8
"""Of a day with events in them, before the quietest tells anything."""
SEPARATORS = ("|", ";", ",", "/")


@dataclass(frozen=True)
class ColumnFacts:
    """Shares are of the values that are there."""

    name: str
    type: str
    """Spark's name of the type."""
    rows: int
    missing: float
    """Share of the rows."""
    distinct: int
    numbers: float
    """Share that reads as a finite number, however it is written."""
    rewriting: str | None
    """Spark SQL that makes these numbers plain, `{}` for the column; None where they are."""
    negative: float
    """Share below 0."""
    padded: bool
    """Some have leading zeros, as only names made of digits have."""
    whole: bool
    """All numbers are whole."""
    dates: float
    """Share that reads as a date or a time; never of numbers."""
    pattern: str | None
    """Spark's pattern of these, None where they are as ISO 8601 has them."""
    doubtful: bool
    """Day and month of the pattern could be the other way round."""
    epoch: str | None
    """epoch_seconds or epoch_millis where numbers would be times of our days."""
    separator: str | None
    """What separates the values of a list in one string, where there are lists."""
    words: float
    """Mean number of words."""
    quiet_hour: int | None
    """Hour of the day with the fewest values (of three in a row the middle one), where values have times of day."""
    values: frozenset[str]
    """Distinct values."""
    example: str

    @property
    def unique(self) -> float:
        """Distinct values per value that is there: 1 is a name for each row."""
        there = round(self.rows * (1 - self.missing))
        return self.distinct / there if there else 0.0


def facts(sample: pd.DataFrame, types: Mapping[str, str]) -> list[ColumnFacts]:
    """sample: every column as text or null; types: column -> Spark's name of its type."""
    return [_facts(name, sample[name], types[name]) for name in sample.columns]


def _facts(name: str, column: pd.Series[str], kind: str) -> ColumnFacts:
    text = column.dropna().str.strip()
    text = text[text != ""]
    values = frozenset(text.unique())
    numbers, rewriting = read_numbers(text)
    share = len(numbers) / len(text) if len(text) else 0.0
    numeric = share >= MOSTLY
    times, pattern, doubtful = read_times(text[:0] if numeric else text)
    return ColumnFacts(
        name=name,
        type=kind,
        rows=len(column),
        missing=1 - len(text) / len(column) if len(column) else 1.0,
        distinct=len(values),
        numbers=share,
        rewriting=rewriting if numeric else None,
        negative=float((numbers < 0).mean()) if len(numbers) else 0.0,
        padded=bool(text.str.fullmatch(r"0\d+").mean() > SOME) if len(text) else False,
        whole=bool((numbers % 1 == 0).all()) if len(numbers) else False,
        dates=len(times) / len(text) if len(text) else 0.0,
        pattern=pattern,
        doubtful=doubtful,
        epoch=_epoch(numbers) if numeric else None,
        separator=None if kind.startswith("array") or numeric or len(times) else _separator(text),
        words=float(text.str.split().str.len().mean()) if len(text) else 0.0,
        quiet_hour=_quiet_hour(_from_epoch(numbers) if numeric else times),
        values=values,
        example=str(text.iloc[0]) if len(text) else "",
    )


def _epoch(numbers: pd.Series[float]) -> str | None:
    if not len(numbers) or not (numbers % 1 == 0).all():
        return None
    low, high = numbers.quantile(0.01), numbers.quantile(0.99)
    for name, unit in (("epoch_seconds", 1), ("epoch_millis", 1000)):
        if OLDEST * unit <= low and high <= NEWEST * unit:
            return name
    return None


def _from_epoch(numbers: pd.Series[float]) -> pd.Series[pd.Timestamp]:
    per_second = {"epoch_seconds": 1, "epoch_millis": 1000}.get(_epoch(numbers) or "")
    if per_second is None:
        return pd.Series(dtype="datetime64[ns]")
    return pd.to_datetime(numbers / per_second, unit="s", utc=True)


def _quiet_hour(times: pd.Series[pd.Timestamp]) -> int | None:
    """Midnight sharp is how a date without a time of day is read, and does not count."""
    if not len(times):
        return None
    hours = times[times != times.dt.normalize()].dt.hour.value_counts().reindex(range(24), fill_value=0)
    if (hours > 0).sum() < HOURS:
        return None
    three = [int(hours[h - 1 if h else 23] + hours[h] + hours[(h + 1) % 24]) for h in range(24)]
    quiet = [n == min(three) for n in three]
    runs = [next((n for n in range(24) if not quiet[(h + n) % 24]), 24) for h in range(24)]
    longest = max(runs)  # a shop that is closed at night has many hours of which none is quieter
    return (runs.index(longest) + (longest - 1) // 2) % 24


def _separator(text: pd.Series[str]) -> str | None:
    """A list's parts recur in other company: `Action|Sci-Fi`, not `Nuts, salted` or `Cards/wrap`."""
    for sign in SEPARATORS:
        having = text[text.str.contains(sign, regex=False)]
        if len(having) < 0.2 * len(text) or not len(having):
            continue
        parts = text.str.split(sign).explode().str.strip()
        if (parts.str.split().str.len() <= 3).mean() >= MOSTLY and parts.nunique() <= 0.5 * text.nunique():
            return sign
    return None
