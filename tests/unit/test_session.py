from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from synthspark.session import LOCAL, defaults


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    monkeypatch.setattr(SparkSession, "getActiveSession", classmethod(lambda _: None))


def test_alone_everything_is_on_this_machine() -> None:
    assert defaults({}) == {"spark.master": "local[*]", **LOCAL}
    assert defaults({"spark.master": "local[2]"}) == {"spark.master": "local[2]", **LOCAL}
    assert defaults({}, "--more")["spark.driver.extraJavaOptions"] == "-XX:+UseParallelGC --more"


def test_on_a_cluster_of_the_configurations_executors_can_reach_the_driver() -> None:
    assert defaults({"spark.master": "spark://host:7077"}) == {"spark.master": "spark://host:7077"}


def test_spark_submit_has_decided_even_where_no_script_of_sparks_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """YARN's application master starts the driver itself, with the gateway's port and nothing else."""
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    monkeypatch.delenv("SPARK_ENV_LOADED", raising=False)
    assert defaults({}) == {}
