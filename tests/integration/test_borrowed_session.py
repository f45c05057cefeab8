from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from synthspark.session import REQUIRED, session

pytestmark = pytest.mark.spark

OURS = "spark.sql.execution.arrow.maxRecordsPerBatch"


def test_a_session_that_ran_before_goes_on_as_it_was(spark: SparkSession) -> None:
    """As in a notebook: its session is used, not stopped, and its settings are its own again, after an error, too."""
    own = {key: spark.conf.get(key) for key in (*REQUIRED, "spark.sql.shuffle.partitions")}
    spark.conf.set(OURS, "500")
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    before = spark.conf.getAll
    asked = {"spark.sql.shuffle.partitions": "3", "spark.sql.ansi.enabled": "false", "spark.driver.memory": "9g"}
    try:
        with pytest.raises(ZeroDivisionError), session("borrowed", asked) as borrowed:
            assert all(borrowed.conf.get(key) == value for key, value in REQUIRED.items())
            assert borrowed.conf.get("spark.sql.shuffle.partitions") == "3"
            assert borrowed.sql("select hour(timestamp_seconds(0))").collect()[0][0] == 0
            raise ZeroDivisionError
        assert spark.conf.getAll == before
        assert spark.range(3).count() == 3
        assert spark.sql("select hour(timestamp_seconds(0))").collect()[0][0] == 1
    finally:
        for key, value in own.items():
            spark.conf.set(key, value)
