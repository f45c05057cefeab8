"""The run that others read: promoted, shown in the catalogue, and kept."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pyspark.sql import SparkSession

from synthspark.cli import cli
from synthspark.errors import LakeError
from synthspark.runs.current import PROMOTING, current, promote, prune, require_not_current, tables_of
from synthspark.runs.lake import STAGES, Lake
from synthspark.runs.lease import leased
from synthspark.runs.tables import RECOMMENDATIONS, Table

pytestmark = pytest.mark.spark


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark, str(tmp_path / "lake of mine"))


def publish(lake: Lake, run_id: str, ship: bool | None = True, number: int = 1) -> None:
    """A whole run with one row, but for evaluate where `ship` is None."""
    for stage in STAGES if ship is not None else STAGES[:-1]:
        with lake.publication(run_id, stage) as staged:
            if stage == "synthesize":
                staged.write(Table("synthetic/events"), lake.spark.createDataFrame([(number,)], "n int"))
            if stage == "featurize":
                staged.write(Table("features/items", feed=True), lake.spark.createDataFrame([(number,)], "n int"))
            if stage == "evaluate":
                staged.details["details"] = {"verdict": {"ship": ship, "why": "do not ship: no proven gain"}}


def test_a_run_that_ships_is_promoted_and_the_next_takes_its_place(lake: Lake) -> None:
    assert current(lake) is None
    publish(lake, "a")
    publish(lake, "b")
    assert promote(lake, "a")["run_id"] == "a"
    assert promote(lake, "b") == current(lake)
    now = current(lake)
    assert now is not None and now["run_id"] == "b" and now["ship"] and not now["forced"]
    left = [p.name for p in Path(lake.root.removeprefix("file:")).iterdir() if p.is_file() and ".part" in p.name]
    assert left == []


def test_what_must_not_be_shipped_needs_force_and_says_so(lake: Lake) -> None:
    publish(lake, "bad", ship=False)
    with pytest.raises(LakeError, match="run 'bad' must not be promoted, its verdict is: do not ship: no proven gain"):
        promote(lake, "bad")
    assert current(lake) is None
    assert promote(lake, "bad", force=True)["forced"]
    publish(lake, "unproven", ship=None)
    with pytest.raises(LakeError, match="has not published stage 'evaluate'.*unproven with --force"):
        promote(lake, "unproven")
    assert promote(lake, "unproven", force=True) == current(lake)
    lake.delete(lake.record_path("unproven", "train"))
    with pytest.raises(LakeError, match="has not published stage 'train'"):
        promote(lake, "unproven", force=True)
    with pytest.raises(LakeError, match="no run 'bda' to promote. Did you mean 'bad'"):
        promote(lake, "bda")


def test_there_is_no_moment_without_a_current_run(lake: Lake) -> None:
    publish(lake, "a")
    promote(lake, "a")
    path, seen, stop = Path(lake.root.removeprefix("file:")) / "current.json", set[str](), threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.add(json.loads(path.read_text())["run_id"] if path.exists() else "nothing")

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(15):
        promote(lake, "a")
    stop.set()
    watcher.join()
    assert seen == {"a"}


def views_in(spark: SparkSession) -> set[str]:
    return {row["viewName"] for row in spark.sql("show views in shown").collect()}


def test_views_show_the_current_run(lake: Lake, spark: SparkSession) -> None:
    publish(lake, "a", number=1)
    publish(lake, "b", number=2)
    spark.sql("create database if not exists shown")
    try:
        promote(lake, "a", views="shown")
        assert [r["n"] for r in spark.table("shown.synthetic_events").collect()] == [1]
        promote(lake, "b", views="shown")
        assert [r["n"] for r in spark.table("shown.synthetic_events").collect()] == [2]
        assert views_in(spark) == {"current_run", "synthetic_events"}
        assert tables_of(lake.records("b")) == ["synthetic/events"]
        publish(lake, "c")
        with lake.publication("c", "synthesize"):
            pass  # no such table any more
        with lake.publication("c", "recommend") as staged:
            staged.write(RECOMMENDATIONS, spark.createDataFrame([(3,)], "n int"))
        promote(lake, "c", force=True, views="shown")
        assert views_in(spark) == {"current_run", "recommendations"}
        assert spark.table("shown.current_run").collect() == [("c",)]
        spark.sql("create or replace view shown.synthetic_events as select 1 as mine")
        with pytest.raises(LakeError, match="synthetic_events` exists and is not synthspark's"):
            promote(lake, "b", views="shown")
        assert current(lake)["run_id"] == "c"  # type: ignore[index]
    finally:
        spark.sql("drop database shown cascade")


def test_one_promotion_at_a_time(lake: Lake) -> None:
    publish(lake, "a")
    publish(lake, "b")
    promote(lake, "a")
    with leased(lake, f"{lake.root}/{PROMOTING}"), pytest.raises(LakeError, match="the current run: another driver"):
        promote(lake, "b")
    assert current(lake)["run_id"] == "a"  # type: ignore[index]
    left = Path(lake.root.removeprefix("file:")) / "current.json.0123abcd.part"
    left.write_text("half-wr")
    promote(lake, "b")
    assert current(lake)["run_id"] == "b" and not left.exists()  # type: ignore[index]


def test_old_runs_go_but_never_the_current_one_nor_one_at_work(lake: Lake) -> None:
    for run_id in ("a", "b", "c", "d", "e"):
        publish(lake, run_id)
    promote(lake, "a")
    with lake.leased("b"):
        removed, busy = prune(lake, 2)
    assert removed == ["c"] and busy == ["b"]
    assert set(lake.runs()) == {"a", "b", "d", "e"}
    assert prune(lake, 9) == ([], [])
    with pytest.raises(LakeError, match="run 'a' is the current one"):
        require_not_current(lake, "a")
    require_not_current(lake, "b")


def test_a_removal_that_was_killed_is_finished(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for run_id in ("a", "b", "c"):
        publish(lake, run_id)
    promote(lake, "b")

    rename = Lake.rename

    def once(self: Lake, source: str, target: str) -> None:
        rename(self, source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Lake, "rename", once)
    with pytest.raises(KeyboardInterrupt):
        prune(lake, 1)
    monkeypatch.undo()
    assert set(lake.runs()) == {"b", "c"} and lake.half_dropped() == ["a"]
    assert prune(lake, 1) == (["a"], []) and lake.half_dropped() == []
    assert not list(Path(lake.root.removeprefix("file:")).rglob("run_id=a"))


def test_the_commands(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SparkSession, "stop", lambda _: None)
    monkeypatch.setattr("synthspark.log.configure", lambda _: None)
    config = Path(lake.root.removeprefix("file:")).parent / "c.yaml"
    source = {"events": {"path": "x", "columns": {"user_id": "u", "item_id": "i"}, "event_type": "purchase"}}
    config.write_text(yaml.safe_dump({"lake": {"root": lake.root}, "source": source}))

    def called(*arguments: str) -> Any:
        return CliRunner().invoke(cli, [arguments[0], "--config", str(config), *arguments[1:]])

    publish(lake, "old")
    publish(lake, "new")
    publish(lake, "bad", ship=False)
    assert "run new is the current one" in called("promote", "--run-id", "new").output
    assert "must not be promoted" in str(called("promote", "--run-id", "bad").exception)
    assert "by force" in called("promote", "--run-id", "bad", "--force").output
    assert any(line.split()[:2] == ["bad", "current"] for line in called("runs").output.splitlines())
    assert "is the current one" in str(called("drop", "--run-id", "bad").exception)
    assert "1 runs removed" in called("prune", "--keep", "2").output and set(lake.runs()) == {"new", "bad"}
