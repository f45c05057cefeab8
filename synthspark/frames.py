"""Create small DataFrames from rows in the driver, and apply Python functions to columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.pandas.types import to_arrow_schema

from synthspark.spark_versions import from_arrow


def local_frame(spark: SparkSession, rows: Sequence[Sequence[Any]], schema: str | T.StructType) -> DataFrame:
    """Create a DataFrame whose rows are part of the query plan: the planner knows its size and starts no task for it.

    Python rows passed to `createDataFrame` become an RDD, which costs half a second per query even for three rows.
    schema: as for `createDataFrame`.
    """
    kinds = T._parse_datatype_string(schema) if isinstance(schema, str) else schema
    assert isinstance(kinds, T.StructType)
    arrow = to_arrow_schema(kinds)
    columns = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(arrow)]
    return from_arrow(spark, pa.Table.from_arrays(columns, schema=arrow), kinds)


def of_each(function: Callable[[Any], Any], column: Column, returns: str) -> Column:
    """Apply `function` to each value of a column (None for a missing one) in the Python workers."""

    def all_of(values: pd.Series) -> pd.Series:
        return objects(values).map(function, na_action=None)

    as_udf: Any = pandas_udf  # its stubs need annotations at run time, which are strings here
    found: Column = as_udf(all_of, returns)(column)
    return found


def objects(values: pd.Series) -> pd.Series:
    """Return the values as Python objects with None for missing ones; pandas 3 uses NaN for missing texts."""
    missing: Any = None
    return values.astype(object).where(values.notna(), missing)
