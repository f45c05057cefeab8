from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from synthspark.config import parse
from synthspark.errors import ConfigError, SynthSparkError, TrainingError
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.spark_errors import own_error
from synthspark.spark_versions import to_arrow
from synthspark.stages.run import FUNCTIONS, run_stage

pytestmark = pytest.mark.spark

MESSAGE = "conditions price<5, brand=Ünder: only 3 of 9 proposals meet them; ask for fewer rows"


def failing(spark: SparkSession, raised: Callable[[], None]) -> DataFrame:
    """Rows whose worker calls `raised`."""

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            raised()
            yield batch

    return spark.range(4).mapInArrow(apply, "id long")


def test_an_error_of_ours_in_a_worker_is_told_as_it_was_raised(spark: SparkSession, tmp_path: Path) -> None:
    def raised() -> None:
        raise ConfigError(MESSAGE)

    jobs: list[Callable[[DataFrame], object]] = [
        lambda rows: rows.collect(),
        lambda rows: to_arrow(rows),
        lambda rows: rows.write.parquet(str(tmp_path / "table")),
    ]
    for job in jobs:
        with pytest.raises(Exception, match="ConfigError") as caught:
            job(failing(spark, raised))
        found = own_error(caught.value)
        assert type(found) is ConfigError and str(found) == MESSAGE
        assert not isinstance(caught.value, SynthSparkError)


def test_the_error_that_a_worker_ended_with_is_the_one_that_counts(spark: SparkSession) -> None:
    def foreign() -> None:
        try:
            raise ConfigError(MESSAGE)
        except ConfigError as error:
            raise KeyError("other") from error

    def ours() -> None:
        try:
            raise ConfigError("not this one")
        except ConfigError as error:
            raise TrainingError("first line\nsecond line") from error

    with pytest.raises(Exception, match="KeyError") as caught:
        failing(spark, foreign).collect()
    assert own_error(caught.value) is None
    with pytest.raises(Exception, match="TrainingError") as caught:
        failing(spark, ours).collect()
    found = own_error(caught.value)
    assert type(found) is TrainingError and str(found) == "first line\nsecond line"
    assert own_error(ValueError(f"synthspark.errors.ConfigError: {MESSAGE}")) is None


def test_a_stage_raises_what_its_workers_raised(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raised() -> None:
        raise ConfigError(MESSAGE)

    monkeypatch.setitem(FUNCTIONS, "clean", lambda context: failing(context.spark, raised).collect())
    events = {"path": "x", "event_type": "buy", "columns": {"user_id": "u", "item_id": "i"}}
    config = parse({"lake": {"root": str(tmp_path)}, "source": {"events": events}})
    with pytest.raises(ConfigError, match=r"^conditions price<5, brand=Ünder: only 3 of 9 .* fewer rows$"):
        run_stage(Context(spark, Lake(spark, config.lake.root), config, "run"), "clean")
