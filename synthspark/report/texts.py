"""Conversion of values to text for the report, in Spark: a value that Python cannot represent must not end a run."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.schemas import quoted

MAX_LENGTH = 300
"""Maximum number of characters of an example value."""
MAX_VALUES = 20
"""Maximum number of values of a set."""


def as_text(value: Column, longest: int) -> Column:
    """Return `value` as a string of at most `longest` characters; a truncated one ends with an ellipsis."""
    text = value.cast("string")
    return F.when(F.length(text) > longest, F.concat(F.left(text, F.lit(longest - 1)), F.lit("…"))).otherwise(text)


def finite(value: Column) -> Column:
    """Return `value` as a double, null if it is NaN or infinite."""
    number = value.cast("double")
    return F.when(~F.isnan(number) & (F.abs(number) < float("inf")), number)


def as_bounded_text(df: DataFrame) -> DataFrame:
    """Return `df` with strings, sets and times as bounded text; numbers and booleans are unchanged.

    Times are text because Python's datetime ends with the year 9999, unlike Spark's timestamps.
    """
    return df.select(*[_shown(field).alias(field.name) for field in df.schema.fields])


def _shown(field: T.StructField) -> Column:
    value, kind = F.col(quoted(field.name)), field.dataType
    if isinstance(kind, T.NumericType | T.BooleanType):
        return value
    if isinstance(kind, T.ArrayType):
        return F.transform(F.slice(value, 1, MAX_VALUES), lambda each: as_text(each, MAX_LENGTH))
    return as_text(value, MAX_LENGTH)
