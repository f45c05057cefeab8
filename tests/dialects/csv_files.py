"""CSV as spreadsheets, databases and scripts write it."""

from __future__ import annotations

from tests.dialects.dialect import CsvStyle, Dialect
from tests.dialects.json_files import record
from tests.dialects.tables import SPOILT, Column, Row, Table


def content(dialect: Dialect, table: Table, columns: list[Column], rows: list[Row], _number: int) -> bytes:
    """One file."""
    style, quirk = dialect.csv, table.style.quirk
    names = list(dict.fromkeys(c.path[0] for c in columns))
    headers = [f" {n}" if i % 2 else f"{n} " for i, n in enumerate(names)] if quirk == "header blanks" else names
    lines = [[_cell(style, n, dialect.nulls, True) for n in headers]]
    for row in rows:
        values = record(dialect, table, columns, row)
        cells = [_cell(style, values[n], dialect.nulls) for n in names]
        lines.append(_spoilt(cells, columns, row.get(SPOILT)))
    end = style.separator if quirk == "trailing separators" else ""
    text = "".join(style.separator.join(cells) + end + style.line_end for cells in lines)
    if quirk == "blank lines":
        text += style.line_end * 2
    return text.encode(style.encoding)


def _spoilt(cells: list[str], columns: list[Column], how: str | None) -> list[str]:
    """Too few fields: one of the ids is missing. Too many: all others are one place off."""
    if how == "long line":
        return ["x", *cells]
    if how == "short line":
        roles = [c.role for c in columns]
        return cells[: max(roles.index("user"), roles.index("item"))]
    return cells


def _cell(style: CsvStyle, value: object, null: str, name: bool = False) -> str:
    text = "" if value is None else str(value)
    if not style.quote or (text == null and not name):
        return text
    signs = (style.separator, style.quote, "\n", "\r")
    texts = isinstance(value, str) and style.quoting == "all"
    if not texts and not any(s in text for s in signs) and text == text.strip():
        return text
    if style.escape == "backslash":
        inner = text.replace("\\", "\\\\").replace(style.quote, "\\" + style.quote)
    else:
        inner = text.replace(style.quote, style.quote * 2)
    return f"{style.quote}{inner}{style.quote}"
