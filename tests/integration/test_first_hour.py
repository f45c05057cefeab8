"""Two CSV files to a plan and a clean table, by the command line's own functions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from synthspark.config import parse_text
from synthspark.errors import ConfigError, SourceError
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.runs.tables import Table
from synthspark.stages.init import first_configuration
from synthspark.stages.plan import plan
from synthspark.stages.run import run_stage

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("csv files")
    sales, goods = folder / "sales.csv", folder / "goods.csv"
    with sales.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out, delimiter=";")
        rows.writerow(["Kunde Nr", "Artikel", "Zeit", "Menge"])
        for i in range(300):
            rows.writerow(
                [f"K{i % 20}", f"ä{i % 30}", f"2026-01-{1 + i % 28:02d} 10:00:00", "n/a" if i == 7 else 1 + i % 3]
            )
    with goods.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out, delimiter=";")
        rows.writerow(["sku", 'the "name"', "colour"])
        for i in range(35):
            rows.writerow([f"ä{i}", f'a "good" thing; number {i}', ["red", "blue"][i % 2]])
    return {"events": str(sales), "items": str(goods)}


def test_two_files_become_a_configuration_a_plan_and_clean_tables(
    spark: SparkSession, files: dict[str, str], tmp_path: Path
) -> None:
    text = first_configuration(spark, files, str(tmp_path / "lake"))
    config = parse_text(text, "t")
    assert config.source.items is not None
    assert config.source.items.attributes == {'the "name"': "text", "colour": "categorical"}
    assert config.source.events.options["sep"] == ";"
    context = Context(spark, Lake(spark, config.lake.root), config, "first")
    said = "\n".join(plan(context))
    assert "events: 300 rows" in said and "items: 35 rows" in said and "users: no table" in said
    assert not context.has(Table("clean/events")), "a plan publishes nothing"
    run_stage(context, "clean")
    assert (
        context.read(Table("clean/items")).where("item_id = 'ä3'").collect()[0]['the "name"']
        == 'a "good" thing; number 3'
    )
    assert context.read(Table("clean/events")).count() == 300 and context.read(Table("clean/rejects")).count() == 0
    assert context.read(Table("clean/events")).where("value is null").count() == 1, "n/a says that there is none"


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """As a spreadsheet writes them there: a BOM, semicolons, decimal commas, days first; and dirt."""
    folder = tmp_path_factory.mktemp("german")
    sales, goods = folder / "verkäufe.csv", folder / "artikel.csv"
    rows = [
        [f"{i % 20:04d}", f"{i % 30:05d}", f"{1 + i % 28:02d}.01.2026 10:{i % 60:02d}", (n := 1 + i % 3), f"{n},50", ""]
        for i in range(300)
    ]
    rows[3][3], rows[4][2], rows[5][0], rows[6][1] = -1, "n/a", "", "99999"
    rows.append(rows[8])
    with sales.open("w", encoding="utf-8-sig", newline="") as out:
        csv.writer(out, delimiter=";").writerows(
            [["Kunden.Nr", "Artikel Nr", "Verkauft am", "Menge `Stk`", "Umsatz €", "leer"], *rows]
        )
    with goods.open("w", encoding="utf-8-sig", newline="") as out:
        lines = csv.writer(out, delimiter=";")
        lines.writerow(["Artikel Nr", "Bezeichnung", "Preis €", "seit"])
        for i in range(35):
            name = f"Nr. {i};\nin zwei Zeilen" if i == 3 else f"ein gutes Ding {i}"
            lines.writerow([f"{i:05d}", name, "auf Anfrage" if i == 9 else f"{i},95", f"{1 + i % 28:02d}.02.2025"])
    return {"events": str(sales), "items": str(goods)}


def test_files_of_a_spreadsheet_are_read_as_they_are_meant(
    spark: SparkSession, german: dict[str, str], tmp_path: Path
) -> None:
    config = parse_text(first_configuration(spark, german, str(tmp_path / "lake")), "t")
    context = Context(spark, Lake(spark, config.lake.root), config, "first")
    said = list(plan(context))
    rejected = {line.split(", ")[1] for line in said if line.startswith("    rejected: 1, ")}
    assert rejected == {"null_key", "unparsable_timestamp", "value_below_min", "unknown_item", "duplicate"}
    assert "    Preis €: 1 values cannot be read as numeric, and become null" in said
    assert any('"price":' in line for line in said), "of an expression the contract's name is shown"
    run_stage(context, "clean")
    assert context.record("clean")["rows_rejected"] == 5, "the plan has foretold it"
    first = context.read(Table("clean/events")).where("user_id = '0001' and item_id = '00001'").orderBy("ts").first()
    assert first is not None
    assert (str(first["ts"]), first["value"], first["price"]) == ("2026-01-02 10:01:00", 2.0, 1.25)
    item = context.read(Table("clean/items")).where("item_id = '00003'").collect()[0].asDict()
    assert (item["Bezeichnung"], item["Preis €"]) == ("Nr. 3;\nin zwei Zeilen", 3.95)
    assert str(item["seit"]).startswith("2025-02-04")


def test_ids_that_have_lost_their_zeros_meet_again(spark: SparkSession, tmp_path: Path) -> None:
    sales, goods = tmp_path / "sales.csv", tmp_path / "goods.csv"
    sales.write_text("customer,sku,qty\n" + "\n".join(f"c{i % 9},{i % 30},{1 + i % 2}" for i in range(90)))
    goods.write_text("code,colour\n" + "\n".join(f"{i:06d},{'red' if i % 2 else 'blue'}" for i in range(40)))
    files = {"events": str(sales), "items": str(goods)}
    config = parse_text(first_configuration(spark, files, str(tmp_path / "lake")), "t")
    context = Context(spark, Lake(spark, config.lake.root), config, "first")
    assert not [line for line in plan(context) if "rejected" in line]
    run_stage(context, "clean")
    assert {r["item_id"] for r in context.read(Table("clean/events")).collect()} == {f"{i:06d}" for i in range(30)}


def test_what_is_no_csv_in_utf8_is_refused_with_the_way_out(
    spark: SparkSession, german: dict[str, str], tmp_path: Path
) -> None:
    old, sheet = tmp_path / "old.csv", tmp_path / "sales.xlsx"
    old.write_bytes(Path(german["events"]).read_text(encoding="utf-8-sig").encode("windows-1252"))
    sheet.write_bytes(b"PK")
    gone = tmp_path / "gone.csv"
    for path, words in ((old, "not UTF-8.*iconv"), (sheet, "cannot read spreadsheets"), (gone, "nothing to read")):
        with pytest.raises(SourceError, match=words):
            first_configuration(spark, {"events": str(path)}, "lake")


def test_what_a_run_would_refuse_the_plan_refuses(spark: SparkSession, files: dict[str, str], tmp_path: Path) -> None:
    text = first_configuration(spark, files, str(tmp_path / "lake"))

    def refused(old: str, new: str) -> str:
        config = parse_text(text.replace(old, new), "t")
        with pytest.raises((SourceError, ConfigError)) as raised:
            list(plan(Context(spark, Lake(spark, config.lake.root), config, "first")))
        return str(raised.value)

    assert "Artikl" in refused("item_id: Artikel", "item_id: Artikl")
    assert "'purchse' has no weight" in refused("event_type: purchase", "event_type: purchse")
    assert "Mars/Olympus" in refused("timezone: UTC", "timezone: Mars/Olympus")
    assert "sales-gone.csv" in refused("sales.csv", "sales-gone.csv")


def test_tables_that_do_not_fit_together_are_named(spark: SparkSession, files: dict[str, str], tmp_path: Path) -> None:
    other = tmp_path / "others.csv"
    other.write_text("id,colour\n" + "\n".join(f"none-{i},red" for i in range(50)))
    with pytest.raises(SourceError, match=r"table items .*others.csv.*no column shares values"):
        first_configuration(spark, {**files, "items": str(other)}, "lake")
    with pytest.raises(SourceError, match="nothing to read at that path"):
        first_configuration(spark, {"events": str(tmp_path / "nowhere")}, "lake")
    unknown = tmp_path / "sales.dat"
    unknown.write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="add --format csv|json"):
        first_configuration(spark, {"events": str(unknown)}, "lake")
    with pytest.raises(SourceError, match=r"no column 'Kunde' for user_id\..* It has Kunde Nr, Artikel, Zeit, Menge"):
        first_configuration(spark, files, "lake", given={"user_id": "Kunde"})


def test_a_search_log_beside_them_is_a_source_of_the_configuration(
    spark: SparkSession, files: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    lines = [{"q": f"good thing {i % 9}", "clicked": f"ä{i % 30}" if i % 2 else None, "who": f"K{i % 20}"}
             for i in range(200)]  # fmt: skip
    log.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    text = first_configuration(spark, {**files, "searches": str(log)}, str(tmp_path / "lake"))
    config = parse_text(text, "t")
    assert config.source.searches is not None
    assert config.source.searches.columns == {"query": "q", "item_id": "clicked", "user_id": "who"}
    context = Context(spark, Lake(spark, config.lake.root), config, "first")
    assert f"searches: 200 rows of {log}" in list(plan(context))
    run_stage(context, "clean")
    assert context.read(Table("clean/searches")).where("item_id is not null").count() == 100
