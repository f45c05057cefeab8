"""Find declared columns in a source, also inside structs, maps and JSON; errors suggest similar names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.errors import SourceError, did_you_mean
from synthspark.schemas import INTERNAL, json_path, quoted

MAX_SHOWN = 60
"""Maximum number of columns that an error lists."""
MAX_PARTS = 4
"""Maximum number of parts of a JSON path for which keys that contain dots are tried."""


@dataclass(frozen=True)
class ColumnSource:
    """Origin of a declared column: a column (or path) called `name`, or a Spark SQL expression."""

    name: str | None = None
    expr: str | None = None


def mapped(df: DataFrame, columns: Mapping[str, ColumnSource], table: str, keep: Sequence[str] = ()) -> DataFrame:
    """Select exactly the declared columns of `df`, under their contract names and in the source's types.

    keep: columns of `df` to pass through unchanged. Raises SourceError for a missing column, for an expression that
    Spark rejects, and for an expression that explodes or aggregates rows.
    """
    found = [resolved(df, source, table).alias(name) for name, source in columns.items()]
    return df.select(*found, *keep)


def require_types(df: DataFrame, accepted: Mapping[str, tuple[type[T.DataType], ...]], table: str, what: str) -> None:
    """Raise SourceError if a mapped column has a type that cannot be converted to the contract's type."""
    for name, kinds in accepted.items():
        if name in df.columns and not isinstance(df.schema[name].dataType, (*kinds, T.NullType)):
            words = sorted({k.typeName() for k in kinds})
            raise SourceError(
                f"table {table}: column {name!r} is {df.schema[name].dataType.simpleString()}, {what} must be one of "
                f"{', '.join(words)}; map another column or an {{expr: ...}}{_way_into(df.schema[name].dataType)}"
            )


def require_rows(df: DataFrame, table: str) -> None:
    """Raise SourceError if the table is empty."""
    if df.isEmpty():  # fetches no row: Python cannot represent timestamps after the year 9999
        raise SourceError(f"table {table}: it has no row; check its path, its format and its filter")


ID_TYPES: tuple[type[T.DataType], ...] = (T.StringType, T.NumericType, T.BinaryType)
NUMBER_TYPES: tuple[type[T.DataType], ...] = (T.NumericType, T.StringType, T.BooleanType)


def resolved(df: DataFrame, source: ColumnSource, table: str) -> Column:
    """Return the column of `df` that `source` names.

    Raises SourceError if there is none or its expression cannot be used.
    """
    if source.expr is not None:
        return _expression(df, source.expr, table)
    assert source.name is not None
    found = find(df, source.name, table)
    if found is None:
        shown = [c for c in df.columns if not c.startswith(INTERNAL)]
        more = f" and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
        raise SourceError(
            f"table {table}: there is no column {source.name!r}.{did_you_mean(source.name, shown)} "
            f"Its columns are {', '.join(shown[:MAX_SHOWN])}{more}."
        )
    return found


def find(df: DataFrame, name: str, table: str) -> Column | None:
    """Return the column of that name (exact match first, then ignoring case) or at that dotted path, else None.

    A path goes through structs, maps, arrays of structs (the result is an array) and JSON objects stored as text.
    Raises SourceError if several columns have the name.
    """
    loose = [c for c in df.columns if c.strip().lower() == name.strip().lower()]
    for close in ([c for c in loose if c == name], loose):
        if len(close) == 1:
            return F.col(quoted(close[0]))
        if close:
            raise SourceError(f"table {table}: column {name!r} exists {len(close)} times; rename one")
    parts = name.split(".")
    for size in range(len(parts) - 1, 0, -1):
        first = ".".join(parts[:size])
        top = [c for c in df.columns if c == first] or [c for c in df.columns if c.lower() == first.lower()]
        if len(top) == 1:
            return _within(F.col(quoted(top[0])), df.schema[top[0]].dataType, parts[size:])
    return None


def _within(column: Column, kind: T.DataType, path: list[str]) -> Column | None:
    """Follow `path` into a nested column. Nested names may contain dots themselves.

    In a struct the longest matching field name is taken; in a map or JSON the first candidate key with a value.
    """
    if not path:
        return column
    if isinstance(kind, T.StringType):
        return None if any("'" in part for part in path) else _in_json(column, path)
    if isinstance(kind, T.MapType):
        return _in_map(column, kind, path)
    inner = kind.elementType if isinstance(kind, T.ArrayType) else kind
    if not isinstance(inner, T.StructType):
        return None
    for size in range(len(path), 0, -1):
        first = ".".join(path[:size])
        names = [f.name for f in inner.fields if f.name == first] or [
            f.name for f in inner.fields if f.name.lower() == first.lower()
        ]
        if len(names) == 1:
            field = inner[names[0]].dataType
            found = T.ArrayType(field) if isinstance(kind, T.ArrayType) else field
            return _within(column.getField(names[0]), found, path[size:])
    return None


def _in_map(column: Column, kind: T.MapType, path: list[str]) -> Column | None:
    if not isinstance(kind.keyType, T.StringType):
        return None
    tried = [
        _within(F.try_element_at(column, F.lit(".".join(path[:size]))), kind.valueType, path[size:])
        for size in range(1, len(path) + 1)
    ]
    found = [value for value in tried if value is not None]
    return F.coalesce(*found) if found else None


def _in_json(column: Column, path: list[str]) -> Column:
    return F.coalesce(*[F.get_json_object(column, json_path(keys)) for keys in _splits(path)])


def _splits(path: list[str]) -> list[list[str]]:
    """Return every way to read a path as keys that may contain dots; the reading with the most keys comes first."""
    if not 1 < len(path) <= MAX_PARTS:
        return [path]
    further = _splits(path[1:])
    return [*[[path[0], *rest] for rest in further], *[[f"{path[0]}.{rest[0]}", *rest[1:]] for rest in further]]


def _expression(df: DataFrame, sql: str, table: str) -> Column:
    try:
        asked = F.expr(sql)
        plan: str = df.select(asked)._jdf.queryExecution().analyzed().toString()
    except AnalysisException as error:
        raise SourceError(f"table {table}: expression {sql!r}: {str(error).splitlines()[0]}") from error
    first = plan.splitlines()[0:2]
    if any(line.lstrip("+- :").startswith(("Generate", "Aggregate")) for line in first):
        raise SourceError(
            f"table {table}: expression {sql!r} makes several rows of one or aggregates several rows into one; "
            f"a column has one value per row (use {table}.explode to split lists into rows)"
        )
    return asked


def _way_into(kind: T.DataType) -> str:
    """Return a hint on how to reach a value inside a nested column."""
    if isinstance(kind, T.StructType):
        return f", or one of its fields by a path such as NAME.{kind.fields[0].name}" if kind.fields else ""
    if isinstance(kind, T.ArrayType):
        return ", or split the list into rows with the table's key `explode`"
    return ""
