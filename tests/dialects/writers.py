"""Tables to files: folders, partitions, packing; the formats themselves are in the modules beside this one."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import quote

from tests.dialects import arrow_files, csv_files, json_files
from tests.dialects.dialect import Dialect
from tests.dialects.tables import EXTRA, FILE, Column, Row, Table, odd_file

NAMES = {"events": "sales", "items": "products", "users": "customers"}
EMPTY_FOLDER = "__HIVE_DEFAULT_PARTITION__"
Content = Callable[[Dialect, Table, list[Column], list[Row], int], bytes]
CONTENT: dict[str, Content] = {
    "csv": csv_files.content,
    "json": json_files.content,
    "parquet": arrow_files.parquet,
    "orc": arrow_files.orc,
}


def write(dialect: Dialect, table: Table, root: Path) -> str:
    """Write the files below `root`; returns the path that a user would name."""
    suffix = _suffix(dialect, table)
    name = NAMES[table.side]
    if table.style.layout == "file":
        packing = table.style.packing if table.style.packing != "mixed" else "gz"
        path = root / f"{name}.{suffix}{_ending(packing)}"
        path.write_bytes(_packed(_content(dialect, table, table.rows, 0), packing))
        return str(path)
    folder = root / name
    folder.mkdir()
    for number, (place, rows) in enumerate(_parts(dialect, table)):
        packing = table.style.packing
        packing = ("plain", "gz", "bz2")[number % 3] if packing == "mixed" else packing
        target = folder / place / f"part-{number:03d}.{suffix}{_ending(packing)}"
        target.parent.mkdir(parents=True, exist_ok=True)
        odd = rows[0].get(FILE, 0) if rows else 0
        target.write_bytes(_packed(_content(dialect, table, rows, odd), packing))
    _extra_files(dialect, table, folder, suffix)
    if table.style.layout == "glob":
        (folder / "notes.txt").write_text("Exported every night.\n", encoding="utf-8")
        return str(folder / f"*.{suffix}{'*' if table.style.packing != 'plain' else ''}")
    return str(folder)


def _content(dialect: Dialect, table: Table, rows: list[Row], number: int) -> bytes:
    return CONTENT[table.style.format](dialect, table, _columns(dialect, table, number), rows, number)


def _columns(dialect: Dialect, table: Table, number: int) -> list[Column]:
    """Those of one file."""
    columns = [c for c in table.columns if c.role != table.partition]
    odd = number == odd_file(dialect, table.style)
    if table.style.quirk == "header order" and odd:
        Random(f"order {dialect.seed}").shuffle(columns)
    if table.style.quirk == "column lacks" and odd:
        columns = [c for c in columns if c.role != lacking(table)]
    if table.style.quirk == "column added" and odd:
        columns = [*columns, EXTRA]
    return columns


def lacking(table: Table) -> str | None:
    """Role of the column that one file has not."""
    optional = [c.role for c in table.columns if c.optional and c.role != table.partition]
    return optional[0] if optional else None


def _parts(dialect: Dialect, table: Table) -> list[tuple[str, list[Row]]]:
    """Folder and rows of each file."""
    files = table.style.files
    random = Random(f"files {dialect.seed} {table.side}")
    for row in table.rows:
        row.setdefault(FILE, random.randrange(files))
    if table.partition is None:
        return [("", [r for r in table.rows if r[FILE] == n]) for n in range(files)]
    name = next(c.path[0] for c in table.columns if c.role == table.partition)
    values = dict.fromkeys(_folder(row[table.partition]) for row in table.rows)
    return [(f"{name}={v}", [r for r in table.rows if _folder(r[table.partition]) == v]) for v in sorted(values)]


def _folder(value: object) -> str:
    return EMPTY_FOLDER if value is None else quote(str(value), safe=" ")


def _extra_files(dialect: Dialect, table: Table, folder: Path, suffix: str) -> None:
    name = ("a-empty", "z-empty")[dialect.seed % 2]
    inside = min((p for p in folder.iterdir() if p.is_dir()), default=folder)
    if table.style.quirk == "header only":
        (inside / f"{name}.{suffix}").write_bytes(_content(dialect, table, [], 1))
    if table.style.quirk == "zero bytes":
        (inside / f"{name}.{suffix}").write_bytes(b"")
    if table.style.quirk == "_SUCCESS":
        (folder / "_SUCCESS").write_bytes(b"")


def _suffix(dialect: Dialect, table: Table) -> str:
    if table.style.format == "csv":
        return "tsv" if dialect.csv.separator == "\t" and dialect.seed % 2 else "csv"
    return "jsonl" if table.style.format == "json" and dialect.seed % 2 else table.style.format


def _ending(packing: str) -> str:
    return "" if packing == "plain" else f".{packing}"


def _packed(data: bytes, packing: str) -> bytes:
    if packing == "gz":
        return gzip.compress(data, mtime=0)
    return bz2.compress(data) if packing == "bz2" else data
