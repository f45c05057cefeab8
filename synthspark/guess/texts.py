"""Parse numbers and times in the notations of people and spreadsheets, and give Spark's SQL or pattern for them."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

MOSTLY = 0.95
"""Minimum share of values that must fit for a column to count as numbers, dates or lists."""
WORTH_A_TRY = 0.5
"""Minimum share of values that must look like a notation before it is tried."""
ISO = (
    r"^(?P<date>\d{4}-\d{1,2}-\d{1,2})(?:[T ]+(?P<clock>\d{1,2}:\d{1,2}(?::\d{1,2})?)(?:\.\d*)?"
    r"(?:\s*(?:[+-]\d{1,2}(?::?\d{2})?|[A-Za-z][\w/+:-]*)?))?\s*$"
)
SPAN = ("1678", "2261")
"""First and last year that 64-bit nanoseconds represent in full."""
NO_YEAR = r"(?:(?<=\D)|^)(?:9999|0001)(?=\D|$|\d{4}(?:\d{6})?$)"
"""Years that mean "no date"; pandas cannot represent them, so they are replaced before parsing."""
AROUND = " \u00a0€$£"
"""Characters that may surround a number."""
FORMS = (
    (r"-?(?:\d+|[1-9]\d{0,2}(?:,\d{3})+)(?:\.\d+)?", "translate({}, ',%s', '')"),
    (r"-?(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+)(?:,\d+)?", "translate({}, ',.%s', '.')"),
)
"""Notations of numbers (thousands commas; decimal comma), each with Spark SQL that makes it plain."""
DATES = (
    ("d.M.yyyy", "%d.%m.%Y", r"\d{1,2}\.\d{1,2}\.\d{4}"),
    ("d.M.yy", "%d.%m.%y", r"\d{1,2}\.\d{1,2}\.\d{2}(?!\d)"),
    ("M/d/yyyy", "%m/%d/%Y", r"\d{1,2}/\d{1,2}/\d{4}"),
    ("d/M/yyyy", "%d/%m/%Y", r"\d{1,2}/\d{1,2}/\d{4}"),
    ("d-M-yyyy", "%d-%m-%Y", r"\d{1,2}-\d{1,2}-\d{4}"),
    ("yyyy/M/d", "%Y/%m/%d", r"\d{4}/\d{1,2}/\d{1,2}"),
    ("d-MMM-yyyy", "%d-%b-%Y", r"\d{1,2}-[A-Za-z]{3}-\d{4}"),
    ("d MMM yyyy", "%d %b %Y", r"\d{1,2} [A-Za-z]{3} \d{4}"),
    ("MMM d, yyyy", "%b %d, %Y", r"[A-Za-z]{3} \d{1,2}, \d{4}"),
)
"""Spark's pattern, Python's pattern, and a regex of texts to try it on. Of equally good patterns the first is taken."""
WHOLE = (
    ("yyyyMMdd", "%Y%m%d", r"(?:19|20)\d{6}"),
    ("yyyyMMddHHmmss", "%Y%m%d%H%M%S", r"(?:19|20)\d{12}"),
    ("yyyy-MM-dd HH:mm:ss,SSS", "%Y-%m-%d %H:%M:%S,%f", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"),
    ("d/MMM/yyyy:HH:mm:ss Z", "%d/%b/%Y:%H:%M:%S %z", r"\d{1,2}/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"),
)
"""Like DATES, for notations of date and time with one form: digits only, Python's logging, web server logs."""
CLOCKS = (("[ H:m[:s]]", ("", " %H:%M", " %H:%M:%S")), ("[ h:m[:s] a]", ("", " %I:%M %p", " %I:%M:%S %p")))


class Numbers(NamedTuple):
    """The finite numbers of a column."""

    values: pd.Series[float]
    rewriting: str | None
    """Spark SQL that rewrites them to plain notation, `{}` for the column; None if they are plain."""


class Times(NamedTuple):
    """The times of a column."""

    values: pd.Series[pd.Timestamp]
    pattern: str | None
    """Spark's pattern; None for ISO 8601."""
    doubtful: bool
    """Whether day and month could be swapped."""


def read_numbers(text: pd.Series[str]) -> Numbers:
    """Parse numbers in the notation that most values fit. text: non-missing values, trimmed."""
    best = Numbers(_finite(text), None)
    if len(best.values) == len(text):
        return best
    bare = text.str.replace(f"[{AROUND}]", "", regex=True)
    for (form, rewriting), plain in zip(FORMS, (_without_commas, _with_point), strict=True):
        found = _finite(plain(bare[bare.str.fullmatch(form)]))
        if len(found) > len(best.values):
            signs = "".join(sign for sign in AROUND if text.str.contains(sign, regex=False).any())
            best = Numbers(found, rewriting % signs)
    return best


def read_times(text: pd.Series[str]) -> Times:
    """Parse times in the notation that most values fit, ISO 8601 if equal. text: non-missing values, trimmed."""
    found = [_iso(text)]
    if len(found[0].values) < MOSTLY * len(text):
        text = text.str.replace(NO_YEAR, "2000", regex=True)
        for pattern, form, shape in WHOLE:
            if text.str.fullmatch(shape).mean() >= MOSTLY:
                values = pd.to_datetime(text, errors="coerce", utc=True, format=form).dropna()
                found.append(Times(values, pattern, False))
        for pattern, date, shape in DATES:
            if text.str.match(shape).mean() >= WORTH_A_TRY:
                found += [Times(_parsed(text, date, clocks), pattern + clock, False) for clock, clocks in CLOCKS]
    best = max(found, key=lambda times: len(times.values))
    equals = {t.pattern.partition("[")[0] for t in found if t.pattern and len(t.values) == len(best.values)}
    return best._replace(doubtful={"M/d/yyyy", "d/M/yyyy"} <= equals)


def _iso(text: pd.Series[str]) -> Times:
    """Parse dates with dashes, with or without a time of day and a zone."""
    parts = text.str.extract(ISO)
    dated = parts[parts["date"].notna()]
    clock = dated["clock"].fillna("00:00:00").str.replace(r"^(\d{1,2}:\d{1,2})$", r"\1:00", regex=True)
    # Years that pandas cannot represent are placeholders for "no date"; the values still count as ISO.
    known = dated["date"].where(dated["date"].str[:4].between(*SPAN), "2000-01-01")
    plain = known.str.replace(r"\b(\d)\b", r"0\1", regex=True) + " " + clock
    values = pd.to_datetime(plain, errors="coerce", utc=True, format="%Y-%m-%d %H:%M:%S").dropna()
    return Times(values, None, False)


def _parsed(text: pd.Series[str], date: str, clocks: tuple[str, ...]) -> pd.Series[pd.Timestamp]:
    tried = [pd.to_datetime(text, errors="coerce", utc=True, format=date + clock).dropna() for clock in clocks]
    return pd.concat([t for t in tried if len(t)] or tried[:1])


def _finite(text: pd.Series[str]) -> pd.Series[float]:
    numbers = pd.to_numeric(text, errors="coerce")
    return numbers[numbers.abs() < float("inf")].dropna()


def _without_commas(text: pd.Series[str]) -> pd.Series[str]:
    return text.str.replace(",", "", regex=False)


def _with_point(text: pd.Series[str]) -> pd.Series[str]:
    return text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
