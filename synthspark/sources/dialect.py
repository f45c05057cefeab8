"""How a CSV file is to be read, decided by which reading gives every line the header's number of fields."""

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
"""Bytes looked at per file."""
MAX_FILES = 8
"""Files looked at: the first, the last and some between."""
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", "\x01": "^A", "^": "caret", "~": "tilde"}
MIN_SHARE = 0.5
"""Share of the lines that must have the header's number of fields."""
_LINE_END = re.compile(r"\r\n|\n|\r")
_DATA = re.compile(r"[+-]?\d+([.,]\d+)*|\d{4}-\d{2}-\d{2}.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}.*")


@dataclass(frozen=True)
class Reading:
    """One way to read CSV."""

    separator: str
    quote: str | None
    """None: quotes are letters like others."""
    escape: str
    """What stands before a quote within quotes: another quote, or a backslash."""
    multi_line: bool
    """Whether values within quotes may have line ends."""
    skip_blanks: bool = False
    """Whether blanks before a quote are no part of the value."""

    def options(self) -> dict[str, str]:
        """For Spark's reader."""
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
        """For somebody to check."""
        doubled = "doubled" if self.escape == self.quote else "after a backslash"
        quotes = f"quotes {self.quote} ({doubled} within)" if self.quote else "no quotes"
        lines = ", values over several lines" if self.multi_line else ""
        return f"separator {SEPARATORS[self.separator]}, {quotes}{lines}"


@dataclass(frozen=True)
class Dialect:
    """What was decided of a table's files."""

    options: dict[str, str]
    words: str
    """What was decided and how well it fits, in one line."""


def dialect(spark: SparkSession, path: str, where: str, encoding: str | None = None) -> Dialect:
    """The reading that most lines of the files below `path` fit; encoding: None finds out.

    Raises SourceError that begins with `where`: for files without names in the first line, of another encoding than
    UTF-8 or UTF-16, or whose lines fit no reading.
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
        if found.upper().startswith("UTF-16"):  # Spark finds the ends of its lines only where it reads whole files
            options["multiLine"] = "true"
    _require_names(texts[0], reading, where)
    words = f"{reading.words()}, {found}; {fitting:,} of {lines:,} lines looked at have their header's number of fields"
    return Dialect(options, words)


def readings(texts: Sequence[str]) -> Iterator[Reading]:
    """The readings worth a try, the plainest first."""
    firsts = [_header(text) for text in texts]
    separators = [s for s in SEPARATORS if any(s in first for first in firsts)] or [","]
    whole = "\n".join(texts)
    for separator in separators:
        # Of a quote that is one, some stand at the beginning of a value and some at an end.
        quotes = [q for q in ('"', "'") if re.search(rf"(^|{re.escape(separator)}) *{q}", whole, re.MULTILINE)]
        for quote, multi_line in itertools.product(quotes, (False, True)):
            blanks = re.search(re.escape(separator) + " +" + quote, whole) is not None
            for escape in (quote, "\\") if f"\\{quote}" in whole else (quote,):
                yield Reading(separator, quote, escape, multi_line, blanks)
        if not quotes and '"' not in whole:  # none yet: further down there may be some
            yield Reading(separator, '"', '"', False)
        else:
            yield Reading(separator, None, "\\", False)


def fits(text: str, reading: Reading) -> tuple[int, int, int]:
    """Lines of records with the header's number of fields, all lines, and that number; blank lines do not count."""
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    if reading.multi_line:
        return _fits_records(text, reading, len(lines))
    width = _width(lines[0], reading)
    return sum(_width(line, reading) == width for line in lines), len(lines), width


def decide(texts: Sequence[str], where: str) -> tuple[Reading, int, int]:
    """The reading that most lines fit, how many do, and how many there are. texts: the beginnings of files.

    Raises SourceError where fewer than MIN_SHARE fit any.
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
    """Fields of a line; 0 where a quote is left open or ends within a value."""
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
        except csv.Error:  # the rest of the text is lost with it
            return min(fitting, lines), lines, width
        now = records.line_num  # type: ignore[attr-defined]
        width = width or len(record)
        if len(record) == width and not _swallowed(record, reading.separator):
            fitting += now - before
        before = now


def _swallowed(record: Sequence[str], separator: str) -> bool:
    """Whether a value holds the end of one record and the beginning of another, as after a quote that is no quote."""
    for place, value in enumerate(record):
        if "\n" in value and separator in value and separator + " " not in value:  # prose has blanks behind commas
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
    if foreign > sound:  # not one slip, but another encoding; which one, only somebody who reads it can tell
        raise SourceError(
            f"{where}: it is not UTF-8; say what it is, as in --encoding windows-1252, or save it as UTF-8: "
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
            f"{where}: its first line has the value {data[0]!r}, and so seems to be a row and no header; add a line of "
            'names, or write the configuration by hand with options {header: "false"} and columns _c0, _c1, ...'
        )
