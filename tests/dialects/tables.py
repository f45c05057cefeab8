"""The truth as rows of tables, in a dialect, and what must be read from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa

from tests.dialects import names, times
from tests.dialects.dialect import Dialect, TableStyle
from tests.dialects.shop import Needs, plant

SPOILT = "DAMAGE"
"""Key of a row that a CSV file writes with too few or too many fields."""
FILE = "FILE"
"""Key of a row: the number of the file that has it."""
Row = dict[str, Any]


class Column(NamedTuple):
    """A column of a table."""

    role: str
    """Key of the rows."""
    path: tuple[str, ...]
    """Name, within structs, maps or JSON text that of each level."""
    type: pa.DataType
    optional: bool = False
    """Some files may lack it."""


EXTRA = Column("extra", ("imported_by",), pa.string())
"""A column that one file has more."""
BATCH = "nightly"
"""What is in it."""


@dataclass
class Table:
    """Rows to write."""

    side: str
    style: TableStyle
    columns: list[Column]
    rows: list[Row]
    lines: list[Column] = field(default_factory=list)
    """Columns of the structs in the array `lines` of each row."""
    partition: str | None = None
    """Role of the column that is in the folders' names."""


class Event(NamedTuple):
    """An event as clean/events must have it; ts in microseconds. What the source has not is None."""

    user_id: str
    item_id: str
    event_type: str | None
    ts: int | None
    value: float | None
    price: float | None


@dataclass
class Expected:
    """What must be read."""

    events: list[Event] = field(default_factory=list)
    entities: dict[str, dict[str, Row]] = field(default_factory=dict)
    """`items` or `users` -> id -> role -> value."""
    kinds: dict[str, dict[str, str]] = field(default_factory=dict)
    """`items` or `users` -> role -> kind of attribute."""
    paths: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """`events`, `items` or `users` -> role -> where the source has it."""
    rejects: dict[str, int] = field(default_factory=dict)
    """`events`, `items` or `users` -> rows."""


class Names:
    """Column names of a dialect, each once per table."""

    def __init__(self, dialect: Dialect) -> None:
        self._random = Random(f"names {dialect.seed}")
        self._family = names.FAMILIES[dialect.family]
        self._chosen: dict[str, str] = {}

    def __getitem__(self, role: str) -> str:
        if role not in self._chosen:
            self._chosen[role] = self._random.choice(self._family[role])
        return self._chosen[role]


def needs(dialect: Dialect) -> Needs:
    """What the dialect asks of the truth."""
    unit = times.STYLES[dialect.times].unit if dialect.times != "none" else "second"
    kinds = 1 if dialect.event_types == "none" else 4 if dialect.event_types == "numbers" else 3
    days = 14 if dialect.events.layout == "folders by day" else 300
    return Needs(dialect.zone, unit, times.STYLES[dialect.listed].unit, dialect.titles, kinds, days)


class Cells:
    """Values as a table of some format holds them."""

    def __init__(self, dialect: Dialect, style: TableStyle) -> None:
        self.dialect, self.format, self.writer = dialect, style.format, style.writer

    def nothing(self, kind: pa.DataType) -> Any:
        """What stands for a missing value."""
        if self.format == "csv" or (self.dialect.nulls_as == "word" and pa.types.is_string(kind)):
            return self.dialect.nulls
        return None

    def time(self, name: str, instant: datetime, as_text: bool = False) -> Any:
        """A time in a style."""
        local = instant.astimezone(ZoneInfo(self.dialect.zone))
        value = times.STYLES[name].write(instant, local)
        return str(value) if as_text else value

    def midnight(self, name: str, year: int, month: int, day: int) -> Any:
        """A day that may be beyond what zones can be told of; 1900 where the format holds no other."""
        style = times.STYLES[name]
        if style.type.equals(pa.string()):  # strftime writes the year 1 with one digit, as no other program does
            stand_in = datetime(2001, month, day)
            return str(style.write(stand_in.replace(tzinfo=timezone.utc), stand_in)).replace("2001", f"{year:04d}")
        if pa.types.is_timestamp(style.type) and (style.type.unit == "ns" or self.writer == "pandas"):
            year, month, day = 1900, 1, 1
        moment = datetime(year, month, day)
        instant = moment.replace(tzinfo=timezone.utc)
        return instant if style.zoned else style.write(instant, moment)

    def amount(self, number: float) -> Any:
        """A price."""
        if self.dialect.numbers == "1.234,50":
            return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))
        return f"${number:,.2f}" if self.dialect.numbers == "$1,234.50" else number

    def amount_type(self) -> pa.DataType:
        """Its type."""
        return pa.float64() if self.dialect.numbers == "plain" else pa.string()

    def tags(self, tags: Iterable[str]) -> Any:
        """A list."""
        found, style = list(tags), self.dialect.tags
        if style in ("array", "array of arrays"):
            return found if style == "array" else [found[:1], found[1:]] if found else []
        if style in ("a|b", "a,b"):
            return style[1].join(found) if found else self.nothing(pa.string())
        quote = "'" if "'" in style else '"'
        return "[" + ", ".join(f"{quote}{t}{quote}" for t in found) + "]"

    def tags_type(self) -> pa.DataType:
        """Its type."""
        nested = {"array": pa.list_(pa.string()), "array of arrays": pa.list_(pa.list_(pa.string()))}
        return nested.get(self.dialect.tags, pa.string())


def odd_file(dialect: Dialect, style: TableStyle) -> int:
    """The file whose columns differ: the first or the last."""
    return 0 if dialect.seed % 2 else style.files - 1


def build(dialect: Dialect) -> tuple[list[Table], Expected]:
    """The tables of a dialect, and what must be read from them."""
    from tests.dialects.entities import items_table, users_table
    from tests.dialects.events import events_table

    shop = plant(Random(f"shop {dialect.seed}"), needs(dialect))
    expected, named = Expected(), Names(dialect)
    tables = [events_table(dialect, shop, named, expected), items_table(dialect, shop, named, expected)]
    if dialect.users is not None:
        tables.append(users_table(dialect, shop, named, expected))
    return tables, expected
