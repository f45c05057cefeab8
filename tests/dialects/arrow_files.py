"""Parquet and ORC, by pyarrow or by pandas."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq

from tests.dialects import identities
from tests.dialects.dialect import Dialect
from tests.dialects.json_files import record
from tests.dialects.tables import Column, Row, Table


def parquet(dialect: Dialect, table: Table, columns: list[Column], rows: list[Row], number: int) -> bytes:
    """One Parquet file."""
    found, out = _arrow(dialect, table, columns, rows, number), io.BytesIO()
    if table.style.writer == "pandas":
        found.to_pandas(coerce_temporal_nanoseconds=True).to_parquet(out)
    else:
        pq.write_table(found, out)
    return out.getvalue()


def orc(dialect: Dialect, table: Table, columns: list[Column], rows: list[Row], number: int) -> bytes:
    """One ORC file."""
    out = io.BytesIO()
    pyarrow.orc.write_table(_arrow(dialect, table, columns, rows, number), out)
    return out.getvalue()


def _arrow(dialect: Dialect, table: Table, columns: list[Column], rows: list[Row], number: int) -> pa.Table:
    typed = [column._replace(type=_type(dialect, column, number)) for column in columns]
    shape = _struct(typed, table)
    records = [_converted(record(dialect, table, columns, row), shape) for row in rows]
    arrays = [pa.array([r.get(f.name) for r in records], f.type) for f in shape]
    return pa.table(arrays, schema=pa.schema(list(shape)))


def _type(dialect: Dialect, column: Column, number: int) -> pa.DataType:
    style = {"user": dialect.user_ids, "item": dialect.item_ids}.get(column.role)
    if style == "mixed types" and column.type.equals(identities.SPELLINGS["mixed"].type):
        return identities.MIXED[(number + dialect.seed) % len(identities.MIXED)]
    return column.type


def _struct(columns: list[Column], table: Table) -> pa.StructType:
    """The type of a whole row."""
    shape = _nested([(c.path, c.type) for c in columns], table.style.nesting)
    if table.lines:
        lines = _nested([(c.path, c.type) for c in table.lines], "struct")
        shape = pa.struct([*shape, pa.field("lines", pa.list_(lines))])
    return shape


def _nested(leaves: list[tuple[tuple[str, ...], pa.DataType]], nesting: str) -> pa.StructType:
    groups: dict[str, list[tuple[tuple[str, ...], pa.DataType]]] = {}
    for path, kind in leaves:
        groups.setdefault(path[0], []).append((path[1:], kind))
    found = []
    for name, inside in groups.items():
        if inside[0][0] == ():
            kind = inside[0][1]
        elif nesting == "map":
            kind = pa.map_(pa.string(), pa.string())
        else:
            kind = pa.string() if nesting == "JSON text" else _nested(inside, nesting)
        found.append(pa.field(name, kind))
    return pa.struct(found)


def _converted(value: Any, kind: pa.DataType) -> Any:
    """As pyarrow takes it."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return [(k, v) for k, v in value.items() if v is not None]
    if pa.types.is_struct(kind):
        return {f.name: _converted(value.get(f.name), f.type) for f in kind}
    if pa.types.is_list(kind):
        return [_converted(v, kind.value_type) for v in value]
    if pa.types.is_string(kind) and not isinstance(value, str):
        return json.dumps(value) if isinstance(value, dict) else str(value)
    return float(value) if pa.types.is_float64(kind) else value
