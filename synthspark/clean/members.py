"""Parse the values of a multi attribute from an array or from any common text form of a list."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.clean.ids import BLANKS
from synthspark.errors import SourceError

QUOTES = "\"'"


def members(column: Column, kind: T.DataType, separator: str, null_values: Sequence[str], where: str) -> Column:
    """Return array<string>: trimmed, sorted, distinct, without blanks and `null_values`; null for an empty list.

    Accepts array<string>, array<array<string>> (flattened), and texts: `a|b` split by `separator`, `["a", "b"]` and
    `['a', 'b']` whatever the separator is. where: table and column, for errors. Raises SourceError for other types.
    """
    found: Column
    if isinstance(kind, T.ArrayType) and isinstance(kind.elementType, T.ArrayType):
        # flatten returns null if any inner list is null
        inner = F.filter(column.cast("array<array<string>>"), lambda v: v.isNotNull())
        found = F.flatten(inner)
    elif isinstance(kind, T.ArrayType) and isinstance(kind.elementType, T.AtomicType | T.NullType):
        found = column.cast("array<string>")
    elif isinstance(kind, T.AtomicType | T.NullType):
        found = _from_text(F.btrim(column.cast("string"), F.lit(BLANKS)), separator)
    else:
        raise SourceError(
            f"{where} is {kind.simpleString()}, a multi attribute must be a list of values or a text; for a list of "
            "structs, name one field by a path, as in tags.name"
        )
    trimmed = F.transform(found, lambda v: F.btrim(v, F.lit(BLANKS)))
    there = F.filter(trimmed, lambda v: v.isNotNull() & (v != "") & ~v.isin("", *null_values))
    distinct = F.array_sort(F.array_distinct(there))
    return F.when(F.size(distinct) > 0, distinct)


def is_empty_list(column: Column, kind: T.DataType) -> Column:
    """Return whether the source has an empty list, as opposed to a value that cannot be read."""
    if isinstance(kind, T.ArrayType):
        return F.size(column) == 0
    return F.btrim(column.cast("string"), F.lit(BLANKS + "[]{}()")) == ""


def _from_text(text: Column, separator: str) -> Column:
    bracketed = text.startswith("[") & text.endswith("]")
    listed = F.from_json(text, "array<string>")  # JSON, and Python lists: Spark accepts single quotes
    bare = F.substring(text, F.lit(2), F.length(text) - 2)
    loose = F.transform(F.split(bare, ","), lambda v: F.btrim(v, F.lit(BLANKS + QUOTES)))
    plain = F.split(text, F.lit("\\Q" + separator + "\\E"))
    return F.when(bracketed, F.coalesce(listed, loose)).otherwise(plain)
