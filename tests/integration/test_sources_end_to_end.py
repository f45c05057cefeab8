"""Ugly tables by `init`, `plan` and `clean`: what comes out, or the line that refuses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from synthspark.config import Config, parse_text
from synthspark.errors import SourceError
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.runs.tables import Table
from synthspark.stages.init import first_configuration
from synthspark.stages.plan import plan
from synthspark.stages.run import run_stage

pytestmark = pytest.mark.spark

ITEMS = [{"sku": f"SKU-{i}", "colour": ["red", "blue", "NULL"][i % 3], "Weight": 1.5 + i} for i in range(30)]
SALES = [
    {"customer": f"c{i % 11}", "sku": f"SKU-{i % 30}", "at": f"2024-03-{1 + i % 28:02d}T10:00:00Z", "kind": 1 + i % 3}
    for i in range(120)
]


def write(folder: Path, sales: list[dict[str, Any]] = SALES, items: list[dict[str, Any]] = ITEMS) -> dict[str, str]:
    paths = {"events": folder / "sales.json", "items": folder / "items.json"}
    for path, rows in zip(paths.values(), (sales, items), strict=True):
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return {name: str(path) for name, path in paths.items()}


def context_of(spark: SparkSession, config: Config) -> Context:
    return Context(spark, Lake(spark, config.lake.root), config, "first")


def refused(spark: SparkSession, text: str, *changes: str) -> str:
    """What `plan` says, and `clean` must say, too."""
    said = []
    for attempt in (lambda c: list(plan(c)), lambda c: run_stage(c, "clean")):
        with pytest.raises(SourceError) as raised:
            attempt(context_of(spark, parse_text(text, "t", list(changes))))
        said.append(str(raised.value))
    assert "\n" not in "".join(said)
    assert said[0] == said[1]
    return said[0]


def test_orders_of_a_document_store_become_events(spark: SparkSession, tmp_path: Path) -> None:
    orders = [
        {"order": {"customer": {"id": 100 + i % 11}, "placed_at": 1_709_287_200_000 + i * 60_000},
         "lines": [{"sku": f"SKU-{(i + j) % 30}", "qty": 1 + j} for j in range(i % 3)]}
        for i in range(90)
    ]  # fmt: skip
    files = write(tmp_path, orders)
    text = first_configuration(spark, files, str(tmp_path / "lake"))
    config = parse_text(text, "t")
    assert config.source.events.explode == ["lines"]
    assert config.source.events.columns == {
        "item_id": "lines.sku", "user_id": "order.customer.id", "ts": "order.placed_at", "value": "lines.qty",
    }  # fmt: skip
    assert config.source.events.timestamp_format == "epoch_millis"
    assert config.source.items is not None and config.source.items.columns["own_Weight"] == "Weight"
    assert config.source.items.null_values == ["NULL"]
    context = context_of(spark, config)
    assert any("has 30 of the 30 ids" in line for line in plan(context))
    run_stage(context, "clean")
    assert context.read(Table("clean/events")).count() == sum(len(o["lines"]) for o in orders)
    first = context.read(Table("clean/events")).orderBy("ts", "item_id").first()
    assert first is not None
    assert (first["user_id"], first["item_id"], str(first["ts"])) == ("101", "SKU-1", "2024-03-01 10:01:00")
    assert context.read(Table("clean/items")).where("colour is null").count() == 10


def test_numbered_types_are_listed_with_their_rows_and_none_is_a_purchase_by_itself(
    spark: SparkSession, tmp_path: Path
) -> None:
    sales = [{("behavior_type" if k == "kind" else k): v for k, v in row.items()} for row in SALES]
    text = first_configuration(spark, write(tmp_path, sales), str(tmp_path / "lake"))
    config = parse_text(text, "t")
    assert config.source.events.columns["event_type"] == "behavior_type" and config.source.events.event_type is None
    assert config.events.weights == {"1": 1, "2": 1, "3": 1}
    assert '"1": 1   # 40 rows; what is it worth?' in text
    plain = [{k: v for k, v in row.items() if k != "kind"} for row in SALES]
    (tmp_path / "plain").mkdir()
    nameless = parse_text(first_configuration(spark, write(tmp_path / "plain", plain), "lake"), "t")
    assert nameless.source.events.event_type == "interaction" and nameless.events.weights == {"interaction": 1}


def test_what_cannot_be_trusted_is_refused_by_plan_and_clean_alike(spark: SparkSession, tmp_path: Path) -> None:
    text = first_configuration(spark, write(tmp_path), str(tmp_path / "lake"))
    assert "column 'value'" in (said := refused(spark, text, 'source.events.columns.value={expr: "1 / (kind - kind)"}'))
    assert "Division by zero" in said and "source.events.columns.value" in said
    strange = refused(spark, text, "source.items.columns.item_id={expr: \"concat('x', sku)\"}")
    assert "has only 0 of the 30 ids that the events have for item_id (0%)" in strange
    assert "'SKU-0' (nearest: 'xSKU-0')" in strange and "source.items.min_known_ids: 0" in strange
    assert "strftime" in refused(spark, text, 'source.events.timestamp_format="%Y-%m-%d"')
    assert "makes several rows of one" in refused(
        spark, text, 'source.events.columns.value={expr: "explode(array(1,2))"}'
    )
    allowed = parse_text(text, "t", ["source.items.min_known_ids=0", "source.events.unknown_items=keep",
                                     "source.items.columns.item_id={expr: \"concat('x', sku)\"}"])  # fmt: skip
    assert any("has 0 of the 30 ids" in line for line in plan(context_of(spark, allowed)))


def test_ids_beyond_2_to_the_53_that_became_doubles_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    big = 9_007_199_254_740_992
    sales = pd.DataFrame(
        {"customer": [float(big + 2 * (i % 9)) for i in range(90)], "sku": [f"S{i % 30}" for i in range(90)]}
    )
    sales.to_parquet(tmp_path / "sales.parquet")
    text = first_configuration(spark, {"events": str(tmp_path / "sales.parquet")}, str(tmp_path / "lake"),
                               given={"user_id": "customer"})  # fmt: skip
    assert "90 ids have lost digits" in refused(spark, text)


def test_init_refuses_what_plan_would_and_proposes_nothing_that_clean_refuses(
    spark: SparkSession, tmp_path: Path
) -> None:
    sales = [{**row, "tags": ["a", "b"]} for row in SALES]
    items = [{**row, "details": {"size": {"w": 1, "h": i}}, "parts": [{"n": 1}]} for i, row in enumerate(ITEMS)]
    files = write(tmp_path, sales, items)
    with pytest.raises(SourceError, match=r"column 'tags' for item_id is array<string>; name a column with one value"):
        first_configuration(spark, files, "lake", given={"item_id": "tags"})
    config = parse_text(first_configuration(spark, files, str(tmp_path / "lake")), "t")
    assert config.source.items is not None
    assert config.source.items.columns["h"] == "details.size.h" and "details" not in config.source.items.attributes
    list(plan(context_of(spark, config)))
    unreadable = [{**row, "at": f"week {i % 50} of that year"} for i, row in enumerate(SALES)]
    (tmp_path / "weeks").mkdir()
    renamed = [{("timestamp" if k == "at" else k): v for k, v in row.items()} for row in unreadable]
    with pytest.raises(SourceError, match="column 'timestamp' is called a time, but 'week 0 of that year' is in no"):
        first_configuration(spark, write(tmp_path / "weeks", renamed), "lake")
    text = first_configuration(spark, write(tmp_path / "weeks", renamed), "lake", given={"ts": ""})
    assert "ts" not in parse_text(text, "t").source.events.columns
