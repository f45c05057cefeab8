"""The events of a shop as rows, the dirty ones among them."""

from __future__ import annotations

from random import Random
from typing import Any

import pyarrow as pa

from tests.dialects import identities, times
from tests.dialects.dialect import Dialect
from tests.dialects.shop import Line, Order, Shop
from tests.dialects.tables import SPOILT, Cells, Column, Event, Expected, Names, Row, Table

PATHS: dict[str, dict[str, tuple[str, ...]]] = {
    "struct": {"user": ("user", "id"), "item": ("product", "id")},
    "deep struct": {"user": ("order", "customer", "id"), "item": ("order", "product", "sku")},
}
CHANNELS = ("web", "shop", "app")
NOTES = ("", "", "ring twice", "fast, please", "a gift; no bill", "left at Müller's")
UNREADABLE = ("unknown", "soon", "0000-00-00")
GERMAN_RATING, RATING = "Bewertung", "rating"


class Events:
    """Makes the rows."""

    def __init__(self, dialect: Dialect, shop: Shop, named: Names, expected: Expected) -> None:
        self.dialect, self.shop, self.expected = dialect, shop, expected
        self.style, self.cells = dialect.events, Cells(dialect, dialect.events)
        self.random = Random(f"events {dialect.seed}")
        self.has = {"user", "item", "channel"}
        chances = {"value": 0.8, "price": 0.7, "session": 0.5, "note": 0.4}
        self.has |= {role for role, share in chances.items() if self.random.random() < share}
        if dialect.rating:
            self.has = self.has - {"price"} | {"value"}
        self.has |= {"ts"} if dialect.times != "none" else set()
        self.has |= {"type"} if dialect.event_types != "none" else set()
        self.as_text = dialect.times_as == "text" and dialect.times in times.NUMBERS
        self.named = named

    def columns(self) -> list[Column]:
        """Those that the source has, in an order of its own."""
        time = times.STYLES[self.dialect.times].type if self.dialect.times != "none" else pa.null()
        kinds: dict[str, pa.DataType] = {
            "user": identities.arrow_type(self.dialect.user_ids, "events"),
            "item": identities.arrow_type(self.dialect.item_ids, "events"),
            "ts": pa.string() if self.as_text else time,
            "type": pa.int64() if self.dialect.event_types == "numbers" else pa.string(),
            "value": pa.int64(),
            "price": self.cells.amount_type(),
            "session": pa.int64(),
            "channel": pa.string(),
            "note": pa.string(),
        }
        paths: dict[str, tuple[str, ...]] = PATHS.get(self.style.nesting, {})
        optional = ("session", "channel", "note")
        found = [Column(r, paths.get(r, (self._name(r),)), k, r in optional) for r, k in kinds.items() if r in self.has]
        self.random.shuffle(found)
        return found

    def _name(self, role: str) -> str:
        if role == self._partition():
            return "day" if role == "ts" else role
        if role == "value" and self.dialect.rating:
            return GERMAN_RATING if self.dialect.family == "german" else RATING
        return self.named[role]

    def _partition(self) -> str | None:
        return {"folders by day": "ts", "folders by channel": "channel"}.get(self.style.layout)

    def table(self) -> Table:
        """All of it."""
        columns = self.columns()
        rows = [self._row(order) for order in self._orders()]
        if self.style.nesting != "lines":
            rows = [{**row, **line} for row in rows for line in row.pop("lines")]
        rows += self._dirty(rows)
        self.random.shuffle(rows)
        in_lines = ("item", "value", "price") if self.style.nesting == "lines" else ()
        lines = [c for c in columns if c.role in in_lines]
        columns = [c for c in columns if c.role not in in_lines]
        self.expected.paths["events"] = {c.role: c.path for c in columns}
        self.expected.paths["events"] |= {c.role: ("lines", *c.path) for c in lines}
        return Table("events", self.style, columns, rows, lines, self._partition())

    def _orders(self) -> tuple[Order, ...]:
        for order in self.shop.orders:
            for line in order.lines:
                self.expected.events.append(self._truth(order, line))
        return self.shop.orders

    def _truth(self, order: Order, line: Line) -> Event:
        d = self.dialect
        kind = str(1 + KIND_NUMBERS[order.kind]) if d.event_types == "numbers" else order.kind
        return Event(
            identities.canonical(d.user_ids, "user", order.user),
            identities.canonical(d.item_ids, "item", line.item),
            kind if "type" in self.has else None,
            times.micros(order.at) if "ts" in self.has else None,
            float(line.quantity) if "value" in self.has else None,
            line.price if "price" in self.has else None,
        )

    def _row(self, order: Order) -> Row:
        d = self.dialect
        row: Row = {
            "user": identities.spelled(d.user_ids, "events", "user", order.user),
            "ts": self.cells.time(d.times, order.at, self.as_text) if "ts" in self.has else None,
            "type": self._kind(order.kind),
            "session": 500_000 + order.number,
            "channel": CHANNELS[order.number % 3],
            "note": self._note(),
        }
        row["lines"] = [
            {
                "item": identities.spelled(d.item_ids, "events", "item", line.item),
                "value": line.quantity,
                "price": self.cells.amount(line.price),
            }
            for line in order.lines
        ]
        return row

    def _kind(self, kind: str) -> Any:
        style = self.dialect.event_types
        if style == "numbers":
            return 1 + KIND_NUMBERS[kind]
        if style == "mixed case":
            return self.random.choice((kind, kind.capitalize(), kind.upper()))
        return kind.upper() if style == "upper" else kind

    def _note(self) -> Any:
        text = self.random.choice(NOTES)
        if self.dialect.titles == "line feeds":
            text = text.replace(" ", "\n", 1)
        return text or self.cells.nothing(pa.string())

    def _dirty(self, rows: list[Row]) -> list[Row]:
        """Copies of sound rows, each spoilt in one way."""
        made: list[Row] = []
        for what in self.dialect.dirty:
            for _ in range(self.random.randint(1, 4)):
                row = dict(self.random.choice(rows))
                if self.style.nesting == "lines":
                    row["lines"] = [dict(self.random.choice(row["lines"]))]
                if self._spoil(row, what):
                    made.append(row)
        self.expected.rejects["events"] = len(made)
        return made

    def _spoil(self, row: Row, what: str) -> bool:
        """Whether the row can be spoilt so; what cannot be told from a sound row is not made."""
        line = row["lines"][0] if self.style.nesting == "lines" else row
        if what == "no time" and "ts" in self.has:
            text = self.style.format == "csv" or isinstance(row["ts"], str)
            row["ts"] = self.random.choice(UNREADABLE) if text and self._partition() != "ts" else None
        elif what == "no key":
            target, role = self.random.choice(((row, "user"), (line, "item")))
            side = self.dialect.user_ids if role == "user" else self.dialect.item_ids
            target[role] = self.cells.nothing(identities.arrow_type(side, "events"))
        elif what == "unknown item":
            known = {i.number for i in self.shop.items}
            number = next(n for n in iter(lambda: self.random.randrange(10_000, 100_000), None) if n not in known)
            line["item"] = identities.spelled(self.dialect.item_ids, "events", "item", number)
        elif what == "negative" and "value" in self.has and not self.dialect.rating:
            line["value"] = -line["value"]
        elif what in ("short line", "long line") and self.style.format == "csv":
            row[SPOILT] = what
        else:
            return what == "duplicate" and "ts" in self.has
        return True


KIND_NUMBERS = {"view": 0, "cart": 1, "purchase": 2, "favorite": 3}


def events_table(dialect: Dialect, shop: Shop, named: Names, expected: Expected) -> Table:
    """The events of the shop; adds what must be read of them to `expected`."""
    return Events(dialect, shop, named, expected).table()
