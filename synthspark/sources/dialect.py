"""Detect the dialect of CSV files: the one with which most lines have as many fields as the header."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyspark.sql import SparkSession

from synthspark.errors import SourceError
from synthspark.sources.delimited import decoded
from synthspark.sources.files import first_bytes, input_files, of_each

SAMPLE_BYTES = 1 << 20
"""Maximum number of bytes sampled per file."""
MAX_FILES = 8
"""Number of files sampled: the first, the last and some between."""
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", "\x01": "^A", "^": "caret", "~": "tilde"}
MIN_SHARE = 0.5
"""Minimum share of the lines that must have the header's number of fields."""
_LINE_END = re.compile(r"\r\n|\n|\r")
_DATA = re.compile(r"[+-]?\d+([.,]\d+)*|\d{4}-\d{2}-\d{2}.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}.*")


@dataclass(frozen=True)
class Reading:
    """One way to read CSV."""

    separator: str
    quote: str | None
    """Quote character; None if quotes are ordinary characters."""
    escape: str
    """Character before a quote inside quotes: another quote or a backslash."""
    multi_line: bool
    """Whether quoted values may contain line ends."""
    skip_blanks: bool = False
    """Whether blanks before a quote are ignored."""

    def options(self) -> dict[str, str]:
        """Return the options for Spark's reader."""
        found = {"header": "true"}
        if self.quote is None:
            found["quote"] = ""
        else:
            found["escape"] = self.escape
            if self.quote != '"':
                found["quote"] = self.quote
        if self.separator != ",":
            found["sep"] = self.separator
        if self.multi_line:
            found["multiLine"] = "true"
        if self.skip_blanks:
            found["ignoreLeadingWhiteSpace"] = "true"
        return found

    def words(self) -> str:
        """Return a description for the user to check."""
        doubled = "doubled" if self.escape == self.quote else "after a backslash"
        quotes = f"quotes {self.quote} ({doubled} within)" if self.quote else "no quotes"
        lines = ", values over several lines" if self.multi_line else ""
        return f"separator {SEPARATORS[self.separator]}, {quotes}{lines}"


@dataclass(frozen=True)
class Dialect:
    """Detected dialect of a table's files."""

    options: dict[str, str]
    """Options for Spark's reader."""
    words: str
    """Description of the dialect and of how many lines fit it, in one line."""


