"""What is seen while a job is half done; no test here goes by a clock: the job waits until it has been seen."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from synthspark.config import parse
from synthspark.runs.context import Context, StageReport
from synthspark.runs.lake import Lake
from synthspark.runs.progress import SparkWatch
from synthspark.terminal import Terminal

pytestmark = pytest.mark.spark

PATIENCE = 120


@contextmanager
def half_done(spark: SparkSession, folder: Path) -> Iterator[None]:
    """A job of four tasks of which two end at once and two when the block does."""
    gate = str(folder / "gate")

    def task(number: int) -> int:
        while number >= 2 and not Path(gate).exists():
            time.sleep(0.02)
        return number

    job = threading.Thread(target=lambda: spark.sparkContext.parallelize(range(4), 4).map(task).count())
    job.start()
    try:
        yield
    finally:
        Path(gate).touch()
        job.join(PATIENCE)
    assert not job.is_alive()


def until(seen: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < end, "not seen"
        time.sleep(0.02)


def test_tasks_are_counted_while_a_job_runs_and_no_more_once_stopped(spark: SparkSession, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    watch = SparkWatch(spark, 0.05, lambda done, tasks: seen.append((done, tasks)))
    with half_done(spark, tmp_path):
        until(lambda: (2, 4) in seen)
        watch.stop()
        before = len(seen)
        time.sleep(0.3)
    assert len(seen) == before, "who is stopped looks no more"
    assert all(0 <= done <= tasks == 4 for done, tasks in seen)


def test_without_a_terminal_progress_is_lines(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthspark.terminal.LINE_SECONDS", 0.05)
    terminal = Terminal(Console(file=io.StringIO()))
    with caplog.at_level(logging.INFO, "synthspark"):
        terminal.before("clean", spark)
        with half_done(spark, tmp_path):
            terminal.on_step("reading and checking items")
            until(lambda: any(line.endswith("Spark has done 2 of 4 tasks") for line in caplog.messages))
        terminal.on_step("reading and checking items")
        terminal.after("clean", StageReport())
    told = [line for line in caplog.messages if line.startswith("clean: reading and checking items (0 s)")]
    assert len([line for line in told if "Spark" not in line]) == 1, "a step is told once, when it begins"


def test_a_terminal_shows_a_bar(spark: SparkSession, tmp_path: Path) -> None:
    written = io.StringIO()
    terminal = Terminal(Console(file=written, force_terminal=True, width=100))
    terminal.before("clean", spark)
    with half_done(spark, tmp_path):
        terminal.on_step("reading [items]")
        until(lambda: "2 of 4 tasks" in written.getvalue() and "clean: reading [items]" in written.getvalue())
    terminal.close()


def test_a_stage_says_how_long_it_took_before(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake(spark, str(tmp_path / "lake"))
    with lake.publication("earlier", "clean") as staged:
        staged.details["seconds"] = 200.0
    config = parse(
        {"source": {"events": {"path": "x", "columns": {"user_id": "u", "item_id": "i"}, "event_type": "a"}}}
    )
    terminal = Terminal(Console(file=io.StringIO()))
    terminal.header(Context(spark, lake, config, "now"))
    with caplog.at_level(logging.INFO, "synthspark"):
        for stage in ("clean", "train"):
            terminal.before(stage, spark)
            terminal.close()
    assert caplog.messages == ["clean ... (about 3 minutes, as in run earlier)", "train ..."]
