"""A way to write a shop's tables, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from random import Random

from tests.dialects import identities, names, times

FORMATS = ("csv", "csv", "json", "parquet", "parquet", "orc")
ARROW = ("parquet", "orc")
NOT_APPLICABLE = ""
"""Of a dimension that the drawn format does not have."""
NULLS = ("", "", "NULL", "null", "\\N", "nan", "NaN", "None", "N/A", "-")
QUIRKS = {
    "csv": ("header order", "column lacks", "column added", "header only", "zero bytes", "blank lines", "header blanks",
            "trailing separators"),
    "json": ("column lacks", "column added", "zero bytes", "brand and Brand"),
    "parquet": ("column lacks", "column added", "header only", "_SUCCESS"),
    "orc": ("column lacks", "column added", "header only", "_SUCCESS"),
}  # fmt: skip
SEVERAL = ("header order", "column lacks", "column added", "header only", "zero bytes", "_SUCCESS")
"""Quirks that need more than one file."""
DIRTY = ("no time", "no key", "unknown item", "negative", "duplicate", "short line", "long line", "item twice")


@dataclass(frozen=True)
class CsvStyle:
    """How text files are written; all tables of one shop are written by the same program."""

    separator: str = ","
    quote: str = '"'
    """Empty: nothing is ever quoted."""
    escape: str = "doubled"
    quoting: str = "minimal"
    line_end: str = "\n"
    encoding: str = "utf-8"


@dataclass(frozen=True)
class TableStyle:
    """How one table is written."""

    format: str
    layout: str = "file"
    files: int = 1
    quirk: str = "none"
    packing: str = "plain"
    """plain, gz, bz2 or mixed."""
    nesting: str = "flat"
    writer: str = NOT_APPLICABLE
    """Of Parquet: pyarrow or pandas."""


@dataclass(frozen=True)
class Dialect:
    """Everything that decides how the truth is written."""

    seed: int
    events: TableStyle
    items: TableStyle
    users: TableStyle | None
    csv: CsvStyle
    user_ids: str
    item_ids: str
    times: str
    """`none`: the events have no time."""
    times_as: str
    """Epochs as number or as text."""
    listed: str
    sentinel: str
    zone: str
    nulls: str
    nulls_as: str
    """Where the format has nulls of its own: typed, word, or (JSON) absent."""
    event_types: str
    numbers: str
    tags: str
    titles: str
    family: str
    same_key: bool
    """The item's id has one name in both tables."""
    odd_name: str
    rating: bool
    dirty: tuple[str, ...]

    @property
    def formats(self) -> tuple[str, ...]:
        """Those of its tables."""
        return tuple(t.format for t in (self.events, self.items, self.users) if t is not None)

    @property
    def impossible(self) -> str | None:
        """Why nobody can read this right, if so."""
        for style in (self.user_ids, self.item_ids):
            if identities.STYLES[style].impossible:
                return "ids beyond 2^53 as double"
        if "csv" in self.formats and self.csv.encoding == "cp1252":
            return "windows-1252 that nobody has named"
        return None

    def values(self) -> dict[str, str]:
        """Dimension -> its value, of the dimensions that this dialect has."""
        found = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, TableStyle):
                found.update({f"{field.name}.{f.name}": str(getattr(value, f.name)) for f in fields(value)})
            elif isinstance(value, CsvStyle) and "csv" in self.formats:
                found.update({f"csv.{f.name}": repr(getattr(value, f.name)) for f in fields(value)})
            elif field.name not in ("seed", "dirty", "csv", "users"):
                found[field.name] = repr(value) if field.name == "nulls" else str(value)
        found["users"] = "none" if self.users is None else "a table"
        return {name: value for name, value in found.items() if value != NOT_APPLICABLE}

    def describe(self) -> str:
        """One line: what differs from the plainest shop."""
        plain = ("none", "flat", "plain", "file", "False", "1", "pyarrow", "'utf-8'", "'\\n'", "typed", "minimal")
        words = [f"{name}={value}" for name, value in self.values().items() if value not in plain]
        return f"seed {self.seed}: " + ", ".join(words) + f", dirty: {', '.join(self.dirty) or 'none'}"


def draw(seed: int) -> Dialect:
    """The dialect of a seed; half of each dimension is the plain case."""
    random = Random(f"dialect {seed}")
    common = random.choice(FORMATS)
    events = _table(random, common, "events")
    items = _table(random, common, "items")
    users = _table(random, common, "users") if random.random() < 0.4 else None
    csv = _csv(random)
    tags = _tags(random, items.format)
    if not csv.quote and csv.separator in tags:
        csv = replace(csv, separator="\t")
    formats = {t.format for t in (events, items, users) if t is not None}
    typed = formats <= set(ARROW)
    day_folders = events.layout == "folders by day"
    family = _often(random, "snake", tuple(names.FAMILIES), 0.25)
    return Dialect(
        seed=seed,
        events=events,
        items=items,
        users=users,
        csv=csv,
        user_ids=_ids(random, "user", events, users),
        item_ids=_ids(random, "item", events, items),
        times=times.PARTITION_DAY if day_folders else _times(random, events),
        times_as=random.choice(("number", "text")),
        listed=_listed(random, items),
        sentinel=_often(random, "none", ("0001-01-01", "9999-12-31", "1900-01-01"), 0.7),
        zone=_often(random, "UTC", ("Europe/Berlin", "America/New_York", "Asia/Kolkata"), 0.4),
        nulls=random.choice(NULLS),
        nulls_as="word" if formats == {"csv"} else random.choice(("typed", "typed", "word", "absent")),
        event_types=random.choice(("none", "none", "words", "words", "upper", "mixed case", "numbers")),
        numbers="plain" if typed else _often(random, "plain", ("1.234,50", "$1,234.50"), 0.6),
        tags=tags,
        titles=_titles(random, csv, formats),
        family=family,
        same_key=random.random() < 0.6,
        odd_name=_often(random, "none", names.ODD[1:], 0.6),
        rating=random.random() < 0.2,
        dirty=tuple(d for d in DIRTY if random.random() < 0.3),
    )


