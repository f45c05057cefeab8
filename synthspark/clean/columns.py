"""Declared columns found in a source, or an error that names the near ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.errors import SourceError, did_you_mean
from synthspark.schemas import quoted

BLANKS = " \t\n\x0b\f\r\u00a0"
"""Around an id, that are not of it; the no-break space comes from web pages."""


@dataclass(frozen=True)
class ColumnSource:
    """Where a declared column comes from: a column by `name`, or a Spark SQL expression."""

    name: str | None = None
    expr: str | None = None


def mapped(df: DataFrame, columns: Mapping[str, ColumnSource], table: str) -> DataFrame:
    """`df` with exactly the declared columns, under their contract names and still in the source's types.

    Raises SourceError for a column that is not there, or an expression that Spark does not take.
    """
    return df.select([_resolved(df, source, table).alias(name) for name, source in columns.items()])


def require_types(df: DataFrame, accepted: Mapping[str, tuple[type[T.DataType], ...]], table: str, what: str) -> None:
    """Raises SourceError where a mapped column has a type that cannot be read as what the contract wants."""
    for name, kinds in accepted.items():
        if name in df.columns and not isinstance(df.schema[name].dataType, (*kinds, T.NullType)):
            words = sorted({k.typeName() for k in kinds})
            raise SourceError(
                f"table {table}: column {name!r} is {df.schema[name].dataType.simpleString()}, {what} must be one of "
                f"{', '.join(words)}; map another column or an {{expr: ...}}"
            )


def require_rows(df: DataFrame, table: str) -> None:
    """Raises SourceError if the table is empty."""
    if not df.take(1):
        raise SourceError(f"table {table}: it has no row; check its path, its format and its filter")


def as_id(column: Column, kind: T.DataType | None = None) -> Column:
    """An id as text: trimmed, null where nothing is left. Whole floats (pandas makes them of ids) lose their point."""
    if isinstance(kind, T.FractionalType):
        whole = (column == F.floor(column)) & (F.abs(column) < float(1 << 53))
        return F.when(whole, column.cast("decimal(20,0)").cast("string")).when(~F.isnan(column), column.cast("string"))
    if isinstance(kind, T.IntegralType):
        return column.cast("string")
    text = F.btrim(column.cast("string"), F.lit(BLANKS))
    return F.when(text != "", text)


ID_TYPES: tuple[type[T.DataType], ...] = (T.StringType, T.NumericType)
NUMBER_TYPES: tuple[type[T.DataType], ...] = (T.NumericType, T.StringType, T.BooleanType)


def _resolved(df: DataFrame, source: ColumnSource, table: str) -> Column:
    if source.expr is not None:
        try:
            df.select(F.expr(source.expr))
        except AnalysisException as error:
            raise SourceError(f"table {table}: expression {source.expr!r}: {str(error).splitlines()[0]}") from error
        return F.expr(source.expr)
    assert source.name is not None
    same = [c for c in df.columns if c == source.name]
    close = same or [c for c in df.columns if c.lower() == source.name.lower()]
    if len(close) == 1:
        return F.col(quoted(close[0]))
    if close:
        raise SourceError(f"table {table}: column {source.name!r} is there {len(close)} times; rename one")
    raise SourceError(
        f"table {table}: there is no column {source.name!r}.{did_you_mean(source.name, df.columns)} "
        f"Its columns are {', '.join(df.columns[:60])}."
    )
