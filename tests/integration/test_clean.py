from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.clean import (
    ColumnSource,
    EntityRules,
    EventRules,
    accepted_rows,
    classify_entities,
    classify_events,
    reason_counts,
    rejected_rows,
    require_rows,
    unreadable_values,
)
from synthspark.errors import SourceError

pytestmark = pytest.mark.spark

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
SCHEMA = "`Käufer id` string, item string, kind string, `when` string, qty double, `p.rice` double"
COLUMNS = {
    "user_id": ColumnSource("Käufer id"),
    "item_id": ColumnSource("item"),
    "event_type": ColumnSource("kind"),
    "ts": ColumnSource("when"),
    "value": ColumnSource("qty"),
    "price": ColumnSource("p.rice"),
}


def event(**changes: Any) -> tuple[Any, ...]:
    row = {"user": "u1", "item": "a", "kind": "buy", "when": "2024-03-01 10:00:00", "qty": 1.0, "price": 2.0}
    return tuple({**row, **changes}.values())


DIRTY = [
    event(),
    event(),  # duplicate
    event(price=3.0),  # duplicate_event
    event(user=None),
    event(user="  "),
    event(item=None),
    event(user="syn:user:1"),
    event(when="soon"),
    event(when="2031-01-01 00:00:00"),
    event(when="1969-12-31 00:00:00"),
    event(qty=float("nan")),
    event(price=float("inf")),
    event(qty=-1.0),
    event(qty=1001.0),
    event(price=-0.5),
    event(kind="lend"),
    event(item="filtered"),
    event(item="nowhere"),
    event(user="\u00a0 Ünïcode ☃ \t\u00a0", item="b"),
    *[event(user="robot", when=f"2024-03-02 10:00:{i:02d}") for i in range(4)],
    event(user="robot", when="2024-03-03 10:00:00"),  # another day: no robot
    event(qty=None, price=None, when="2024-03-04T10:00:00+02:00"),
]
EXPECTED = {
    "robot": 4,
    "null_key": 3,
    "duplicate": 1,
    "duplicate_event": 1,
    "reserved_id": 1,
    "unparsable_timestamp": 1,
    "future_timestamp": 1,
    "pre_epoch_timestamp": 1,
    "value_not_finite": 1,
    "price_not_finite": 1,
    "value_below_min": 1,
    "value_above_max": 1,
    "price_below_min": 1,
    "unknown_event_type": 1,
    "filtered_item": 1,
    "unknown_item": 1,
}


def rules(**changes: Any) -> EventRules:
    given = {
        "columns": COLUMNS,
        "timezone": "America/New_York",
        "bounds": {"value": (0.0, 1000.0), "price": (0.0, None)},
        "event_types": ("buy", "view"),
        "max_events_per_user_per_day": 3,
    }
    return EventRules(**{**given, **changes})


