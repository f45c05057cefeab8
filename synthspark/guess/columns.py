"""Describe a column by a sample of its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from synthspark.guess.texts import MOSTLY, read_numbers, read_times
from synthspark.schemas import quoted

OLDEST, NEWEST = 631_152_000, 4_102_444_800
"""Range of epoch seconds that can be a time: 1990 to 2100."""
RECENT = (788_918_400, 2_051_222_400)
"""Range of epoch seconds, 1995 to 2034; a column of numbers in this range holds times, whatever its name."""
SOME = 0.01
"""Minimum share of values with leading zeros for the zeros to be intentional."""
HOURS = 8
"""Minimum number of hours of the day with events before the quietest hour is informative."""
SEPARATORS = ("|", ";", ",", "/")
WORD = r"\S+"
NULL_WORDS = ("NULL", "null", "Null", "\\N", "nan", "NaN", "None", "N/A", "n/a", "#N/A", "<NA>", "-", "--", "undefined",
              "(not set)", "(null)")  # fmt: skip
"""Texts that mean a missing value in any column."""
AMONG_NUMBERS = ("NA", "na", "none", "NONE", "?", "missing", "unknown")
"""Texts that mean a missing value if the other values are numbers or times; elsewhere they may be real values."""
FEW_VALUES = 30
"""Maximum number of distinct values for which the rows of each are counted."""


@dataclass(frozen=True)
class ColumnFacts:
    """Statistics of one column. Shares are shares of the non-missing values unless stated otherwise."""

    name: str
    type: str
    """Spark's name of the type."""
    rows: int
    missing: float
    """Share of the rows without a value."""
    distinct: int
    """Number of distinct values."""
    numbers: float
    """Share of values that can be parsed as a finite number in the column's notation."""
    rewriting: str | None
    """Spark SQL that rewrites these numbers to plain notation, `{}` for the column; None if they are plain."""
    negative: float
    """Share of the numbers below 0."""
    padded: bool
    """Whether more than SOME of the values have leading zeros, as only identifiers have."""
    whole: bool
    """Whether all numbers are whole."""
    dates: float
    """Share of values that can be parsed as a date or time; 0 for columns of numbers."""
    pattern: str | None
    """Spark's pattern of the dates or times; None for ISO 8601."""
    doubtful: bool
    """Whether day and month of the pattern could be swapped."""
    epoch: str | None
    """Key of EPOCH_UNITS in which the numbers would be times from 1990 to 2100, else None."""
    separator: str | None
    """Separator of lists stored as one string; None if there are no such lists."""
    words: float
    """Mean number of words."""
    quiet_hour: int | None
    """Hour of the day with the fewest values (middle of the quietest three hours) if values have times of day."""
    values: frozenset[str]
    """Distinct values."""
    example: str
    null_words: frozenset[str] = frozenset()
    """Texts found in the column that mean a missing value; `missing` includes them."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Value -> number of rows, if there are at most FEW_VALUES distinct values."""
    recent: bool = False
    """Whether the numbers would be times in RECENT years."""
    dated: bool = False
    """Whether all times are days without a time of day."""
    path: str = ""
    """Spark SQL of the value if it is nested in another column."""
    computed: bool = False
    """Whether only the SQL gives the value, no path does."""
    bracketed: bool = False
    """Whether lists are written in brackets, as in JSON and Python."""

    @property
    def sql(self) -> str:
        """Spark SQL of the value."""
        return self.path or quoted(self.name)

    @property
    def unique(self) -> float:
        """Number of distinct values divided by number of values; 1 if every row has its own value."""
        there = round(self.rows * (1 - self.missing))
        return self.distinct / there if there else 0.0


def facts(sample: pd.DataFrame, types: Mapping[str, str], paths: Mapping[str, str] | None = None) -> list[ColumnFacts]:
    """Describe every column of a sample.

    sample: every column as text or null; types: column -> Spark's name of its type; paths: column -> its SQL.
    """
    return [_facts(name, sample[name], types[name], (paths or {}).get(name, "")) for name in sample.columns]


