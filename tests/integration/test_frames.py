from __future__ import annotations

from datetime import datetime, timezone

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from synthspark.frames import local_frame

pytestmark = pytest.mark.spark


def test_rows_of_the_driver_are_a_part_of_the_plan_with_the_types_asked_for(spark: SparkSession) -> None:
    schema = "`a b` string, n int, x float, t timestamp, l array<string>"
    noon = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
    frame = local_frame(spark, [("ä", 1, 2, noon, ["p", None]), (None,) * 5], schema)
    assert frame.schema.simpleString() == "struct<a b:string,n:int,x:float,t:timestamp,l:array<string>>"
    first, second = frame.collect()
    assert (first[0], first[1], first[2], first[4]) == ("ä", 1, 2.0, ["p", None]) and tuple(second) == (None,) * 5
    assert frame.selectExpr("unix_seconds(t)").first()[0] == noon.timestamp()  # type: ignore[index]
    plan = frame._jdf.queryExecution().executedPlan().toString()
    assert "LocalTableScan" in plan and "RDD" not in plan


def test_of_no_rows_the_schema_is_left(spark: SparkSession) -> None:
    schema = T.StructType([T.StructField("key", T.StringType(), False), T.StructField("made", T.TimestampType())])
    empty = local_frame(spark, [], schema)
    assert empty.schema == schema and empty.collect() == []