@pytest.fixture(scope="module")
def items(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([("a", False), ("b", False), ("filtered", True)], "item_id string, filtered boolean")


@pytest.fixture(scope="module")
def dirty(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(DIRTY, SCHEMA)


def test_every_row_is_kept_or_rejected_with_its_reason(dirty: DataFrame, items: DataFrame) -> None:
    classified = classify_events(dirty, items, rules(), NOW).cache()
    assert reason_counts(classified) == EXPECTED
    left = accepted_rows(classified, ["user_id", "item_id", "ts", "value"]).orderBy("user_id", "ts").collect()
    assert len(left) + sum(EXPECTED.values()) == len(DIRTY)
    assert [r.user_id for r in left] == ["robot", "u1", "u1", "Ünïcode ☃"]
    # 10:00 in New York is 15:00 UTC in winter; a stamp with its own zone keeps that one.
    assert [r.ts for r in left if r.user_id == "u1"] == [datetime(2024, 3, 1, 15), datetime(2024, 3, 4, 8)]
    raw = {r.reason: r.raw for r in rejected_rows(classified, "events").collect()}
    assert '"Käufer id":"u1"' in raw["unparsable_timestamp"]
    assert '"when":"soon"' in raw["unparsable_timestamp"]
    assert '"item":"nowhere"' in raw["unknown_item"]


def test_partitions_do_not_matter_and_the_source_is_scanned_once(
    spark: SparkSession, dirty: DataFrame, items: DataFrame, tmp_path: Any
) -> None:
    def outcome(partitions: int) -> Counter[Any]:
        rows = classify_events(dirty.repartition(partitions), items, rules(), NOW).drop("raw").collect()
        return Counter(str(tuple(r)) for r in rows)

    assert outcome(1) == outcome(7)
    dirty.write.parquet(str(tmp_path / "e"))
    plan = classify_events(spark.read.parquet(str(tmp_path / "e")), items, rules(), NOW)
    text = plan._jdf.queryExecution().executedPlan().toString()
    assert text.count("FileScan") == 1
    assert text.count("Exchange hashpartitioning(_synthspark_owner") == 1
    assert "Python" not in text


def test_daylight_saving_dates_epochs_and_no_timestamps(spark: SparkSession) -> None:
    rows = [("u", 1, "2024-07-01 10:00:00", 1_700_000_000), ("u", 2, "2024-01-01 10:00:00", 1_700_000_000)]
    df = spark.createDataFrame(rows, "u string, i int, t string, e long")
    ids = {"user_id": ColumnSource("u"), "item_id": ColumnSource("i")}

    def instants(column: str, **more: Any) -> list[Any]:
        asked = EventRules({**ids, "ts": ColumnSource(column)}, event_type="buy", **more)
        return [r.ts for r in classify_events(df, None, asked, NOW).orderBy("item_id").collect()]

    assert instants("t", timezone="America/New_York") == [datetime(2024, 7, 1, 14), datetime(2024, 1, 1, 15)]
    assert instants("e", timestamp_format="epoch_seconds") == [datetime(2023, 11, 14, 22, 13, 20)] * 2
    with pytest.raises(SourceError, match="epoch_seconds or epoch_millis"):
        instants("e")
    with pytest.raises(SourceError, match="'Europe/Pari' is not known. Did you mean 'Europe/Paris'"):
        instants("t", timezone="Europe/Pari")
    without = EventRules(ids, event_type="buy")
    again = df.select("u", "i").union(df.select("u", "i"))
    assert reason_counts(classify_events(again, None, without, NOW)) == {}


def test_columns_that_are_not_there_or_of_no_use_are_named(spark: SparkSession, dirty: DataFrame) -> None:
    with pytest.raises(SourceError, match=r"source.events: there is no column 'itm'. Did you mean 'item'"):
        classify_events(dirty, None, rules(columns={**COLUMNS, "item_id": ColumnSource("itm")}), NOW)
    with pytest.raises(SourceError, match="expression 'qty /'"):
        classify_events(dirty, None, rules(columns={**COLUMNS, "price": ColumnSource(expr="qty /")}), NOW)
    nested = dirty.withColumn("qty", F.array("qty"))
    with pytest.raises(SourceError, match=r"column 'value' is array<double>"):
        classify_events(nested, None, rules(), NOW)
    with pytest.raises(SourceError, match="table source.users: it has no row"):
        require_rows(spark.createDataFrame([], "x int"), "source.users")


def test_ids_that_pandas_made_floats_lose_their_point(spark: SparkSession) -> None:
    df = spark.createDataFrame([(12345678901.0, "a"), (None, "a"), (1.5, "a")], "u double, i string")
    asked = EventRules({"user_id": ColumnSource("u"), "item_id": ColumnSource("i")}, event_type="buy")
    found = classify_events(df, None, asked, NOW).collect()
    assert [(r.user_id, r.reason) for r in found] == [
        ("12345678901", None),
        (None, "null_key"),
        ("1.5", None),
    ]


def test_entities_are_read_as_their_kinds(spark: SparkSession) -> None:
    rows = [
        ("1", " red ", "3", "2024-01-01", "b|a|a", "keep"),
        ("1", " red ", "3", "2024-01-01", "b|a|a", "keep"),  # duplicate
        ("1", None, None, None, None, "keep"),  # duplicate_key: the fuller row stays
        ("2", "", "much", "never", "|", "keep"),
        ("3", "x", "inf", None, None, "drop"),
        ("4", "x", "1", None, None, None),  # an unknown condition is not met
        (None, "x", "1", None, None, "keep"),
    ]
    df = spark.createDataFrame(rows, "id string, colour string, size string, born string, tags string, state string")
    attributes = {"colour": "categorical", "size": "numeric", "born": "datetime", "tags": "multi"}
    columns = {"item_id": ColumnSource("id"), **{a: ColumnSource(a) for a in attributes}}
    asked = EntityRules("item_id", columns, attributes, "state = 'keep'", "UTC", "|")
    classified = classify_entities(df, asked).cache()
    assert reason_counts(classified) == {"filtered": 2, "duplicate": 1, "duplicate_key": 1, "null_key": 1}
    assert list(reason_counts(classified)) == ["filtered", "duplicate", "duplicate_key", "null_key"]
    told = {r["reason"]: json.loads(r["raw"]) for r in rejected_rows(classified, "items").collect()}
    assert told["null_key"] == {"colour": "x", "size": "1"} and told["duplicate_key"] == {"id": "1"}
    assert classified.where("reason is null and raw is not null").isEmpty(), "of what is kept nobody asks"
    first, second = accepted_rows(classified, ["item_id", *attributes]).orderBy("item_id").collect()
    assert tuple(first) == ("1", "red", 3.0, datetime(2024, 1, 1), ["a", "b"])
    assert tuple(second) == ("2", None, None, None, None)
    assert unreadable_values(classified, attributes)["size"] == 1
    with pytest.raises(SourceError, match="filter 'stat = 1'"):
        classify_entities(df, EntityRules("item_id", columns, attributes, "stat = 1"))
