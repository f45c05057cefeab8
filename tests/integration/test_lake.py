"""The lake: what is published, listed, taken back; and what a crash or a missing jar leaves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from pyspark.sql import DataFrame, Observation, SparkSession

from synthspark.cli import cli
from synthspark.config import parse
from synthspark.errors import LakeError, SourceError
from synthspark.runs.context import Context
from synthspark.runs.lake import STAGES, Lake
from synthspark.runs.tables import Table
from synthspark.stages.run import run_all, run_stage
from synthspark.stages.sources import read_source

pytestmark = pytest.mark.spark
SOURCE = {"events": {"path": "none", "columns": {"user_id": "u", "item_id": "i"}, "event_type": "purchase"}}


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark, str(tmp_path / "lake of mine"))


def rows(lake: Lake, *numbers: int) -> DataFrame:
    return lake.spark.createDataFrame([(n,) for n in numbers], "n int")


def publish(lake: Lake, run_id: str, *stages: str) -> None:
    for stage in stages or STAGES:
        with lake.publication(run_id, stage) as staged:
            staged.write(Table(f"{stage}/table"), rows(lake, 1, 2))
            staged.write_json(
                "reports/metrics.json" if stage == "evaluate" else f"models/{stage}/model.json", {"of": run_id}
            )


def files(lake: Lake) -> dict[str, tuple[int, bytes]]:
    """Every file below the root, with when it was written and what is in it."""
    root = Path(lake.root.removeprefix("file:"))
    found = (p for p in root.rglob("*") if p.is_file() and p.suffix != ".crc")
    return {str(p.relative_to(root)): (p.stat().st_mtime_ns, p.read_bytes()) for p in found}


def test_a_new_run_rewrites_nothing_and_dropping_it_leaves_the_lake_as_it_was(lake: Lake) -> None:
    publish(lake, "a")
    before = files(lake)
    publish(lake, "a-clean", "clean", "featurize")  # its name begins like the other's
    lake.write_text(f"{lake.root}/_checkpoints/a-clean/profile_items/checkpoint.json", "{}")
    lake.write_text(f"{lake.root}/_staging/a-clean-train-0123abcd/models/part", "half")
    assert {k: v for k, v in files(lake).items() if k in before} == before
    assert lake.spark.read.parquet(f"{lake.root}/clean/table").where("run_id = 'a-clean'").count() == 2
    removed = lake.drop("a-clean")
    assert removed == ["runs/a-clean", "_checkpoints/a-clean", "clean/table/run_id=a-clean",
                       "featurize/table/run_id=a-clean", "models/clean/run_id=a-clean",
                       "models/featurize/run_id=a-clean"]  # fmt: skip
    assert files(lake) == before
    assert lake.runs() == ["a"]


def test_two_at_once_do_not_meet(lake: Lake) -> None:
    """Two runs, and one of them twice: whoever publishes last is whole, and nothing of the others' is touched."""
    with lake.publication("a", "clean") as first, lake.publication("a", "clean") as again:
        with lake.publication("b", "clean") as other:
            for number, staged in enumerate((first, again, other)):
                staged.write(Table("clean/x"), rows(lake, number))
                staged.write(Table("clean/y"), rows(lake, number))
        lake.sweep("b")  # of one that goes on after it was killed
    assert {t: lake.read(Table(f"clean/{t}"), "a").collect()[0]["n"] for t in ("x", "y")} == {"x": 0, "y": 0}
    assert {t: lake.read(Table(f"clean/{t}"), "b").collect()[0]["n"] for t in ("x", "y")} == {"x": 2, "y": 2}
    assert lake.records("a").keys() == lake.records("b").keys() == {"clean"}
    assert not [f for f in files(lake) if f.startswith("_staging")]


def test_dropping_an_unknown_run_names_the_nearest(lake: Lake) -> None:
    publish(lake, "20260101T120000-ab12cd", "clean")
    before = files(lake)
    with pytest.raises(LakeError, match="no run '20260101T120000-ab12ce'. Did you mean '20260101T120000-ab12cd'"):
        lake.drop("20260101T120000-ab12ce")
    assert files(lake) == before


