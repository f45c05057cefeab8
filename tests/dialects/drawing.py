"""Dialects drawn from seeds: mild ones, that differ from the plainest shop in little, and wild ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

from tests.dialects import identities, names, times
from tests.dialects.dialect import NOT_APPLICABLE, CsvStyle, Dialect, TableStyle

T = TypeVar("T")
FORMATS = ("csv", "csv", "json", "parquet", "parquet", "orc")
ARROW = ("parquet", "orc")
HEATS = (0.15, 0.35, 0.7)
"""Chance of each dimension to be another than the plain case."""
NULL_WORDS = ("NULL", "null", "\\N", "nan", "NaN", "None", "N/A", "-")
FILES = ("header only", "zero bytes", "_SUCCESS")
"""Quirks that add a file to a folder."""
SEVERAL = ("header order", "column lacks", "column added")
"""Quirks that need more than one file."""
QUIRKS = {
    "csv": (*SEVERAL, "header only", "zero bytes", "blank lines", "header blanks", "trailing separators"),
    "json": ("column lacks", "column added", "zero bytes", "brand and Brand"),
    "parquet": ("column lacks", "column added", "header only", "_SUCCESS"),
    "orc": ("column lacks", "column added", "header only", "_SUCCESS"),
}
NESTINGS = {
    ("json", "events"): ("struct", "deep struct", "lines"),
    ("parquet", "events"): ("struct", "deep struct", "lines"),
    ("orc", "events"): ("struct",),
    ("json", "items"): ("struct", "map", "JSON text", "deep struct"),
    ("parquet", "items"): ("struct", "map", "JSON text", "deep struct"),
    ("csv", "items"): ("JSON text",),
}
LAYOUTS = {
    "events": ("folder", "folder", "glob", "folders by day", "folders by channel"),
    "items": ("folder", "folders by dept"),
    "users": ("folder",),
}
DIRTY = ("no time", "no key", "unknown item", "negative", "duplicate", "item twice")
DIRTY_LINES = ("short line", "long line")


class Drawing:
    """Chance, with how much of it there is."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"dialect {seed}")
        self.heat = self.random.choice(HEATS)

    def any(self, values: Sequence[T]) -> T:
        """One of equals."""
        return self.random.choice(values)

    def pick(self, plain: Sequence[T], odd: Sequence[T], times_as_likely: float = 1.0) -> T:
        """Mostly one of the plain, else one of the odd."""
        chosen = odd if odd and self.random.random() < self.heat * times_as_likely else plain
        return self.random.choice(chosen)

    def table(self, common: str, side: str) -> TableStyle:
        """How one table is written."""
        kind = self.pick((common,), FORMATS)
        layout = self.pick(("file",), LAYOUTS[side], 1.2)
        files = 1 if layout == "file" else self.any((1, 2, 2, 3, 4, 5))
        fitting = [q for q in QUIRKS[kind] if self._has_quirk(q, side, layout, files)]
        nesting = self.pick(("flat",), NESTINGS.get((kind, side), ()), 0.7)
        packings = ("gz", "bz2") if files == 1 else ("gz", "bz2", "mixed")
        writer = NOT_APPLICABLE
        if kind == "parquet":
            writer = "pyarrow" if nesting == "map" else self.any(("pyarrow", "pandas"))
        return TableStyle(
            kind,
            layout,
            files,
            self.pick(("none",), fitting),
            self.pick(("plain",), packings, 0.6) if kind in ("csv", "json") else "plain",
            nesting,
            writer,
        )

    def _has_quirk(self, quirk: str, side: str, layout: str, files: int) -> bool:
        if quirk in SEVERAL:
            return files > 1
        return (quirk not in FILES or layout != "file") and (quirk != "brand and Brand" or side == "items")

    def csv(self) -> CsvStyle:
        """How text files are written."""
        quote = self.pick(('"',), ("'", "", ""), 0.6)
        return CsvStyle(
            separator=self.pick((",",), (";", "\t", "|")) if quote else self.any(("\t", "\t", "|", ";")),
            quote=quote,
            escape=self.pick(("doubled",), ("backslash",)) if quote else "none",
            quoting=self.any(("minimal", "minimal", "all")) if quote else "none",
            line_end=self.pick(("\n",), ("\r\n",)),
            encoding=self.pick(("utf-8",), ("utf-8-sig", "utf-8-sig", "utf-16", "cp1252"), 0.7),
        )

    def ids(self, events: TableStyle, table: TableStyle | None) -> str:
        """How ids are written; what only some formats can is drawn more often where they are."""
        fitting = [n for n, s in identities.STYLES.items() if _fits(n, s, events, table)]
        special = [n for n in fitting if len(identities.STYLES[n].formats) < 3]
        plain = ("int", "prefix", "prefix", "padded", "uuid")
        return self.pick(plain, special if special and self.random.random() < 0.3 else fitting, 1.4)

    def time(self, events: TableStyle) -> str:
        """How the events' times are written."""
        if events.layout == "folders by day":
            return times.PARTITION_DAY
        if self.random.random() < 0.04:
            return "none"
        numbers = [n for n in times.NUMBERS if events.format != "csv" or n != "yyyyMMdd number"]
        if events.format in ARROW:
            return self.pick(
                _arrow(events.format), [*_arrow(events.format), *numbers, *self.random.sample([*times.TEXT], 6)]
            )
        return self.pick(("iso with T", "iso with blank", "Z", "date only"), [*times.TEXT, *numbers])

    def listed(self, items: TableStyle) -> str:
        """How an item's date is written."""
        if items.format in ARROW:
            return self.pick(_arrow(items.format), ("date only", "iso with blank"))
        return self.pick(("date only",), ("iso with blank", "d.M.yyyy", "M/d/yyyy h:mm a", "yyyyMMdd", "Z"))

    def tags(self, kind: str) -> str:
        """How lists are written."""
        text = ("a,b", "['a', 'b']", '["a", "b"]')
        return self.pick(("a|b",), text) if kind == "csv" else self.pick(("array",), ("a|b", *text, "array of arrays"))

    def titles(self, csv: CsvStyle, formats: set[str]) -> str:
        """What is in texts."""
        styles = ["flourishes", "flourishes" if "csv" in formats and csv.encoding == "cp1252" else "emoji"]
        if "csv" in formats and not csv.quote:
            styles += ["stray quotes"] * 2
        if csv.quote or "csv" not in formats:
            styles += ["line feeds"]
        return self.pick(("plain", "flourishes"), styles)


