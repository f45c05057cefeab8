"""The contract: columns of each table of the lake, with order and types."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame
from pyspark.sql import types as T

from synthspark.errors import ContractError

EVENTS = T.StructType(
    [
        T.StructField("user_id", T.StringType()),
        T.StructField("item_id", T.StringType()),
        T.StructField("event_type", T.StringType()),
        T.StructField("ts", T.TimestampType()),
        T.StructField("value", T.DoubleType()),
        T.StructField("price", T.DoubleType()),
        T.StructField("query", T.StringType()),
        T.StructField("session_id", T.StringType()),
    ]
)

REJECTS = T.StructType(
    [
        T.StructField("source", T.StringType()),
        T.StructField("reason", T.StringType()),
        T.StructField("raw", T.StringType()),
    ]
)

SYNTHETIC = T.StructType(
    [
        T.StructField("origin", T.StringType()),
        T.StructField("weight", T.DoubleType()),
        T.StructField("seed", T.LongType()),
    ]
)
"""Columns that synthetic tables have in addition to the clean columns; `run_id` is the partition of the rows."""

SEARCHES = T.StructType(
    [
        T.StructField("raw_query", T.StringType()),
        T.StructField("query", T.StringType()),
        T.StructField("item_id", T.StringType()),
        T.StructField("ts", T.TimestampType()),
        T.StructField("user_id", T.StringType()),
        T.StructField("session_id", T.StringType()),
        T.StructField("position", T.IntegerType()),
        T.StructField("shown", T.IntegerType()),
        T.StructField("filter", T.StringType()),
    ]
)
"""Searches; a row without an item is a search without a click."""

SYNTHETIC_SEARCHES = T.StructType(
    [
        T.StructField("query", T.StringType()),
        T.StructField("item_id", T.StringType()),
        T.StructField("weight", T.DoubleType()),
        T.StructField("probability", T.DoubleType()),
        T.StructField("origin", T.StringType()),
        T.StructField("source", T.StringType()),
    ]
)

ATTRIBUTE_TYPES: dict[str, T.DataType] = {
    "categorical": T.StringType(),
    "numeric": T.DoubleType(),
    "datetime": T.TimestampType(),
    "text": T.StringType(),
    "multi": T.ArrayType(T.StringType()),
}

ORIGINS = ("new_user", "new_item", "cold_user", "cold_item", "imputed")

SYNTHETIC_ID_PREFIX = "syn:"
"""Prefix of synthetic ids; real ids with this prefix are rejected, so that ids never collide."""


INTERNAL = "_synthspark_"
"""Prefix of internal columns of the job; configured names cannot begin with an underscore."""

MALFORMED = INTERNAL + "malformed"
"""Column of a source that was read: the line of a row that could not be parsed, else null."""


def quoted(name: str) -> str:
    """Quote a column name for Spark's `col`, so that dots, spaces and backticks are part of the name."""
    return "`" + name.replace("`", "``") + "`"


def json_path(keys: Iterable[str]) -> str:
    """Return the path of nested keys for `get_json_object`; keys may contain dots, but no quotes."""
    return "$" + "".join(f"['{key}']" for key in keys)


def entity_schema(key: str, attributes: dict[str, str]) -> T.StructType:
    """Return the clean schema of items or users: the key, then each declared attribute by its kind."""
    fields = [T.StructField(key, T.StringType())]
    return T.StructType(fields + [T.StructField(name, ATTRIBUTE_TYPES[kind]) for name, kind in attributes.items()])


def to_schema(df: DataFrame, schema: T.StructType, table: str) -> DataFrame:
    """Select the columns of `schema` from `df`, in its order.

    Raises ContractError for a missing column or another type.
    """
    found = {f.name: f.dataType for f in df.schema.fields}
    for field in schema.fields:
        if field.name not in found:
            raise ContractError(f"table {table}: the stage produced no column {field.name!r}; it has {sorted(found)}")
        if _shape(found[field.name]) != _shape(field.dataType):
            raise ContractError(
                f"table {table}: column {field.name!r} is {found[field.name].simpleString()}, "
                f"the contract says {field.dataType.simpleString()}"
            )
    return df.select([quoted(f.name) for f in schema.fields])


def _shape(kind: T.DataType) -> str:
    return kind.simpleString()