def _often(random: Random, plain: str, others: tuple[str, ...], share: float) -> str:
    return plain if random.random() < share else random.choice(others)


def _table(random: Random, common: str, side: str) -> TableStyle:
    kind = common if random.random() < 0.7 else random.choice(FORMATS)
    layouts = {
        "events": ("file", "file", "folder", "folder", "glob", "folders by day", "folders by channel"),
        "items": ("file", "file", "file", "folder", "folders by dept"),
        "users": ("file", "file", "folder"),
    }[side]
    layout = random.choice(layouts)
    files = 1 if layout == "file" else random.randint(1, 5)
    quirks = [q for q in QUIRKS[kind] if files > 1 or q not in SEVERAL]
    quirk = _often(random, "none", tuple(quirks), 0.6) if quirks else "none"
    if quirk == "brand and Brand" and side != "items":
        quirk = "none"
    nestings = {
        ("json", "events"): ("struct", "deep struct", "lines"),
        ("parquet", "events"): ("struct", "deep struct", "lines"),
        ("json", "items"): ("struct", "map", "JSON text", "deep struct"),
        ("parquet", "items"): ("struct", "map", "JSON text", "deep struct"),
        ("orc", "events"): ("struct",),
    }.get((kind, side), ())
    nesting = _often(random, "flat", nestings, 0.55) if nestings else "flat"
    packing = _often(random, "plain", ("gz", "bz2", "mixed"), 0.75) if kind in ("csv", "json") else "plain"
    writer = random.choice(("pyarrow", "pandas")) if kind == "parquet" else NOT_APPLICABLE
    return TableStyle(kind, layout, files, quirk, packing, nesting, "pyarrow" if nesting == "map" else writer)


def _csv(random: Random) -> CsvStyle:
    quote = random.choice(('"', '"', '"', '"', "'", ""))
    return CsvStyle(
        separator=random.choice((",", ",", ";", "\t", "|")) if quote else random.choice(("\t", "\t", "|", ";")),
        quote=quote,
        escape=random.choice(("doubled", "doubled", "backslash")) if quote else "none",
        quoting=random.choice(("minimal", "minimal", "all")) if quote else "none",
        line_end=random.choice(("\n", "\n", "\r\n")),
        encoding=random.choice(("utf-8",) * 5 + ("utf-8-sig", "utf-8-sig", "utf-16", "cp1252")),
    )


def _ids(random: Random, side: str, events: TableStyle, table: TableStyle | None) -> str:
    fitting = [n for n, s in identities.STYLES.items() if _fits(n, s, events, table)]
    if random.random() < 0.4:
        return random.choice(("int", "prefix", "padded"))
    special = [n for n in fitting if len(identities.STYLES[n].formats) < 3]
    return random.choice(special if special and random.random() < 0.3 else fitting)


def _fits(name: str, style: identities.IdStyle, events: TableStyle, table: TableStyle | None) -> bool:
    if table is None and not style.alone:
        return False
    odd = table if style.odd == "table" else events
    if odd is None or odd.format not in style.formats:
        return False
    if style.impossible and table is not None and table.format not in style.formats:
        return False
    if name == "mixed types":
        return events.files > 1 and events.nesting == "flat"
    return True


def _times(random: Random, events: TableStyle) -> str:
    if random.random() < 0.05:
        return "none"
    text, numbers = tuple(times.TEXT), tuple(times.NUMBERS)
    if events.format in ARROW:
        return random.choice([*_arrow(events.format) * 2, *numbers, *random.sample(text, 6)])
    return random.choice([*text, *numbers[:-1], *(numbers[-1:] if events.format == "json" else ())])


def _arrow(kind: str) -> list[str]:
    return [n for n in times.ARROW if kind == "parquet" or n in ("timestamp[us, UTC]", "timestamp[us]", "date32")]


def _listed(random: Random, items: TableStyle) -> str:
    text = ["date only", "iso with blank", "d.M.yyyy", "M/d/yyyy h:mm a", "yyyyMMdd", "Z"]
    return random.choice(_arrow(items.format) + text[:1] if items.format in ARROW else text)


def _tags(random: Random, kind: str) -> str:
    text = ["a|b", "a,b", "['a', 'b']", '["a", "b"]']
    return random.choice(text if kind == "csv" else [*text, "array", "array", "array", "array of arrays"])


def _titles(random: Random, csv: CsvStyle, formats: set[str]) -> str:
    styles = ["plain", "flourishes", "flourishes" if "csv" in formats and csv.encoding == "cp1252" else "emoji"]
    if "csv" in formats and not csv.quote:
        styles += ["stray quotes"] * 2
    if csv.quote or "csv" not in formats:
        styles += ["line feeds"]
    return random.choice(styles)
