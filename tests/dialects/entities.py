"""Items and users of a shop as rows."""

from __future__ import annotations

from datetime import datetime, timezone
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from tests.dialects import identities, times
from tests.dialects.dialect import Dialect
from tests.dialects.shop import CATEGORIES, Item, Shop
from tests.dialects.tables import FILE, Cells, Column, Expected, Names, Row, Table, odd_file

KINDS = {
    "category": "categorical",
    "category_id": "categorical",
    "brand": "categorical",
    "cost": "numeric",
    "title": "text",
    "tags": "multi",
    "listed": "datetime",
    "dept": "categorical",
    "odd": "categorical",
    "weight": "numeric",
    "age": "numeric",
    "city": "categorical",
}
NESTED = {
    "struct": ("details",),
    "deep struct": ("product", "details"),
    "map": ("attributes",),
    "JSON text": ("extra",),
}
IN_MAP = ("brand", "category")
"""What a map of texts can hold."""
OTHER_KEYS = {
    "snake": ("id", "code"),
    "camel": ("id", "Code"),
    "german": ("Nr", "Nummer"),
    "blanks": ("ID", "Item Code"),
    "dots": ("id", "key"),
    "upper": ("ID", "CODE"),
}
SENTINELS = {"0001-01-01": (1, 1, 1), "9999-12-31": (9999, 12, 31), "1900-01-01": (1900, 1, 1)}


class Items:
    """Makes the rows."""

    def __init__(self, dialect: Dialect, shop: Shop, named: Names) -> None:
        self.dialect, self.shop, self.named = dialect, shop, named
        self.style, self.cells = dialect.items, Cells(dialect, dialect.items)
        self.random = Random(f"items {dialect.seed}")
        self.has = {"item", "category", "title"}
        chances = {"category_id": 0.4, "brand": 0.8, "cost": 0.8, "tags": 0.6, "listed": 0.6}
        self.has |= {role for role, share in chances.items() if self.random.random() < share}
        if self.style.quirk in ("column lacks", "brand and Brand"):
            self.has.add("brand")
        odd = {"none": set(), "weight": {"weight"}, "letter case": {"weight", "odd"}}
        self.has |= odd.get(dialect.odd_name, {"odd"})
        self.has |= {"dept"} if self.style.layout == "folders by dept" else set()

    def columns(self) -> list[Column]:
        """Those that the source has, in an order of its own."""
        string = pa.string()
        kinds: dict[str, pa.DataType] = {
            "item": identities.arrow_type(self.dialect.item_ids, "table"),
            "category": string,
            "category_id": pa.int64(),
            "brand": string,
            "cost": self.cells.amount_type(),
            "title": string,
            "tags": self.cells.tags_type(),
            "listed": times.STYLES[self.dialect.listed].type,
            "dept": string,
            "odd": string,
            "weight": pa.float64(),
        }
        found = [Column(r, self._path(r), k, r == "brand") for r, k in kinds.items() if r in self.has]
        self.random.shuffle(found)
        return found

    def _path(self, role: str) -> tuple[str, ...]:
        name = self._name(role)
        inside = IN_MAP if self.style.nesting == "map" else ("brand", "category", "cost", "category_id")
        return (*NESTED.get(self.style.nesting, ()), name) if role in inside else (name,)

    def _name(self, role: str) -> str:
        if role == "item" and not self.dialect.same_key:
            return OTHER_KEYS[self.dialect.family][self.dialect.seed % 2]
        if role in ("odd", "weight"):
            pair = {"odd": "Size", "weight": "size"}
            return pair[role] if self.dialect.odd_name == "letter case" else self.dialect.odd_name
        if self.style.quirk == "brand and Brand" and role == "brand":
            return "brand"
        return "dept" if role == "dept" else self.named[role]

    def table(self, expected: Expected) -> Table:
        """All of it; what must be read goes to `expected`."""
        columns = self.columns()
        attributes = [c for c in columns if c.role != "item"]
        expected.paths["items"] = {c.role: c.path for c in columns}
        expected.kinds["items"] = {c.role: KINDS[c.role] for c in attributes}
        rows, truths, files = [], {}, max(1, self.style.files)
        for place, item in enumerate(self.shop.items):
            file, truth = place * files // len(self.shop.items), self._truth(item)
            file = item.category if "dept" in self.has else file
            if self.style.quirk == "column lacks" and file == odd_file(self.dialect, self.style):
                truth["brand"] = None
            row = self._row(item, truth)
            rows.append({**row, FILE: file})
            truths[identities.canonical(self.dialect.item_ids, "item", item.number)] = {
                r: v for r, v in truth.items() if r in self.has
            }
        expected.entities["items"] = truths
        twice = self.random.sample(rows, 2) if "item twice" in self.dialect.dirty else []
        keyless = [self._keyless(rows)] if "no key" in self.dialect.dirty else []
        expected.rejects["items"] = len(twice) + len(keyless)
        partition = "dept" if "dept" in self.has else None
        return Table("items", self.style, columns, [*rows, *map(dict, twice), *keyless], partition=partition)

    def _keyless(self, rows: list[Row]) -> Row:
        kind = identities.arrow_type(self.dialect.item_ids, "table")
        return {**self.random.choice(rows), "item": self.cells.nothing(kind)}

    def _truth(self, item: Item) -> Row:
        return {
            "category": CATEGORIES[item.category],
            "category_id": str(101 + item.category),
            "brand": item.brand,
            "cost": item.cost,
            "title": item.title,
            "tags": item.tags or None,
            "listed": None if item.listed is None or self._sentinel(item) else self._instant(item.listed),
            "dept": f"{item.category + 1:03d}",
            "odd": item.odd,
            "weight": item.weight,
        }

    def _instant(self, listed: datetime) -> int:
        """Of a day its midnight in UTC: a date is the same date in every zone."""
        if times.STYLES[self.dialect.listed].unit != "day":
            return times.micros(listed)
        local = listed.astimezone(ZoneInfo(self.dialect.zone))
        return times.micros(datetime(local.year, local.month, local.day, tzinfo=timezone.utc))

    def _sentinel(self, item: Item) -> bool:
        return self.dialect.sentinel != "none" and item.number % 12 == 0

    def _row(self, item: Item, truth: Row) -> Row:
        def text(role: str) -> Any:
            return self.cells.nothing(pa.string()) if truth[role] is None else truth[role]

        cost = self.cells.nothing(self.cells.amount_type()) if item.cost is None else self.cells.amount(item.cost)
        row = {role: text(role) for role in ("category", "brand", "title", "dept", "odd")}
        return {
            **row,
            "item": identities.spelled(self.dialect.item_ids, "table", "item", item.number),
            "category_id": 101 + item.category,
            "cost": cost,
            "tags": self.cells.tags(item.tags),
            "listed": self._listed(item),
            "weight": item.weight,
        }

    def _listed(self, item: Item) -> Any:
        style = times.STYLES[self.dialect.listed]
        if item.listed is None:
            return self.cells.nothing(style.type)
        if not self._sentinel(item):
            return self.cells.time(self.dialect.listed, item.listed)
        year, month, day = SENTINELS[self.dialect.sentinel]
        return self.cells.midnight(self.dialect.listed, year, month, day)


