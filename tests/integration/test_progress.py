from __future__ import annotations

import io
import logging
import time

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from synthspark.pipeline.context import StageReport
from synthspark.progress import SparkWatch
from synthspark.terminal import Terminal

pytestmark = pytest.mark.spark


def work(spark: SparkSession, seconds: float) -> None:
    spark.sparkContext.parallelize(range(4), 4).map(lambda _: time.sleep(seconds)).count()


def test_tasks_are_counted_while_a_job_runs_and_not_when_it_is_over(spark: SparkSession) -> None:
    seen: list[tuple[int, int]] = []
    watch = SparkWatch(spark, 0.05, lambda done, tasks: seen.append((done, tasks)))
    work(spark, 0.5)
    time.sleep(0.3)
    watch.stop()
    assert seen and all(0 <= done <= tasks == 4 for done, tasks in seen)
    assert max(done for done, _ in seen) >= 2, "two of four tasks are over when the other two begin"
    before = len(seen)
    work(spark, 0.2)
    assert len(seen) == before


def test_without_a_terminal_progress_is_lines(
    spark: SparkSession, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthspark.terminal.LINE_SECONDS", 0.05)
    terminal = Terminal(Console(file=io.StringIO()))
    with caplog.at_level(logging.INFO, "synthspark"):
        terminal.before("clean", spark)
        work(spark, 0.3)
        terminal.after("clean", StageReport())
    assert any("clean: " in line and "of 4 tasks" in line for line in caplog.messages)


def test_a_terminal_shows_a_bar(spark: SparkSession) -> None:
    written = io.StringIO()
    terminal = Terminal(Console(file=written, force_terminal=True, width=100))
    terminal.before("clean", spark)
    work(spark, 0.8)
    terminal.close()
    assert "of 4 tasks" in written.getvalue()