def draw(seed: int) -> Dialect:
    """The dialect of a seed."""
    d = Drawing(seed)
    common = d.any(FORMATS)
    events, items = d.table(common, "events"), d.table(common, "items")
    users = d.table(common, "users") if d.random.random() < 0.4 else None
    csv, tags = d.csv(), d.tags(items.format)
    if not csv.quote and csv.separator in tags:
        csv = replace(csv, separator="\t")
    if not csv.quote and items.nesting == "JSON text" and items.format == "csv":
        items = replace(items, nesting="flat")
    lines = DIRTY_LINES if events.format == "csv" else ()
    formats = {t.format for t in (events, items, users) if t is not None}
    only_csv, typed = formats == {"csv"}, formats <= set(ARROW)
    return Dialect(
        seed=seed,
        events=events,
        items=items,
        users=users,
        csv=csv,
        user_ids=d.ids(events, users),
        item_ids=d.ids(events, items),
        times=d.time(events),
        times_as=d.any(("number", "text")),
        listed=d.listed(items),
        sentinel=d.pick(("none",), ("0001-01-01", "9999-12-31", "1900-01-01")),
        zone=d.pick(("UTC",), ("Europe/Berlin", "America/New_York", "Asia/Kolkata"), 1.2),
        nulls=d.pick(("",), NULL_WORDS),
        nulls_as="word" if only_csv else d.pick(("typed",), ("word", "absent")),
        event_types=d.pick(("none", "words"), ("upper", "mixed case", "numbers")),
        numbers="plain" if typed else d.pick(("plain",), ("1.234,50", "$1,234.50")),
        tags=tags,
        titles=d.titles(csv, formats),
        family=d.pick(("snake",), tuple(names.FAMILIES), 1.2),
        same_key=d.pick((True,), (False,)),
        odd_name=d.pick(("none",), names.ODD[1:]),
        rating=d.random.random() < 0.2,
        dirty=tuple(x for x in (*DIRTY, *lines) if d.random.random() < d.heat),
    )


def _fits(name: str, style: identities.IdStyle, events: TableStyle, table: TableStyle | None) -> bool:
    """Whether the tables' formats can write ids so."""
    if table is None and not style.alone:
        return False
    odd = [t for place, t in (("events", events), ("table", table)) if style.odd in (place, "both")]
    if any(t is not None and t.format not in style.formats for t in odd):
        return False
    return name != "mixed types" or (events.files > 1 and events.nesting == "flat")


def _arrow(kind: str) -> list[str]:
    """Time types; pyarrow writes others to ORC as these."""
    return [n for n in times.ARROW if kind == "parquet" or n in ("timestamp[us, UTC]", "timestamp[us]", "date32")]