def items_table(dialect: Dialect, shop: Shop, named: Names, expected: Expected) -> Table:
    """The items of the shop; adds what must be read of them to `expected`."""
    return Items(dialect, shop, named).table(expected)


def users_table(dialect: Dialect, shop: Shop, named: Names, expected: Expected) -> Table:
    """The users of the shop."""
    style = dialect.users
    assert style is not None
    columns, rows, truths = _user_columns(dialect, named), [], {}
    cells = Cells(dialect, style)
    for place, user in enumerate(shop.users):
        file = place * style.files // len(shop.users)
        lost = style.quirk == "column lacks" and file == odd_file(dialect, style)
        key = identities.canonical(dialect.user_ids, "user", user.number)
        truths[key] = {"age": user.age and float(user.age), "city": None if lost else user.city}
        rows.append(
            {
                "user": identities.spelled(dialect.user_ids, "table", "user", user.number),
                "age": cells.nothing(pa.int64()) if user.age is None else user.age,
                "city": cells.nothing(pa.string()) if user.city is None else user.city,
                FILE: file,
            }
        )
    expected.paths["users"] = {c.role: c.path for c in columns}
    expected.kinds["users"] = {r: KINDS[r] for r in ("age", "city")}
    expected.entities["users"] = truths
    expected.rejects["users"] = 0
    return Table("users", style, columns, rows)


def _user_columns(dialect: Dialect, named: Names) -> list[Column]:
    return [
        Column("user", (named["user"],), identities.arrow_type(dialect.user_ids, "table")),
        Column("age", (named["age"],), pa.int64()),
        Column("city", (named["city"],), pa.string(), True),
    ]
