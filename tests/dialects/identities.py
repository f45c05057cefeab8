"""The ways in which tables write an id, and the one text that each of them means."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa

WIDTH = {"user": 8, "item": 7}
PREFIX = {"user": "C-", "item": "SKU"}
FACTOR = 10**13 + 7
"""Makes a number of four digits one beyond 2^53."""


class Spelling(NamedTuple):
    """How an id is written in one table."""

    type: pa.DataType
    write: Callable[[str, int], object]
    """From `user` or `item`, and the number."""


class IdStyle(NamedTuple):
    """How an id is written in the events, and in the table of its own."""

    events: str
    table: str
    truth: str = "number"
    """The spelling that is the canonical text."""
    formats: tuple[str, ...] = ("csv", "json", "parquet", "orc")
    """Of the table that has the odd spelling."""
    odd: str = "events"
    """That table: events, table, or both."""
    alone: bool = True
    """Makes sense for users who have no table."""
    impossible: bool = False
    """Nobody can tell what the id was."""


def _uuid(side: str, number: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{side} {number}")


def _blanks(side: str, number: int) -> object:
    text = f"{PREFIX[side]}{number}"
    return (f" {text}", f"{text} ", f"  {text} ", text)[number % 4]


SPELLINGS: dict[str, Spelling] = {
    "number": Spelling(pa.int64(), lambda _, n: n),
    "int32": Spelling(pa.int32(), lambda _, n: n),
    "text": Spelling(pa.string(), lambda _, n: str(n)),
    "padded": Spelling(pa.string(), lambda side, n: str(n).zfill(WIDTH[side])),
    "prefix": Spelling(pa.string(), lambda side, n: f"{PREFIX[side]}{n}"),
    "point": Spelling(pa.float64(), lambda _, n: float(n)),
    "point text": Spelling(pa.string(), lambda _, n: f"{n}.0"),
    "decimal": Spelling(pa.decimal128(38, 10), lambda _, n: Decimal(n)),
    "uuid": Spelling(pa.string(), lambda side, n: str(_uuid(side, n))),
    "UUID": Spelling(pa.string(), lambda side, n: str(_uuid(side, n)).upper()),
    "uuid bytes": Spelling(pa.binary(16), lambda side, n: _uuid(side, n).bytes),
    "blanks": Spelling(pa.string(), _blanks),
    "long": Spelling(pa.int64(), lambda _, n: n * FACTOR),
    "double": Spelling(pa.float64(), lambda _, n: float(n * FACTOR)),
    "mixed": Spelling(pa.int64(), lambda _, n: n),
}
STYLES: dict[str, IdStyle] = {
    "int": IdStyle("number", "number"),
    "text and int": IdStyle("text", "number", alone=False),
    "prefix": IdStyle("prefix", "prefix", "prefix"),
    "padded": IdStyle("padded", "padded", "padded"),
    "padded in events": IdStyle("padded", "number", "padded", alone=False),
    "padded in table": IdStyle("number", "padded", "padded", odd="table", alone=False),
    "13085.0 in events": IdStyle("point", "number"),
    "13085.0 text in events": IdStyle("point text", "number", alone=False),
    "13085.0 in table": IdStyle("number", "point", odd="table", alone=False),
    "decimal in events": IdStyle("decimal", "number", formats=("parquet", "orc")),
    "decimal": IdStyle("decimal", "decimal", formats=("parquet", "orc"), odd="both"),
    "uuid": IdStyle("uuid", "uuid", "uuid"),
    "UUID in events": IdStyle("UUID", "uuid", "uuid"),
    "UUID in table": IdStyle("uuid", "UUID", "uuid", odd="table", alone=False),
    "uuid bytes in events": IdStyle("uuid bytes", "uuid", "uuid", ("parquet",), alone=False),
    "uuid bytes in table": IdStyle("uuid", "uuid bytes", "uuid", ("parquet",), odd="table", alone=False),
    "blanks in events": IdStyle("blanks", "prefix", "prefix"),
    "blanks in table": IdStyle("prefix", "blanks", "prefix", odd="table", alone=False),
    "long": IdStyle("long", "long", "long"),
    "double": IdStyle("double", "double", "long", ("parquet", "orc", "json"), odd="both", impossible=True),
    "mixed types": IdStyle("mixed", "number", formats=("parquet",)),
}
MIXED: tuple[pa.DataType, ...] = (pa.int32(), pa.int64(), pa.float64(), pa.string())
"""Types that the files of one column have."""


def canonical(style: str, side: str, number: int) -> str:
    """The text that the id means, however it is written."""
    return str(SPELLINGS[STYLES[style].truth].write(side, number))


def spelled(style: str, place: str, side: str, number: int) -> object:
    """The id as `place` (events or table) has it."""
    return SPELLINGS[_spelling(style, place)].write(side, number)


def arrow_type(style: str, place: str) -> pa.DataType:
    """Its type in Parquet and ORC."""
    return SPELLINGS[_spelling(style, place)].type


def _spelling(style: str, place: str) -> str:
    return STYLES[style].events if place == "events" else STYLES[style].table
