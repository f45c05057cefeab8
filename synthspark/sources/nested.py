"""Explode lists into rows, for example an order into its lines."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.clean.columns import ColumnSource, resolved
from synthspark.errors import SourceError
from synthspark.schemas import MALFORMED, quoted


def exploded(df: DataFrame, paths: Sequence[str], where: str) -> DataFrame:
    """Explode each list in turn: one row per element, in a column with the list's name (or path).

    Elements of a JSON list stored as text are texts. Rows with an empty or missing list are dropped; malformed lines
    are kept. Raises SourceError if a path is missing or is not a list.
    """
    for path in paths:
        column = resolved(df, ColumnSource(name=path), where)
        kind = df.select(column.alias("c")).schema["c"].dataType
        elements: Column
        if isinstance(kind, T.ArrayType):
            elements = column
        elif isinstance(kind, T.StringType):
            elements = F.from_json(column, "array<string>")
        else:
            raise SourceError(
                f"{where}: explode names {path!r}, which is {kind.simpleString()[:80]}, not a list; leave it out"
            )
        if MALFORMED in df.columns:  # a malformed line has no list and must not be lost
            none = F.array(F.lit(None).cast(df.select(elements.alias("c")).schema["c"].dataType.elementType))  # type: ignore[attr-defined]
            elements = F.when(F.col(MALFORMED).isNotNull(), none).otherwise(elements)
        others = [F.col(quoted(c)) for c in df.columns if c != path]
        df = df.select(*others, F.explode(elements).alias(path))
    return df
