"""One Spark session for the whole run: starting one costs seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from synthspark.frames import local_frame
from synthspark.session import build_session

INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
"""A fifth of the CPU seconds went into generating code for queries that see twenty rows once. Generated code is what
the tests on a cluster and those that start the command run."""


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    warehouse: Path = tmp_path_factory.mktemp("warehouse")
    session = build_session(
        "synthspark-tests",
        {
            "spark.master": "local[2]",
            "spark.driver.memory": "2g",
            "spark.sql.shuffle.partitions": "2",
            "spark.default.parallelism": "2",
            "spark.sql.warehouse.dir": str(warehouse),
            **INTERPRETED,
        },
    )
    yield session
    session.stop()


@pytest.fixture(scope="session", autouse=True)
def rows_of_tests_are_local() -> Iterator[None]:
    """What a test writes down as tuples, as the plan's own rows: half a second less for every query (`frames`)."""
    given = SparkSession.createDataFrame

    def create(session: SparkSession, data: Any, schema: Any = None, *more: Any, **options: Any) -> DataFrame:
        plain = isinstance(data, list) and all(type(row) is tuple for row in data)
        if plain and isinstance(schema, str | StructType):
            try:
                return local_frame(session, data, schema)
            except (pa.ArrowInvalid, pa.ArrowTypeError, IndexError):  # what only Spark itself takes for a row
                pass
        return given(session, data, schema, *more, **options)

    SparkSession.createDataFrame = create  # type: ignore[method-assign, assignment]
    yield
    SparkSession.createDataFrame = given  # type: ignore[method-assign]
