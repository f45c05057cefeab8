"""JSON, one object a line."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from tests.dialects.dialect import Dialect
from tests.dialects.tables import BATCH, EXTRA, Column, Row, Table


def content(dialect: Dialect, table: Table, columns: list[Column], rows: list[Row], _number: int) -> bytes:
    """One file."""
    ascii_only = bool(dialect.seed % 2)
    objects = (record(dialect, table, columns, row, place) for place, row in enumerate(rows))
    text = "".join(json.dumps(o, ensure_ascii=ascii_only, default=_plain) + "\n" for o in objects)
    return text.encode()


def record(dialect: Dialect, table: Table, columns: list[Column], row: Row, place: int = 0) -> dict[str, Any]:
    """A row as nested objects."""
    absent = dialect.nulls_as == "absent" and table.style.format == "json"
    found: dict[str, Any] = {}
    for column in columns:
        path = column.path
        if table.style.quirk == "brand and Brand" and column.role == "brand" and place % 2:
            path = (*path[:-1], "Brand")
        put(found, path, BATCH if column.role == EXTRA.role else row[column.role], absent)
    if table.lines:
        found["lines"] = [_line(table.lines, line, absent) for line in row["lines"]]
    if table.style.nesting == "JSON text" and "extra" in found:
        found["extra"] = json.dumps(found["extra"], ensure_ascii=False, default=_plain)
    return found


def _line(columns: list[Column], row: Row, absent: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in columns:
        put(found, column.path, row[column.role], absent)
    return found


def put(found: dict[str, Any], path: tuple[str, ...], value: object, absent: bool) -> None:
    """Set a value in nested objects; `absent` leaves out what is None."""
    for name in path[:-1]:
        found = found.setdefault(name, {})
    if not (absent and value is None):
        found[path[-1]] = value


def _plain(value: object) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)
