"""Merge files whose columns or types differ into one table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.clean.ids import as_text
from synthspark.errors import SourceError
from synthspark.schemas import INTERNAL, quoted

log = logging.getLogger(__name__)

WHOLE = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)
"""Integer types from narrow to wide."""
IN_DOUBLE = (T.ByteType, T.ShortType, T.IntegerType, T.FloatType, T.DoubleType)
"""Types all of whose values a double represents exactly."""


@dataclass(frozen=True)
class Part:
    """Files of one table that have the same columns."""

    frame: DataFrame
    example: str
    """Path of one of its files, for messages."""


def union(parts: Sequence[Part], needed: Sequence[str], where: str) -> DataFrame:
    """Union all rows by column name. A column missing in some files is null there, with a warning in the log.

    Columns of different types get the wider type if it represents every value, else text without loss. Raises
    SourceError that names file and column if a file lacks a `needed` column, or if a column is a list or struct in
    some files and something else in others.
    """
    if len(parts) == 1:
        return parts[0].frame
    _require(parts, needed, where)
    names: dict[str, str] = {}
    for part in parts:
        for name in part.frame.columns:
            names.setdefault(name.strip().lower(), name)
    targets = {key: _target(key, parts, where) for key in names}
    aligned = [_aligned(part, names, targets, where) for part in parts]
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), aligned)


def _require(parts: Sequence[Part], needed: Sequence[str], where: str) -> None:
    for name in needed:
        lacking = [part for part in parts if not _has(part.frame, name)]
        if lacking and len(lacking) < len(parts):
            shown = ", ".join(c for c in lacking[0].frame.columns if not c.startswith(INTERNAL))
            raise SourceError(
                f"{where}: file {lacking[0].example} has no column {name!r}, which other files have; its columns are "
                f"{shown}. Add it there, or leave that file out"
            )


def _has(frame: DataFrame, name: str) -> bool:
    """Return whether the frame has the column or the beginning of a path to it."""
    keys = {c.strip().lower() for c in frame.columns}
    parts = name.strip().lower().split(".")
    return any(".".join(parts[:size]) in keys for size in range(1, len(parts) + 1))


def _types(key: str, parts: Sequence[Part]) -> list[tuple[T.DataType, str]]:
    return [
        (field.dataType, part.example)
        for part in parts
        for field in part.frame.schema.fields
        if field.name.strip().lower() == key
    ]


def _target(key: str, parts: Sequence[Part], where: str) -> T.DataType | None:
    """Return the type that represents the values of every part; None for structs, which are merged field by field."""
    found = _types(key, parts)
    kinds = {k.simpleString(): k for k, _ in found if not isinstance(k, T.NullType)}
    if len(kinds) <= 1:
        return next(iter(kinds.values()), T.NullType())
    if all(isinstance(k, WHOLE) for k in kinds.values()):
        return max(kinds.values(), key=lambda k: WHOLE.index(type(k)))
    if all(isinstance(k, IN_DOUBLE) for k in kinds.values()):
        return T.DoubleType()
    if all(isinstance(k, T.StructType) for k in kinds.values()):
        return None
    valued = [part for part in parts if _has_value(part.frame, key)]  # pandas writes columns without values as numbers
    if len(valued) < len(parts):
        return _target(key, valued, where)
    if all(isinstance(k, T.AtomicType) for k in kinds.values()):
        return T.StringType()
    files = ", ".join(f"{k.simpleString()[:60]} in {file}" for k, file in found if k.simpleString() in kinds)
    raise SourceError(f"{where}: column {key!r} has types that cannot be one: {files}; rewrite the files with one type")


def _has_value(frame: DataFrame, key: str) -> bool:
    names = [name for name in frame.columns if name.strip().lower() == key]
    return not names or bool(frame.where(F.col(quoted(names[0])).isNotNull()).take(1))


def _aligned(part: Part, names: dict[str, str], targets: dict[str, T.DataType | None], where: str) -> DataFrame:
    own = {f.name.strip().lower(): f for f in part.frame.schema.fields}
    if len(own) < len(part.frame.columns):
        raise SourceError(f"{where}: file {part.example} has columns that differ by letter case only: "
                          f"{', '.join(part.frame.columns)}; rename one")  # fmt: skip
    lacking = [name for key, name in names.items() if key not in own and not name.startswith(INTERNAL)]
    if lacking:
        log.warning("%s: %s has no column %s; null there", where, part.example, ", ".join(map(repr, lacking)))
    chosen = []
    for key, field in own.items():
        column, target = F.col(quoted(field.name)), targets[key]
        if target is None and not isinstance(field.dataType, T.StructType):
            continue  # it has no value (see `_target`), so it is null, as in files without the column
        if isinstance(target, T.StringType) and field.dataType != target:
            column = as_words(column, field.dataType)
        elif target is not None and field.dataType != target:
            numbers = isinstance(field.dataType, T.NumericType) and isinstance(target, T.NumericType)
            column = (column if numbers else F.lit(None)).cast(target)  # other types have no values here, see `_target`
        chosen.append(column.alias(names[key]))
    return part.frame.select(chosen)


def as_words(column: Column, kind: T.DataType) -> Column:
    """Return an atomic value as text without loss: instants with their zone, numbers with all digits."""
    if isinstance(kind, T.TimestampType):
        return F.date_format(F.to_utc_timestamp(column, F.current_timezone()), "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'")
    if isinstance(kind, T.NumericType | T.BinaryType):
        return as_text(column, kind)
    return column.cast("string")
