"""A way to write a shop's tables."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tests.dialects import identities

NOT_APPLICABLE = ""
"""Of a dimension that the drawn format does not have."""


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
            pandas = "pandas" in (self.events.writer, self.items.writer)
            if style == "long" and pandas and "no key" in self.dirty:
                return "ids beyond 2^53 that pandas makes doubles where one is missing"
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