def _facts(name: str, column: pd.Series[str], kind: str, path: str) -> ColumnFacts:
    text, nothing = _without_null_words(column.dropna().str.strip())
    values = frozenset(text.unique())
    numbers, rewriting = read_numbers(text)
    share = len(numbers) / len(text) if len(text) else 0.0
    times, pattern, doubtful = read_times(text)
    compact = pattern is not None and pattern.startswith("yyyyMMdd")
    numeric = share >= MOSTLY and not compact
    if numeric:
        times, pattern, doubtful = read_times(text[:0])
    bracketed = bool(text.str.match(r"^\[.*\]$").mean() >= MOSTLY) if len(text) else False
    is_list = kind.startswith("array") or numeric or len(times) or bracketed
    return ColumnFacts(
        name=name,
        type=kind,
        rows=len(column),
        missing=1 - len(text) / len(column) if len(column) else 1.0,
        distinct=len(values),
        numbers=0.0 if compact else share,
        rewriting=rewriting if numeric else None,
        negative=float((numbers < 0).mean()) if len(numbers) else 0.0,
        padded=bool(text.str.fullmatch(r"0\d+").mean() > SOME) if len(text) else False,
        whole=bool((numbers % 1 == 0).all()) if len(numbers) else False,
        dates=len(times) / len(text) if len(text) else 0.0,
        pattern=pattern,
        doubtful=doubtful,
        epoch=_epoch(numbers) if numeric else None,
        separator=None if is_list else _separator(text),
        words=float(text.str.count(WORD).mean()) if len(text) else 0.0,
        quiet_hour=_quiet_hour(_from_epoch(numbers) if numeric else times),
        values=values,
        example=str(text.iloc[0]) if len(text) else "",
        null_words=nothing,
        counts={str(v): int(n) for v, n in text.value_counts().items()} if len(values) <= FEW_VALUES else {},
        recent=numeric and _is_recent(numbers),
        dated=bool(len(times)) and bool((times == times.dt.normalize()).all()),
        path=path,
        bracketed=bracketed,
    )


def _without_null_words(text: pd.Series[str]) -> tuple[pd.Series[str], frozenset[str]]:
    """Return (non-missing values, texts found that mean a missing value)."""
    found = text.isin(NULL_WORDS)
    rest = text[~found & (text != "")]
    among = rest.isin(AMONG_NUMBERS)
    plain = rest[~among]
    if among.any() and len(plain):
        told = max(len(read_numbers(plain).values), len(read_times(plain).values)) / len(plain)
        if told >= MOSTLY:
            return plain, frozenset(text[found].unique()) | frozenset(rest[among].unique())
    return rest, frozenset(text[found].unique())


EPOCH_UNITS = {"epoch_seconds": 1, "epoch_millis": 1_000, "epoch_micros": 1_000_000, "epoch_nanos": 1_000_000_000}


def _epoch(numbers: pd.Series[float]) -> str | None:
    """Return the epoch unit of the numbers, else None. Only seconds may have a fraction, as from time.time()."""
    if not len(numbers):
        return None
    whole = bool((numbers % 1 == 0).all())
    low, high = numbers.quantile(0.01), numbers.quantile(0.99)
    for name, unit in EPOCH_UNITS.items():
        if OLDEST * unit <= low and high <= NEWEST * unit and (whole or unit == 1):
            return name
    return None


def _is_recent(numbers: pd.Series[float]) -> bool:
    unit = EPOCH_UNITS.get(_epoch(numbers) or "")
    first, last = RECENT
    if unit is None:
        return False
    return bool(first * unit <= numbers.quantile(0.05) and numbers.quantile(0.95) <= last * unit)


def _from_epoch(numbers: pd.Series[float]) -> pd.Series[pd.Timestamp]:
    per_second = EPOCH_UNITS.get(_epoch(numbers) or "")
    if per_second is None:
        return pd.Series(dtype="datetime64[ns]")
    seconds = numbers / per_second
    return pd.to_datetime(seconds[seconds.between(0, NEWEST)], unit="s", utc=True)


def _quiet_hour(times: pd.Series[pd.Timestamp]) -> int | None:
    """Return the quietest hour. Exact midnights are ignored: dates without a time of day are parsed as midnight."""
    if not len(times):
        return None
    hours = times[times != times.dt.normalize()].dt.hour.value_counts().reindex(range(24), fill_value=0)
    if (hours > 0).sum() < HOURS:
        return None
    three = [int(hours[h - 1 if h else 23] + hours[h] + hours[(h + 1) % 24]) for h in range(24)]
    quiet = [n == min(three) for n in three]
    runs = [next((n for n in range(24) if not quiet[(h + n) % 24]), 24) for h in range(24)]
    longest = max(runs)  # a shop that is closed at night has many equally quiet hours
    return (runs.index(longest) + (longest - 1) // 2) % 24


def _separator(text: pd.Series[str]) -> str | None:
    """Return the separator of lists in the texts, else None.

    The parts of lists recur in other combinations: `Action|Sci-Fi`, unlike `Nuts, salted` or `Cards/wrap`.
    """
    for sign in SEPARATORS:
        having = text[text.str.contains(sign, regex=False)]
        if len(having) < 0.2 * len(text) or not len(having):
            continue
        parts = text.str.split(sign).explode().str.strip()
        if (parts.str.count(WORD) <= 3).mean() >= MOSTLY and parts.nunique() <= 0.5 * text.nunique():
            return sign
    return None