@pytest.mark.parametrize("run_id", ["", ".", "..", "../clean", "a/b", "-a", "a" * 101])
def test_what_cannot_name_a_run_touches_nothing(lake: Lake, run_id: str) -> None:
    publish(lake, "a", "clean")
    before = files(lake)
    context = Context(lake.spark, lake, parse({"source": SOURCE}), run_id)
    for attempt in (
        lambda: lake.drop(run_id),
        lambda: lake.sweep(run_id),
        lambda: publish(lake, run_id, "clean"),
        lambda: run_stage(context, "clean"),
        lambda: run_all(context, True, lambda _: None, lambda *_: None),
    ):
        with pytest.raises(LakeError, match="run id .*: use letters|there is no run .* to go on with"):
            attempt()
    assert files(lake) == before


def test_a_table_that_cannot_be_moved_leaves_those_of_before(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(number: int) -> None:
        with lake.publication("a", "clean") as staged:
            staged.write(Table("clean/x"), rows(lake, number))
            staged.write(Table("clean/y"), rows(lake, number))

    attempt(1)
    whole = lake.rename

    def rename(source: str, target: str) -> None:
        if source.endswith("clean/y") and "_staging" in source:
            raise LakeError("no quota")
        whole(source, target)

    monkeypatch.setattr(lake, "rename", rename)
    with pytest.raises(LakeError, match="no quota"):
        attempt(2)
    assert lake.record("a", "clean") is None
    assert [lake.read(Table(f"clean/{t}"), "a").collect()[0]["n"] for t in ("x", "y")] == [1, 1]
    assert not [f for f in files(lake) if f.startswith("_staging")]


def test_who_is_interrupted_once_the_record_is_written_leaves_none_of_tables_that_are_not_there(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lake.write_text

    def write_text(path: str, text: str) -> None:
        whole(path, text)
        if path.endswith("clean.json"):
            raise KeyboardInterrupt

    monkeypatch.setattr(lake, "write_text", write_text)
    with pytest.raises(KeyboardInterrupt):
        publish(lake, "a", "clean")
    assert lake.record("a", "clean") is None
    assert list(files(lake)) == []


def test_what_a_stage_no_longer_publishes_is_gone(lake: Lake) -> None:
    context = Context(lake.spark, lake, parse({"source": SOURCE}), "a")
    with lake.publication("a", "clean") as staged:
        staged.write(Table("clean/events"), rows(lake, 1))
        staged.write(Table("clean/users"), rows(lake, 1))
    lake.write_text(f"{lake.path('clean/items', 'a')}/part", "of a stage that was killed")
    assert [context.has(Table(f"clean/{t}")) for t in ("events", "users", "items")] == [True, True, False]
    with lake.publication("a", "clean") as staged:
        staged.write(Table("clean/events"), rows(lake, 2))
    assert [context.has(Table(f"clean/{t}")) for t in ("events", "users", "items")] == [True, False, False]
    assert not lake.exists(lake.path("clean/users", "a"))


def test_a_stage_stays_published_when_clearing_up_fails(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lake.delete

    def delete(path: str) -> None:
        if lake.record("a", "clean") is not None:
            raise LakeError("storage is away")
        whole(path)

    with lake.publication("a", "clean") as staged:
        staged.write(Table("clean/table"), rows(lake, 1))
        monkeypatch.setattr(lake, "delete", delete)
    assert lake.record("a", "clean") is not None
    assert lake.read(Table("clean/table"), "a").count() == 1


def test_the_newest_run_is_the_one_last_recorded_whatever_its_name_and_its_folders_time(lake: Lake) -> None:
    for run_id in ("b", "a"):
        publish(lake, run_id, "clean")
    lake.write_text(f"{lake.root}/runs/c/lease.json", "{}")  # begun, and nothing recorded
    root = Path(lake.root.removeprefix("file:"))
    for run_id, seconds in (("a", 2_000), ("b", 1_000)):
        for path in (root / "runs" / run_id).iterdir():
            os.utime(path, (seconds, seconds))
    for run_id in ("a", "b"):  # as an object store makes them up
        os.utime(root / "runs" / run_id, (3_000, 3_000))
    assert lake.runs() == ["b", "a"]
    assert lake.latest_run("clean") == "a"


def test_whoever_is_killed_while_publishing_again_leaves_no_record_of_a_mixture(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, "a")
    renamed: list[str] = []

    class Killed(BaseException):
        pass

    def rename(source: str, target: str, whole: object = lake.rename) -> None:
        if len(renamed) == 3:  # the record's own file, and then between the first table and the second
            raise Killed
        renamed.append(target)
        assert callable(whole)
        whole(source, target)

    monkeypatch.setattr(lake, "rename", rename)
    with pytest.raises(Killed):
        publish(lake, "a", "featurize")
    assert [s for s in STAGES if lake.record("a", s)] == ["clean"]


def test_a_record_is_written_once_so_that_there_is_no_moment_without_it(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id,ts\nu,i,2024-01-01\n")
    source = {"events": {"path": str(tmp_path / "events.csv"), "format": "csv", "options": {"header": "true"},
                         "columns": {"user_id": "user_id", "item_id": "item_id", "ts": "ts"},
                         "event_type": "purchase"}}  # fmt: skip
    context = Context(lake.spark, lake, parse({"lake": {"root": lake.root}, "source": source}), "a")
    deleted: list[str] = []

    def delete(path: str, whole: object = lake.delete) -> None:
        deleted.extend([path] if lake.exists(path) else [])
        assert callable(whole)
        whole(path)

    monkeypatch.setattr(lake, "delete", delete)
    for resume in (False, True):
        report = run_stage(context, "clean", resume)
        record = lake.record("a", "clean")
        assert record is not None
        assert record["peak_bytes"] == report.peak_bytes
        assert (lake.record_path("a", "clean") in deleted) == resume  # that of the time before, before it is replaced
        assert lake.record_path("a", "configuration") not in deleted


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_clean_knows_the_future_in_every_zone_and_the_rows_that_a_lost_executor_had_counted(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    now = datetime.now(timezone.utc)
    times = [f"{now + timedelta(hours=h):%Y-%m-%d %H:%M:%S}" for h in (-1, 1)]
    (tmp_path / "events.csv").write_text("user_id,item_id,ts\n" + "".join(f"u,i,{t}\n" for t in times))
    source = {"events": {"path": str(tmp_path / "events.csv"), "format": "csv", "options": {"header": "true"},
                         "columns": {"user_id": "user_id", "item_id": "item_id", "ts": "ts"},
                         "event_type": "purchase"}}  # fmt: skip
    context = Context(lake.spark, lake, parse({"source": source}), "a")
    monkeypatch.setattr(Observation, "get", property(lambda _: {"rows": 3}))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        report = run_stage(context, "clean")
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert report.tables["events"] == {"rows in": 2, "kept": 1, "rejected: future_timestamp": 1}


def test_what_is_kept_in_a_scope_goes_with_it_and_what_was_kept_before_stays(lake: Lake) -> None:
    with lake.publication("r", "clean") as staged:
        before = staged.keep("same", lake.spark.range(3))
        with staged.scope():
            outer = staged.keep("same", lake.spark.range(4))
            with pytest.raises(ValueError), staged.scope():
                inner = staged.keep("same", lake.spark.range(5))
                assert [t.count() for t in (before, outer, inner)] == [3, 4, 5]
                folder = Path(inner.inputFiles()[0].removeprefix("file:")).parent
                raise ValueError
            assert not folder.exists() and outer.count() == 4
            folder = Path(outer.inputFiles()[0].removeprefix("file:")).parent
        assert not folder.exists() and before.count() == 3
        assert staged.keep("same", lake.spark.range(6)).count() == 6
        staged.write(Table("kept"), lake.spark.range(1))


def test_what_a_killed_stage_left_is_swept_away_and_nothing_else(lake: Lake) -> None:
    mine, other = "a-featurize-0123abcd", "a-b-featurize-0123abcd"
    for folder in (mine, other):
        lake.write_text(f"{lake.root}/_staging/{folder}/part", "half")
    for run_id in ("a", "a-b"):
        for text in (f"runs/{run_id}/clean.json", f"reports/{run_id}/report.html"):
            lake.write_text(f"{lake.root}/{text}", "whole")
            lake.write_text(f"{lake.root}/{text}.0123abcd.part", "half")
    lake.sweep("a")
    kept = [f"_staging/{other}/part"]
    for text in ("runs/{}/clean.json", "reports/{}/report.html"):
        kept += [text.format("a"), text.format("a-b"), text.format("a-b") + ".0123abcd.part"]
    assert sorted(files(lake)) == sorted(kept)


def test_what_is_left_of_a_stage_killed_once_it_was_published_goes_although_there_is_nothing_to_do(lake: Lake) -> None:
    source = {"events": {"path": "none.parquet", "columns": {"user_id": "u", "item_id": "i"}, "event_type": "purchase"}}
    publish(lake, "a")
    lake.write_text(f"{lake.root}/reports/a/report.html", "the report")
    before = files(lake)
    for place in ("_staging/a-evaluate-0123abcd/scratch/part", "_checkpoints/a/cold_item-0/items/checkpoint.json"):
        lake.write_text(f"{lake.root}/{place}", "left")
    context = Context(lake.spark, lake, parse({"lake": {"root": lake.root}, "source": source}), "a")
    run_all(context, True, lambda _: None, lambda _, report: pytest.fail("done again") if report else None)
    assert files(lake) == before


def test_tables_that_cannot_be_moved_are_written_in_their_place_and_taken_away_if_the_stage_fails(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthspark.runs.publication.IMMOVABLE", {"parquet"})  # there is no jar of Iceberg to try
    monkeypatch.setattr(lake, "rename", _only_files(lake))
    for _ in range(2):
        with lake.publication("a", "clean") as staged:
            staged.write(Table("clean/table"), rows(lake, 1, 2))
            assert lake.record("a", "clean") is None
        assert lake.read(Table("clean/table"), "a").count() == 2
    with pytest.raises(ZeroDivisionError), lake.publication("a", "clean") as staged:
        staged.write(Table("clean/table"), rows(lake, 1))
        raise ZeroDivisionError
    assert list(files(lake)) == []


def _only_files(lake: Lake) -> Callable[[str, str], None]:
    whole = lake.rename

    def rename(source: str, target: str) -> None:
        assert source.endswith(".part"), f"{source} was moved"
        whole(source, target)

    return rename


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_missing_jar_is_named_and_nothing_is_published(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    lake = Lake(spark, str(tmp_path), kind)
    with pytest.raises(LakeError, match=rf"writing table clean/table failed: .*{kind}.*spark.jars.packages"):
        publish(lake, "a", "clean")
    assert files(lake) == {}


def test_the_commands_list_the_runs_and_say_what_they_remove(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SparkSession, "stop", lambda _: None)  # it is that of all tests
    monkeypatch.setattr("synthspark.log.configure", lambda _: None)
    config = Path(lake.root.removeprefix("file:")).parent / "c.yaml"
    source = {"events": {"path": "x", "columns": {"user_id": "u", "item_id": "i"}, "event_type": "purchase"}}
    config.write_text(yaml.safe_dump({"lake": {"root": lake.root}, "source": source}))

    def called(*arguments: str) -> str:
        result = CliRunner().invoke(cli, [arguments[0], "--config", str(config), *arguments[1:]])
        if result.exception is not None:
            raise result.exception
        return result.output

    assert "no runs yet" in called("runs")
    publish(lake, "half", "clean", "featurize")
    publish(lake, "whole")
    with lake.publication("whole", "synthesize") as staged:
        staged.write(Table("synthetic/users"), rows(lake, *range(1234)))
        staged.details["seconds"] = 17.0
    listed = called("runs").splitlines()
    assert any(line.split()[:6] == ["half", "2", "of", "6;", "next:", "train"] for line in listed)
    assert any(line.split() == ["whole", "4", "of", "6;", "next:", "recommend", "17", "1,234"] for line in listed)
    removed = called("drop", "--run-id", "half").splitlines()
    assert [line.strip() for line in removed[1:3]] == ["runs/half", "clean/table/run_id=half"]
    assert lake.runs() == ["whole"]
    with pytest.raises(LakeError, match="no run 'half'.*`synthspark runs` lists the 1 that there are"):
        called("drop", "--run-id", "half")


def test_sources_come_from_the_catalogue(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("create database if not exists shop_5")
    try:
        rows = [("u", "i", "2024-01-01"), ("u", "j", "2024-01-02")]
        spark.createDataFrame(rows, "user string, item string, at string").write.saveAsTable("shop_5.events")
        columns = {"user_id": "user", "item_id": "item", "ts": "at"}
        source = {"table": "spark_catalog.shop_5.events", "columns": columns, "event_type": "purchase"}
        config = parse({"lake": {"root": str(tmp_path / "lake")}, "source": {"events": source}})
        context = Context(spark, Lake(spark, config.lake.root), config, "a")
        run_stage(context, "clean")
        assert sorted(r.item_id for r in context.read(Table("clean/events")).collect()) == ["i", "j"]
        unknown = config.source.events.model_copy(update={"table": "shop_5.evnts"})
        with pytest.raises(
            SourceError, match=r"source.events \(shop_5.evnts\): .*`evnts` cannot be found.*table and Spark's catalogue"
        ):
            read_source(spark, unknown, "events").count()
    finally:
        spark.sql("drop database shop_5 cascade")
