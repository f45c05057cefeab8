"""Small frames from the driver's own rows, and plain functions over columns."""

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
    """`rows` as a part of the plan itself, whose size the planner knows and which no task has to be started for.

    Rows that are given to Spark as Python objects are an RDD: half a second for every query that reads it, be it of
    three rows. schema: as of `createDataFrame`.
    """
    kinds = T._parse_datatype_string(schema) if isinstance(schema, str) else schema
    assert isinstance(kinds, T.StructType)
    arrow = to_arrow_schema(kinds)
    columns = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(arrow)]
    return from_arrow(spark, pa.Table.from_arrays(columns, schema=arrow), kinds)


def of_each(function: Callable[[Any], Any], column: Column, returns: str) -> Column:
    """`function` of each value of a column (None for a missing one), in the executors' Python workers."""

    def all_of(values: pd.Series) -> pd.Series:
        return objects(values).map(function, na_action=None)

    as_udf: Any = pandas_udf  # its stubs ask for annotations at run time, which are strings here
    found: Column = as_udf(all_of, returns)(column)
    return found


def objects(values: pd.Series) -> pd.Series:
    """The values as Python objects, None for each missing one: pandas 3 has NaN for a missing text."""
    missing: Any = None
    return values.astype(object).where(values.notna(), missing)