def dialect(spark: SparkSession, path: str, where: str, encoding: str | None = None) -> Dialect:
    """Detect the dialect that most lines of the files below `path` fit.

    encoding: encoding of the files; None to detect it. where: first words of errors. Raises SourceError for empty
    files, files without column names in the first line, an encoding other than UTF-8 or UTF-16 (unless `encoding` is
    given), and lines that fit no dialect.
    """
    files = input_files(spark, path, {})
    step = max(1, len(files) // MAX_FILES)
    chosen = list(dict.fromkeys([*files[::step][:MAX_FILES], files[-1]]))
    heads = [h for h in of_each(chosen, lambda f: first_bytes(spark, f, SAMPLE_BYTES)) if h.strip()]
    if not heads:
        raise SourceError(f"{where}: its files are empty")
    found = encoding or _encoding(heads, where)
    texts = [_whole_lines(decoded(head, found), len(head) == SAMPLE_BYTES) for head in heads]
    texts = [text for text in texts if text.strip()]
    reading, fitting, lines = decide(texts, where)
    options = reading.options()
    if found != "UTF-8":
        options["encoding"] = found
        if found.upper().startswith("UTF-16"):  # Spark finds its line ends only when it reads whole files
            options["multiLine"] = "true"
    _require_names(texts[0], reading, where)
    words = f"{reading.words()}, {found}; {fitting:,} of {lines:,} lines looked at have their header's number of fields"
    return Dialect(options, words)


def readings(texts: Sequence[str]) -> Iterator[Reading]:
    """Yield the readings to try, the simplest first."""
    firsts = [_header(text) for text in texts]
    separators = [s for s in SEPARATORS if any(s in first for first in firsts)] or [","]
    whole = "\n".join(texts)
    for separator in separators:
        # A character is tried as the quote only if it begins some value.
        quotes = [q for q in ('"', "'") if re.search(rf"(^|{re.escape(separator)}) *{q}", whole, re.MULTILINE)]
        for quote, multi_line in itertools.product(quotes, (False, True)):
            blanks = re.search(re.escape(separator) + " +" + quote, whole) is not None
            for escape in (quote, "\\") if f"\\{quote}" in whole else (quote,):
                yield Reading(separator, quote, escape, multi_line, blanks)
        if not quotes and '"' not in whole:  # none in the sample, but later lines may have some
            yield Reading(separator, '"', '"', False)
        else:
            yield Reading(separator, None, "\\", False)


def fits(text: str, reading: Reading) -> tuple[int, int, int]:
    """Return (lines of records with as many fields as the header, all lines, that number of fields).

    Blank lines do not count.
    """
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    if reading.multi_line:
        return _fits_records(text, reading, len(lines))
    width = _width(lines[0], reading)
    return sum(_width(line, reading) == width for line in lines), len(lines), width


def decide(texts: Sequence[str], where: str) -> tuple[Reading, int, int]:
    """Return (reading that most lines fit, number of lines that fit, number of lines). texts: beginnings of files.

    Raises SourceError if less than MIN_SHARE of the lines fit.
    """
    best: tuple[tuple[bool, int, int], Reading, int, int] | None = None
    for reading in readings(texts):
        counted = [fits(text, reading) for text in texts]
        fitting, lines, width = sum(c[0] for c in counted), sum(c[1] for c in counted), max(c[2] for c in counted)
        rank = (width > 1, fitting, width)
        if best is None or rank > best[0]:
            best = rank, reading, fitting, lines
    assert best is not None
    _, reading, fitting, lines = best
    if fitting < MIN_SHARE * lines:
        raise SourceError(
            f"{where}: at most {fitting:,} of {lines:,} lines have as many fields as the first "
            f"({reading.words()}); its first line is {_header(texts[0])[:80]!r}. Give it a header line and one dialect"
        )
    return reading, fitting, lines


def _fields(lines: Sequence[str] | io.StringIO, reading: Reading) -> Iterator[list[str]]:
    own = reading.quote is not None and reading.escape == reading.quote
    return csv.reader(
        lines, delimiter=reading.separator, quotechar=reading.quote or '"', doublequote=own, strict=True,
        escapechar=None if own or reading.quote is None else reading.escape, skipinitialspace=reading.skip_blanks,
        quoting=csv.QUOTE_NONE if reading.quote is None else csv.QUOTE_MINIMAL,
    )  # fmt: skip


def _width(line: str, reading: Reading) -> int:
    """Return the number of fields of a line; 0 if a quote is left open or ends inside a value."""
    try:
        return len(next(_fields([line], reading)))
    except csv.Error:
        return 0


def _fits_records(text: str, reading: Reading, lines: int) -> tuple[int, int, int]:
    records = _fields(io.StringIO(text, newline=""), reading)
    fitting, width, before = 0, 0, 0
    while True:
        try:
            record = next(records)
        except StopIteration:
            return min(fitting, lines), lines, width
        except csv.Error:  # the rest of the text cannot be parsed
            return min(fitting, lines), lines, width
        now = records.line_num  # type: ignore[attr-defined]
        width = width or len(record)
        if len(record) == width and not _swallowed(record, reading.separator):
            fitting += now - before
        before = now


def _swallowed(record: Sequence[str], separator: str) -> bool:
    """Return whether a value holds the end of one record and the beginning of another, as after a stray quote."""
    for place, value in enumerate(record):
        if "\n" in value and separator in value and separator + " " not in value:  # prose has blanks after commas
            first, *between, last = value.split("\n")
            if first.count(separator) == len(record) - 1 - place and last.count(separator) == place:
                return all(line.count(separator) == len(record) - 1 for line in between)
    return False


def _encoding(heads: Sequence[bytes], where: str) -> str:
    if any(head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) for head in heads):
        return "UTF-16"
    texts = [decoded(head, "UTF-8") for head in heads]
    foreign = sum(text.count("\ufffd") for text in texts)
    sound = sum(sum(ord(ch) > 127 for ch in text) for text in texts) - foreign
    if foreign > sound:  # more than a few bad bytes: another encoding, which only the user can name
        raise SourceError(
            f"{where}: it is not UTF-8; name its encoding, as in --encoding windows-1252, or save it as UTF-8: "
            "iconv -f windows-1252 -t utf-8 OLD.csv > NEW.csv"
        )
    return "UTF-8"


def _whole_lines(text: str, is_cut: bool) -> str:
    end = max(text.rfind("\n"), text.rfind("\r"))
    return text[:end] if is_cut and end > 0 else text


def _header(text: str) -> str:
    return next((line for line in _LINE_END.split(text) if line.strip()), "")


def _require_names(text: str, reading: Reading, where: str) -> None:
    first = next(_fields([_header(text)], reading), [])
    data = [value for value in first if _DATA.fullmatch(value.strip())]
    if data:
        raise SourceError(
            f"{where}: its first line has the value {data[0]!r}, so it seems to be a row, not a header; add a line of "
            'names, or write the configuration by hand with options {header: "false"} and columns _c0, _c1, ...'
        )
