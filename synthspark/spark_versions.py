"""Differences between Spark 3.5 and Spark 4; the only file that depends on the Spark version.

`synthspark.supported` lists the supported versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
import pyspark
from pyspark import SparkContext
from pyspark.resource import ResourceProfile
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

IS_SPARK_4 = int(pyspark.__version__.split(".")[0]) >= 4
ArrowFunction = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]


def to_arrow(frame: DataFrame) -> pa.Table:
    """Collect all rows on the driver as an Arrow table."""
    if IS_SPARK_4:
        return frame.toArrow()
    from pyspark.sql.pandas.types import to_arrow_schema

    hidden: Any = frame
    return pa.Table.from_batches(hidden._collect_as_arrow(), to_arrow_schema(frame.schema))


def from_arrow(spark: SparkSession, table: pa.Table, schema: T.StructType) -> DataFrame:
    """Return the rows of `table`, whose types are those of `schema`, as a DataFrame embedded in the query plan."""
    if IS_SPARK_4:
        return spark.createDataFrame(table, schema)
    from pyspark.sql.pandas.serializers import ArrowStreamSerializer

    # Does what createDataFrame does there for a pandas frame, without pandas.
    hidden: Any = spark
    converters = hidden._jvm.PythonSQLUtils
    batches = hidden._sc._serialize_to_jvm(
        table.to_batches(max_chunksize=hidden._jconf.arrowMaxRecordsPerBatch()), ArrowStreamSerializer(),
        converters.readArrowStreamFromFile, hidden._jvm.ArrowIteratorServer,
    )  # fmt: skip
    return DataFrame(converters.toDataFrame(batches, schema.json(), hidden._jsparkSession), hidden)


def try_cast(column: Column, kind: str | T.DataType) -> Column:
    """Return the column cast to `kind`, null if a value cannot be cast.

    Spark 3.5 has this in SQL but not for columns, so the expression is built here. Its `cast` without ANSI is no
    substitute: it reads '1.5' as the integer 1 and wraps around on overflow.
    """
    if IS_SPARK_4:
        return column.try_cast(kind)
    cast = _jvm_class("org.apache.spark.sql.catalyst.expressions.Cast")
    mode = _jvm_class("org.apache.spark.sql.catalyst.expressions.EvalMode")
    no_zone = _jvm_class("scala.Option").empty()
    name = kind if isinstance(kind, str) else kind.simpleString()
    # Cast removes any alias of its child, as Column.cast does.
    plain: Any = column.cast(name)
    java_cast = plain._jc.expr()
    java_type = java_cast.dataType()
    return Column(_jvm_class("org.apache.spark.sql.Column")(cast(java_cast.child(), java_type, no_zone, mode.TRY())))


def _jvm_class(name: str) -> Any:
    found: Any = SparkContext._active_spark_context
    found = found._jvm
    for part in name.split("."):
        found = getattr(found, part)
    return found


def is_valid_utf8(binary: Column) -> Column:
    """Return whether a binary column is valid UTF-8."""
    if IS_SPARK_4:
        return F.is_valid_utf8(binary.cast("string"))
    # Decoding replaces invalid bytes by U+FFFD, so encoding again gives other bytes.
    return F.decode(binary, "UTF-8").cast("binary") == binary


class BarrierRows:
    """Rows whose barrier tasks request a resource profile; has the DataFrame methods that TorchDistributor uses."""

    def __init__(self, rows: DataFrame, profile: ResourceProfile) -> None:
        self._rows, self._profile = rows, profile

    @property
    def schema(self) -> T.StructType:
        """Return the schema of the rows."""
        return self._rows.schema

    def mapInArrow(self, func: ArrowFunction, schema: str, barrier: bool) -> Any:  # noqa: N802
        """Return an object whose `collect()` runs the function in every task; same arguments as the DataFrame's."""
        if IS_SPARK_4:
            return self._rows.mapInArrow(func, schema, barrier, self._profile)
        return _ResourceTasks(self._rows, func, self._profile)


class _ResourceTasks:
    """Barrier tasks with a resource profile through RDDs: Spark 3.5's mapInArrow takes no profile."""

    def __init__(self, rows: DataFrame, func: ArrowFunction, profile: ResourceProfile) -> None:
        self._rows, self._func, self._profile = rows, func, profile

    def collect(self) -> list[Row]:
        func = self._func

        def over(rows: Iterable[Row]) -> Iterable[Row]:
            ids = [row[0] for row in rows]
            for batch in func(iter([pa.RecordBatch.from_pydict({"id": pa.array(ids, pa.int64())})])):
                yield from (Row(**each) for each in batch.to_pylist())

        return self._rows.rdd.withResources(self._profile).barrier().mapPartitions(over).collect()
