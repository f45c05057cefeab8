"""The lake's tables in a catalogue: one each, partitioned by run, all or nothing, whatever other runs have written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.errors import LakeError
from synthspark.runs import comments
from synthspark.runs import tables as published_tables
from synthspark.runs.catalogue import Catalogue
from synthspark.runs.lake import Lake
from synthspark.runs.tables import Table, clean, synthetic
from synthspark.runs.views import show
from synthspark.sides import ITEMS, USERS
from tests.integration.test_pipeline import write_shop
from tests.shell import Shell

pytestmark = pytest.mark.spark
EVENTS, REJECTS = Table("synthetic/events"), Table("clean/rejects")


@pytest.fixture
def database(spark: SparkSession) -> Iterator[str]:
    spark.sql("create database shop")
    yield "spark_catalog.shop"
    spark.sql("drop database shop cascade")


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path, database: str) -> Lake:
    return Lake(spark, str(tmp_path / "lake of mine"), catalog=database)


def rows(lake: Lake, *numbers: int, also: str | None = None) -> DataFrame:
    schema = "`n` int" + (f", `{also}` double" if also else "")
    return lake.spark.createDataFrame([(n, 0.5) if also else (n,) for n in numbers], schema)


def publish(lake: Lake, run_id: str, *numbers: int, also: str | None = None, rejects: bool = False) -> None:
    with lake.publication(run_id, "synthesize") as staged:
        staged.write(EVENTS, rows(lake, *numbers, also=also))
        staged.write(Table("features/items", feed=True), rows(lake, 9))
        if rejects:
            staged.write(REJECTS, rows(lake, 0))


def shown(spark: SparkSession, table: str = "shop.synthetic_events") -> list[tuple[str, int]]:
    return sorted((row["run_id"], row["n"]) for row in spark.table(table).collect())


def partitions(spark: SparkSession, table: str = "shop.synthetic_events") -> list[str]:
    """Those that the catalogue has, be there files or not."""
    return [row[0] for row in spark.sql(f"show partitions {table}").collect()]


def test_runs_are_partitions_of_one_table_with_comments(spark: SparkSession, lake: Lake) -> None:
    publish(lake, "a", 1, 2)
    publish(lake, "b", 3, also="käufer's x.y")
    assert shown(spark) == [("a", 1), ("a", 2), ("b", 3)]
    found = {(r["run_id"], r["käufer's x.y"]) for r in spark.table("shop.synthetic_events").collect()}
    assert found == {("a", None), ("b", 0.5)}
    assert partitions(spark) == ["run_id=a", "run_id=b"]
    words = {r["col_name"]: r["comment"] for r in spark.sql("describe shop.synthetic_events").collect()}
    assert words["run_id"] == comments.COLUMNS["run_id"] and words["n"] == "Attribute n of the shop"
    assert [r["tableName"] for r in spark.sql("show tables in shop").collect()] == [
        "synthetic_events"
    ]  # feeds are ours
    assert lake.read(EVENTS, "a").columns == ["n"]


def test_a_run_that_is_published_again_or_dropped_is_not_seen_twice(spark: SparkSession, lake: Lake) -> None:
    publish(lake, "a", 1, rejects=True)
    publish(lake, "b", 7, rejects=True)
    publish(lake, "a", 4)
    assert shown(spark) == [("a", 4), ("b", 7)]
    assert shown(spark, "shop.clean_rejects") == [("b", 0)] and partitions(spark, "shop.clean_rejects") == ["run_id=b"]
    lake.drop("a")
    assert shown(spark) == [("b", 7)] and partitions(spark) == ["run_id=b"]
    publish(lake, "b")
    assert shown(spark) == []


def test_what_fails_is_not_shown_and_what_is_killed_is_shown_when_it_goes_on(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, "a", 1)
    point_to = Catalogue.point_to

    def broken(self: Catalogue, name: str, run_id: str, location: str) -> None:
        point_to(self, name, run_id, location)
        raise AnalysisException("the metastore is gone")

    monkeypatch.setattr(Catalogue, "point_to", broken)
    with pytest.raises(AnalysisException, match="metastore is gone"):
        publish(lake, "b", 2)
    assert shown(spark) == [("a", 1)] and lake.record("b", "synthesize") is None
    assert partitions(spark) == ["run_id=a"]

    monkeypatch.setattr(Catalogue, "withdraw", lambda *_: None)  # as if the process had gone before it could
    with pytest.raises(AnalysisException):
        publish(lake, "b", 2)
    monkeypatch.undo()
    publish(lake, "b", 3)
    assert shown(spark) == [("a", 1), ("b", 3)]


def test_two_runs_publish_at_once(spark: SparkSession, lake: Lake) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: publish(lake, f"r{n}", n, also=f"c{n % 2}"), range(4)))
    assert shown(spark) == [(f"r{n}", n) for n in range(4)]
    assert set(spark.table("shop.synthetic_events").columns) == {"n", "c0", "c1", "run_id"}


def test_views_of_the_current_run_change_all_at_once(spark: SparkSession, lake: Lake) -> None:
    spark.sql("create database shop_current")
    try:
        publish(lake, "a", 1)
        publish(lake, "b", 2, also="more")
        show(lake, "a", ["synthetic/events"], "shop_current")
        assert [tuple(r) for r in spark.table("shop_current.synthetic_events").collect()] == [(1,)]
        spark.sql("create or replace view shop_current.current_run tblproperties ('synthspark.table' = "
                  "'current_run') as select 'b' as run_id")  # fmt: skip
        assert [tuple(r) for r in spark.table("shop_current.synthetic_events").collect()] == [(2,)]
        show(lake, "b", ["synthetic/events"], "shop_current")
        assert spark.table("shop_current.synthetic_events").columns == ["n", "more"]
        with pytest.raises(LakeError, match="lake.views: spark_catalog.shop is lake.catalog"):
            show(lake, "b", ["synthetic/events"], "spark_catalog.shop")
    finally:
        spark.sql("drop database shop_current cascade")


def test_a_table_of_others_or_of_another_type_is_refused_before_anything_is_moved(
    spark: SparkSession, lake: Lake
) -> None:
    publish(lake, "a", 1)
    with pytest.raises(LakeError, match=r"has column 'n' as int, this run writes string; rename the attribute"):
        with lake.publication("b", "synthesize") as staged:
            staged.write(EVENTS, rows(lake, 1).select(F.col("n").cast("string")))
    spark.sql("create table shop.clean_rejects (n int) using parquet")
    with pytest.raises(LakeError, match=r"`shop`.`clean_rejects` exists and is not synthspark's"):
        publish(lake, "b", 2, rejects=True)
    assert shown(spark) == [("a", 1)] and spark.table("shop.clean_rejects").count() == 0
    assert "b" not in lake.runs()


def test_a_database_that_is_not_there_or_would_not_last_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"catalogue is in memory.*catalogImplementation: hive"):
        Lake(spark, str(tmp_path), catalog="shop").check_writable()
    with pytest.raises(LakeError, match=r"there is no database spark_catalog.nowhere .*CREATE DATABASE nowhere"):
        Catalogue(spark, "spark_catalog.nowhere", "delta").check()


class Recorded:
    """Stands for a session whose catalogue is of Iceberg or Delta, and for a frame that is written to it."""

    def __init__(self, real: SparkSession) -> None:
        self.real, self.statements = real, []
        self.properties: dict[str, str] = {}
        self.columns = "n int, old string, run_id string"

    def sql(self, statement: str) -> Any:
        self.statements.append(statement)
        if statement.startswith("show tblproperties"):
            return self.real.createDataFrame([("synthspark.table", "synthetic/events")], "key string, value string")
        if statement.startswith("show tables"):
            return self.real.createDataFrame([("synthetic_events",)], "tableName string")
        return None

    def table(self, _name: str) -> DataFrame:
        return self.real.createDataFrame([], self.columns)


@pytest.mark.parametrize("kind", ["iceberg", "delta"])
def test_formats_that_hold_their_rows_get_one_commit_per_run(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    session, written = Recorded(spark), []
    catalogue = Catalogue(session, "glue.shop", kind)  # type: ignore[arg-type]
    frame = spark.createDataFrame([(1, 0.5)], "n int, `new` double")
    catalogue.prepare("synthetic/events", frame.schema, "s3://ignored")
    created, *_, altered, _ = session.statements + [""]
    assert created.startswith("create table if not exists `glue`.`shop`.`synthetic_events` (`n` int comment 'Attr")
    assert f"using {kind} partitioned by (run_id) comment 'Synthetic events" in created and "location" not in created
    assert altered == ("alter table `glue`.`shop`.`synthetic_events` add columns (`new` double comment "
                       "'Attribute new of the shop')")  # fmt: skip

    class Writer:
        def overwrite(self, condition: Any) -> None:
            written[-1] += (str(condition),)

    def write_to(rows: DataFrame, table: str) -> Writer:
        written.append((table, [tuple(r) for r in rows.collect()], rows.columns))
        return Writer()

    monkeypatch.setattr(type(frame), "writeTo", write_to)
    session.columns = "n int, old string, run_id string, `new` double"
    catalogue.replace_rows("synthetic/events", "a.b", frame)
    table, values, columns, condition = written[0]
    assert table == "`glue`.`shop`.`synthetic_events`" and values == [(1, None, "a.b", 0.5)]
    assert columns == ["n", "old", "run_id", "new"] and "run_id" in condition and "a" in condition
    catalogue.forget("r1")
    assert session.statements[-1] == "delete from `glue`.`shop`.`synthetic_events` where run_id = 'r1'"
    assert catalogue.query("synthetic/events", "'r1'", ["n", "a`b"]) == (
        "select `n`, `a``b` from `glue`.`shop`.`synthetic_events` where run_id = 'r1'"
    )


def test_every_table_that_others_read_has_a_comment() -> None:
    constants = [t for t in vars(published_tables).values() if isinstance(t, Table) and not t.feed]
    sides = [made(side) for made in (clean, synthetic) for side in (ITEMS, USERS)]
    assert {t.name for t in [*constants, *sides]} == set(comments.TABLES)


@pytest.mark.slow
def test_runs_in_a_hive_metastore_are_read_by_plain_spark_sql_and_survive_a_kill(tmp_path: Path) -> None:
    write_shop(tmp_path)
    shell = Shell(tmp_path)
    color = shell.config["source"]["items"]["attributes"].pop("shop")
    code, words = shell.synthspark("clean", "--run-id", "first")
    assert code == 4 and "there is no database spark_catalog.shop" in words
    shell.sql("create database shop")
    assert shell.synthspark("clean", "--run-id", "first")[0] == 0
    shell.config["source"]["items"]["attributes"]["shop"] = color
    struck = ("-m", "tests.struck", "synthspark.runs.catalogue:Catalogue.point_to", "2")
    killed, _ = shell.synthspark("clean", "--run-id", "second", program=struck)
    assert killed == -9
    assert shell.synthspark("clean", "--run-id", "second")[0] == 0
    assert shell.sql("show partitions shop.clean_items") == [["run_id=first"], ["run_id=second"]]
    counted = "select run_id, count(*), count(shop) from shop.clean_items group by run_id order by run_id"
    assert shell.sql(counted) == [["first", "160", "0"], ["second", "160", "160"]]
    assert shell.synthspark("drop", "--run-id", "first")[0] == 0
    assert shell.sql("show partitions shop.clean_items") == [["run_id=second"]]
