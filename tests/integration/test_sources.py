"""What shops really keep: each kind of source with the values that must come out, or the line that refuses it."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.clean import (
    ColumnSource,
    EntityRules,
    EventRules,
    classify_entities,
    classify_events,
    unreadable_values,
)
from synthspark.clean.columns import mapped
from synthspark.clean.ids import as_id, is_inexact
from synthspark.clean.known import known_ids, unknown_examples
from synthspark.clean.members import members
from synthspark.clean.timestamps import to_day_or_utc, to_utc
from synthspark.errors import SourceError
from synthspark.schemas import MALFORMED
from synthspark.sources import Place, first_words, read
from synthspark.sources.leaves import leaves
from synthspark.sources.nested import exploded

pytestmark = pytest.mark.spark

HEADER = {"header": "true", "escape": '"'}
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def rows(df: DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(r) for r in df.select(*columns).collect()), key=str)


def csv_of(spark: SparkSession, path: Path, needed: list[str] | None = None, **options: str) -> DataFrame:
    return read(spark, Place(str(path), format="csv", options={**HEADER, **options}), "source.events", needed or [])


# CSV by name


def test_csv_columns_are_found_by_each_files_own_header(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,date,amount\n1,2024-01-01,3\n")
    (tmp_path / "b.csv").write_text("date, id ,amount,more\n2024-01-02,2,4,x\n")
    (tmp_path / "c.csv").write_text("id,date\n3,2024-01-03\n")
    (tmp_path / "only a header.csv").write_text("amount,id,date\n")
    (tmp_path / "empty.csv").write_text("")
    with gzip.open(tmp_path / "d.csv.gz", "wt") as out:
        out.write("amount,date,id\n7,2024-01-04,4\n")
    found = csv_of(spark, tmp_path, ["id"])
    assert rows(found, "id", "date", "amount", "more", MALFORMED) == [
        ("1", "2024-01-01", "3", None, None),
        ("2", "2024-01-02", "4", "x", None),
        ("3", "2024-01-03", None, None, None),
        ("4", "2024-01-04", "7", None, None),
    ]


def test_a_file_without_a_key_or_without_a_header_is_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,date\n1,2024-01-01\n")
    (tmp_path / "b.csv").write_text("2,2024-01-02\n3,2024-01-02\n")
    with pytest.raises(SourceError, match=r"b\.csv has no column 'id', which other files have; .* 2, 2024-01-02\."):
        csv_of(spark, tmp_path, ["id"])


def test_lines_with_another_number_of_fields_are_marked_with_their_text(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b,c\n1,2,3\n1,2\n1,2,3,4\n"x,y",2,3\n')
    found = csv_of(spark, tmp_path / "a.csv")
    assert rows(found.where("b = '2'"), MALFORMED) == [("1,2",), ("1,2,3,4",), (None,), (None,)]
    rules = EventRules({"user_id": ColumnSource("a"), "item_id": ColumnSource("c")}, event_type="buy")
    classified = classify_events(found, None, rules, NOW).cache()
    assert rows(classified, "reason") == [("malformed_row",), ("malformed_row",), (None,), (None,)]
    assert rows(classified.where("reason is not null"), "raw") == [('{"line":"1,2"}',), ('{"line":"1,2,3,4"}',)]
    entity = EntityRules("item_id", {"item_id": ColumnSource("a"), "b": ColumnSource("b")}, {"b": "categorical"})
    assert rows(classify_entities(found, entity), "reason") == rows(classified, "reason")


def test_a_quote_that_is_none_does_not_swallow_lines_unseen(spark: SparkSession, tmp_path: Path) -> None:
    lines = ["id\tsku\tname\tqty", '1\tA\t"Big\t3', '2\tB\tbar" x\t4', "3\tC\tplain\t5", '4\tD\t"two\nlines"\t6']
    (tmp_path / "a.tsv").write_text("\n".join(lines) + "\n")
    found = csv_of(spark, tmp_path / "a.tsv", sep="\t", multiLine="true").cache()
    assert rows(found.where(F.col(MALFORMED).isNull()), "id", "name") == [("3", "plain"), ("4", "two\nlines")]
    assert found.where(F.col(MALFORMED).isNotNull()).count() == 1


def test_windows_1252_is_read_where_it_is_said(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("größe,preis\nlang – “x”,5 €\n".encode("windows-1252"))
    assert rows(csv_of(spark, tmp_path / "a.csv", encoding="windows-1252"), "größe", "preis") == [("lang – “x”", "5 €")]


# Times


INSTANTS = {  # 10:00 in New York is 14:00 or 15:00 UTC
    "2024-03-01 10:00:00": "2024-03-01 15:00:00",
    "2024-07-01T10:00": "2024-07-01 14:00:00",
    "2024-03-01 10:00 GMT+2": "2024-03-01 08:00:00",
    "2024-03-01 10:00:00 GMT+2": "2024-03-01 08:00:00",
    "2024-03-01 10:00:00+5:30": "2024-03-01 04:30:00",
    "2024-03-01T10:00:00.25+0530": "2024-03-01 04:30:00.25",
    "2024-03-01 10:00:00-05": "2024-03-01 15:00:00",
    "2024-03-01 10:00:00 Etc/GMT+5": "2024-03-01 15:00:00",
    "2024-03-01 10:00:00 UTC": "2024-03-01 10:00:00",
    "2024-03-01T10:00:00Z": "2024-03-01 10:00:00",
    "2024-03-01 10:00Z": "2024-03-01 10:00:00",
    "2024-03-01 10:00:00 America/Argentina/Buenos_Aires": "2024-03-01 13:00:00",
    "2024-03-01 10:00:00 EST5EDT": "2024-03-01 15:00:00",
    "\u00a02024-03-01\u00a0": "2024-03-01 05:00:00",
    "20240301": None,
    "170000": None,
    "10:00:00": None,
    "T10:00": None,
    "soon": None,
}


def test_every_zone_that_the_cast_understands_is_applied_once(spark: SparkSession) -> None:
    df = spark.createDataFrame([(t,) for t in INSTANTS], "t string")
    instant = to_utc(F.col("t"), T.StringType(), "America/New_York", None, "t")
    assert {r["t"]: r["i"] for r in df.select("t", instant.cast("string").alias("i")).collect()} == INSTANTS


@pytest.mark.parametrize(
    ("value", "kind", "pattern", "expected"),
    [
        (1_709_287_200, "bigint", "epoch_seconds", "2024-03-01 10:00:00"),
        (1_709_287_200.5, "double", "epoch_seconds", "2024-03-01 10:00:00.5"),
        (1_709_287_200_123, "bigint", "epoch_millis", "2024-03-01 10:00:00.123"),
        (1_709_287_200_123_456, "bigint", "epoch_micros", "2024-03-01 10:00:00.123456"),
        (1_709_287_200_123_456_789, "bigint", "epoch_nanos", "2024-03-01 10:00:00.123456"),
        ("1709287200123456789", "string", "epoch_nanos", "2024-03-01 10:00:00.123456"),
        ("1709287200.25", "string", "epoch_seconds", "2024-03-01 10:00:00.25"),
        (9_223_372_036_854_775_807, "bigint", "epoch_seconds", None),
        (20240301, "int", "yyyyMMdd", "2024-03-01 00:00:00"),
        ("20240301100000", "string", "yyyyMMddHHmmss", "2024-03-01 10:00:00"),
        ("2024-03-01 10:00:00,123", "string", "yyyy-MM-dd HH:mm:ss,SSS", "2024-03-01 10:00:00.123"),
    ],
)
def test_epochs_of_every_unit_are_exact(
    spark: SparkSession, value: Any, kind: str, pattern: str, expected: str | None
) -> None:
    df = spark.createDataFrame([(value,)], f"t {kind}")
    instant = to_utc(F.col("t"), df.schema["t"].dataType, "UTC", pattern, "t").cast("string")
    assert df.select(instant.alias("i")).collect()[0]["i"] == expected


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("%Y-%m-%d", "strftime"),
        ("epoch_micro", "Did you mean 'epoch_micros'"),
        ("YYYY-MM-dd", "not a pattern that Spark can read"),
        ("nonsense", "not a pattern that Spark can read"),
    ],
)
def test_a_pattern_that_spark_does_not_read_is_refused(spark: SparkSession, pattern: str, words: str) -> None:
    df = spark.createDataFrame([("u", "i", "2024-01-01")], "u string, i string, t string")
    columns = {"user_id": ColumnSource("u"), "item_id": ColumnSource("i"), "ts": ColumnSource("t")}
    with pytest.raises(SourceError, match=words) as raised:
        classify_events(df, None, EventRules(columns, event_type="buy", timestamp_format=pattern), NOW)
    assert "\n" not in str(raised.value)


def test_nanoseconds_of_pandas_are_times(spark: SparkSession, tmp_path: Path) -> None:
    local = pd.to_datetime(["2024-01-01 10:00:00.123456789", "2024-07-01 10:00:00"], format="ISO8601")
    pd.DataFrame({"i": [1, 2], "t": local}).to_parquet(tmp_path / "local.parquet")
    pd.DataFrame({"i": [3, 4], "t": local.tz_localize("Europe/Berlin")}).to_parquet(tmp_path / "zoned.parquet")
    naive = read(spark, Place(str(tmp_path / "local.parquet")), "source.events")
    assert isinstance(naive.schema["t"].dataType, T.TimestampNTZType)
    zoned = read(spark, Place(str(tmp_path / "zoned.parquet")), "source.events")
    assert rows(zoned, "t") == [(dt.datetime(2024, 1, 1, 9, 0, 0, 123456),), (dt.datetime(2024, 7, 1, 8),)]
    both = read(spark, Place(str(tmp_path)), "source.events")
    utc = both.select("i", to_utc(F.col("t"), both.schema["t"].dataType, "Europe/Berlin", None, "t").alias("t"))
    hours = [(i, t.hour) for i, t in rows(utc, "i", "t")]
    assert hours == [(1, 9), (2, 8), (3, 9), (4, 8)], "the naive ones are local, the others carry their zone"


def test_dates_stay_dates_in_any_zone_and_sentinels_are_missing(spark: SparkSession) -> None:
    texts = ["2024-03-01", "2024-03-01 00:00:00", "2024-03-01 10:00:00", "0001-01-01", "9999-12-31", "1900-01-01"]
    df = spark.createDataFrame([(str(i), t, None) for i, t in enumerate(texts)], "id string, t string, d date")
    df = df.withColumn("d", F.lit(dt.date(2024, 3, 1)))
    columns = {"item_id": ColumnSource("id"), "t": ColumnSource("t"), "d": ColumnSource("d")}
    rules = EntityRules("item_id", columns, {"t": "datetime", "d": "datetime"}, timezone="America/New_York")
    found = [(r.t, r.d) for r in classify_entities(df, rules).orderBy("item_id").collect()]
    day = dt.datetime(2024, 3, 1)
    assert [t for t, _ in found] == [day, day, dt.datetime(2024, 3, 1, 15), None, None, None]
    assert {d for _, d in found} == {day}
    bounded = EntityRules("item_id", columns, rules.attributes, bounds={"t": (dt.datetime(1850, 1, 1), None)})
    kept = [r.t for r in classify_entities(df, bounded).orderBy("item_id").collect()]
    assert kept[3:] == [None, None, dt.datetime(1900, 1, 1)], "what is declared goes before what is usual"
    year_10000 = spark.sql("select to_timestamp('+10000-01-01 00:00:00') t")
    assert year_10000.select(to_day_or_utc(F.col("t"), T.TimestampType(), "UTC", "t") > F.lit(NOW)).first()


# Identity


UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("13085.0", "string", "13085"),
        ("13085.50", "string", "13085.50"),
        ("00123", "string", "00123"),
        ("1.0.0", "string", "1.0.0"),
        (" \u00a0a b\ufeff", "string", "a b"),
        (13085.0, "double", "13085"),
        (13085.0, "float", "13085"),
        (Decimal("13085.0000000000"), "decimal(38,10)", "13085"),
        (Decimal("13085.5000000000"), "decimal(38,10)", "13085.5"),
        (Decimal("9007199254740993"), "decimal(38,0)", "9007199254740993"),
        (9_007_199_254_740_993, "bigint", "9007199254740993"),
        (UUID.upper(), "string", UUID),
        ("{" + UUID + "}", "string", UUID),
        (bytearray(uuid.UUID(UUID).bytes), "binary", UUID),
        (bytearray(b"A-1"), "binary", "A-1"),
        (bytearray(b"\xff\x00"), "binary", "ff00"),
        *[(word, "string", None) for word in ("NULL", "null", "\\N", "nan", "None", "N/A", "-", " ", "")],
    ],
)
def test_an_id_has_one_text_whatever_it_is_stored_as(
    spark: SparkSession, value: Any, kind: str, expected: str | None
) -> None:
    df = spark.createDataFrame([(value,)], f"x {kind}")
    found = df.select(as_id(F.col("x"), df.schema["x"].dataType).alias("id")).collect()[0]["id"]
    assert found == expected


def test_declared_null_words_take_the_place_of_the_usual_ones(spark: SparkSession) -> None:
    df = spark.createDataFrame([("NULL",), ("k.A.",)], "x string")
    assert [r[0] for r in df.select(as_id(F.col("x"), T.StringType(), ("k.A.",))).collect()] == ["NULL", None]


def test_ids_that_have_lost_digits_are_told(spark: SparkSession) -> None:
    df = spark.createDataFrame([(9_007_199_254_740_994.0, "4.01234E+12", "12e5")], "d double, s string, h string")
    marks = [is_inexact(F.col(c), df.schema[c].dataType) for c in ("d", "s", "h")]
    assert tuple(df.select(*marks).collect()[0]) == (True, True, False)


def test_which_ids_a_table_knows_and_the_nearest_of_those_it_does_not(spark: SparkSession) -> None:
    events = spark.createDataFrame(
        [("a1", None), ("a1", None), ("0013085", "unknown_item"), ("x", "duplicate")], "item_id string, reason string"
    )
    items = spark.createDataFrame([("a1", None), ("13085", None), ("9", "filtered")], "item_id string, reason string")
    found = known_ids(events, items, "item_id")
    assert (found.ids, found.known) == (2, 1)
    assert unknown_examples(events, items, "item_id") == [("0013085", "13085")]


# Types that differ


def test_files_of_other_types_and_later_columns_are_one_table(spark: SparkSession, tmp_path: Path) -> None:
    for i, (kind, ids) in enumerate(
        [(pa.int32(), [1, 2]), (pa.int64(), [3, 1 << 60]), (pa.float64(), [5.0, None]), (pa.string(), ["6", "x"])]
    ):
        table = {"id": pa.array(ids, kind), "qty": pa.array([1, 2], pa.int32() if i else pa.int64())}
        if i == 3:
            table["new"] = pa.array(["n", "m"])
        pq.write_table(pa.table(table), tmp_path / f"{i}.parquet")
    found = read(spark, Place(str(tmp_path)), "source.events", ["id"])
    texts = found.select(as_id(F.col("id"), found.schema["id"].dataType).alias("id"), "qty", "new")
    assert rows(texts, "id", "qty", "new") == [
        ("1", 1, None), ("1152921504606846976", 2, None), ("2", 2, None), ("3", 1, None), ("5", 1, None),
        ("6", 1, "n"), ("x", 2, "m"), (None, 2, None),
    ]  # fmt: skip
    pq.write_table(pa.table({"id": pa.array([["a"]])}), tmp_path / "list.parquet")
    with pytest.raises(SourceError, match=r"column 'id' has types that cannot be one: .* in .*list\.parquet"):
        read(spark, Place(str(tmp_path)), "source.events", ["id"])


def test_partition_values_are_texts_and_orc_has_later_columns(spark: SparkSession, tmp_path: Path) -> None:
    for dept, extra in (("001", {}), ("010", {"new": ["n"]})):
        (tmp_path / f"dept={dept}").mkdir()
        orc.write_table(pa.table({"id": [int(dept)], **extra}), str(tmp_path / f"dept={dept}" / "a.orc"))
    found = read(spark, Place(str(tmp_path), format="orc"), "source.items")
    assert rows(found, "id", "dept", "new") == [(1, "001", None), (10, "010", "n")]


def test_times_of_orc_have_no_zone_unless_spark_wrote_them(spark: SparkSession, tmp_path: Path) -> None:
    local = pa.array([dt.datetime(2024, 7, 1, 10)], pa.timestamp("us"))
    orc.write_table(pa.table({"t": local}), str(tmp_path / "other.orc"))
    found = read(spark, Place(str(tmp_path / "other.orc"), format="orc"), "source.events")
    assert isinstance(found.schema["t"].dataType, T.TimestampNTZType)
    assert rows(found, "t") == [(dt.datetime(2024, 7, 1, 10),)]
    spark.sql("select timestamp'2024-07-01 10:00:00' t").write.orc(str(tmp_path / "own"))
    own = read(spark, Place(str(tmp_path / "own"), format="orc"), "source.events")
    assert isinstance(own.schema["t"].dataType, T.TimestampType)
    orc.write_table(pa.table({"t": local.cast(pa.timestamp("us", "UTC"))}), str(tmp_path / "zoned.orc"))
    with pytest.raises(SourceError, match="ORC's type 'timestamp with local time zone', which Spark does not read"):
        read(spark, Place(str(tmp_path / "zoned.orc"), format="orc"), "source.events")


def test_json_fields_in_two_letter_cases_are_one_or_refused(spark: SparkSession, tmp_path: Path) -> None:
    lines = ['{"id": 1, "brand": "x"}', '{"id": 2, "Brand": "y"}', "broken", '{"id": 3}']
    (tmp_path / "a.json").write_text("\n".join(lines))
    found = read(spark, Place(str(tmp_path / "a.json"), format="json"), "source.items").cache()
    name = next(c for c in found.columns if c.lower() == "brand")
    assert rows(found, "id", name, MALFORMED) == [
        (1, "x", None), (2, "y", None), (3, None, None), (None, None, "broken"),
    ]  # fmt: skip
    (tmp_path / "b.json").write_text('{"id": 1, "brand": "x"}\n{"id": 2, "Brand": {"name": "y"}}')
    with pytest.raises(SourceError, match="'Brand' and 'brand' differ by letter case only"):
        read(spark, Place(str(tmp_path / "b.json"), format="json"), "source.items")


def test_json_fields_in_two_letter_cases_in_one_record_are_two_columns(spark: SparkSession, tmp_path: Path) -> None:
    lines = [
        '{"id": 1, "Size": 4.5, "size": "x", "Tags": ["a"], "tags": ["b", "c"], "Made": 7, "n": 1}',
        '{"id": 2, "size": "y", "made": "seven"}',
    ]
    (tmp_path / "a.json").write_text("\n".join(lines))
    found = read(spark, Place(str(tmp_path / "a.json"), format="json"), "source.items").cache()
    assert rows(found, "id", "Size", "size_2", "Tags", "tags_2", "Made", "n") == [
        (1, 4.5, "x", ["a"], ["b", "c"], "7", 1), (2, None, "y", None, None, "seven", None),
    ]  # fmt: skip
    nested = ['{"id": 1, "of": {"brand": "x"}, "l": [{"b": 1}]}', '{"id": 2, "of": {"Brand": "y"}, "l": []}']
    (tmp_path / "b.json").write_text("\n".join(nested))
    found = read(spark, Place(str(tmp_path / "b.json"), format="json"), "source.items").cache()
    assert rows(found, "id", "of.brand") == [(1, "x"), (2, "y")]
    (tmp_path / "c.json").write_text('{"id": 1, "l": [{"b": 1}]}\n{"id": 2, "l": [{"B": 2}]}')
    with pytest.raises(SourceError, match="in a list the fields 'B' and 'b' within 'l' differ by letter case only"):
        read(spark, Place(str(tmp_path / "c.json"), format="json"), "source.items")


@pytest.mark.parametrize("format", ["parquet", "orc"])
def test_columns_that_differ_by_letter_case_are_named(spark: SparkSession, tmp_path: Path, format: str) -> None:
    table, path = pa.table({"Size": [1.5], "size": ["x"]}), tmp_path / f"a.{format}"
    pq.write_table(table, path) if format == "parquet" else orc.write_table(table, str(path))
    with pytest.raises(
        SourceError, match=rf"a.{format} has columns 'Size' and 'size', which Spark does not tell apart"
    ):
        read(spark, Place(str(tmp_path), format=format), "source.items")


def test_structs_whose_fields_differ_are_one(spark: SparkSession, tmp_path: Path) -> None:
    """In a folder that Spark cannot merge, for another column's sake."""
    for name, record in (("a", {"id": 1, "of": {"x": 1, "in": {"y": "a"}}}),
                         ("b", {"id": "2", "of": {"in": {"y": "b", "z": 2.5}}})):  # fmt: skip
        pq.write_table(pa.Table.from_pylist([record]), tmp_path / f"{name}.parquet")
    found = read(spark, Place(str(tmp_path), format="parquet"), "source.items").cache()
    assert rows(found, "id", "of.x", "of.in.y", "of.in.z") == [("1", 1, "a", None), ("2", None, "b", 2.5)]
    pq.write_table(pa.table({"id": ["3"], "of": pa.nulls(1)}), tmp_path / "c.parquet")
    found = read(spark, Place(str(tmp_path), format="parquet"), "source.items").cache()
    assert rows(found, "id", "of.in.y") == [("1", "a"), ("2", "b"), ("3", None)]


def test_parquet_files_that_say_nothing_of_a_type_do_not_decide_it(spark: SparkSession, tmp_path: Path) -> None:
    """pandas writes columns without a value, of no type, as whole numbers."""
    known = pa.table({"at": pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("us")), "of": [{"a": "x"}]})
    pq.write_table(known, tmp_path / "b.parquet")
    pq.write_table(pa.table({"at": pa.nulls(0), "of": pa.nulls(0)}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"at": pa.nulls(2), "of": pa.nulls(2)}), tmp_path / "c.parquet")
    found = read(spark, Place(str(tmp_path), format="parquet"), "source.items").cache()
    assert rows(found, "at", "of.a") == [(None, None), (None, None), (dt.datetime(2024, 1, 1), "x")]


# Nested sources


ORDERS = [
    {"order": {"customer": {"id": 7}, "at": "2024-01-01"}, "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}],
     "payload": json.dumps({"shop": {"code": "s1"}, "n": 5}), "extra": {"colour": "red"}},
    {"order": {"customer": {"id": 8}, "at": "2024-01-02"}, "lines": [], "payload": "{}", "extra": {}},
]  # fmt: skip
ORDER_SCHEMA = (
    "order struct<customer: struct<id: int>, at: string>, lines array<struct<sku: string, n: int>>, payload string, "
    "extra map<string, string>"
)


def test_orders_become_their_lines_and_paths_lead_into_every_nesting(spark: SparkSession) -> None:
    df = spark.createDataFrame(ORDERS, ORDER_SCHEMA)
    lines = exploded(df, ["lines"], "source.events")
    paths = {"user": "order.customer.id", "item": "lines.sku", "n": "lines.n", "shop": "payload.shop.code",
             "colour": "extra.colour"}  # fmt: skip
    found = mapped(lines, {n: ColumnSource(p) for n, p in paths.items()}, "source.events")
    assert rows(found, *paths) == [(7, "a", 1, "s1", "red"), (7, "b", 2, "s1", "red")]
    assert {leaf.path for leaf in leaves(df)} == {
        "order.customer.id", "order.at", "lines", "lines.sku", "lines.n", "payload.shop.code", "payload.n",
        "extra.colour",
    }  # fmt: skip
    with pytest.raises(SourceError, match=r"explode names 'order.at', which is string|no column|not a list"):
        exploded(df, ["order"], "source.events")
    with pytest.raises(SourceError, match=r"there is no column 'order.client'"):
        mapped(df, {"u": ColumnSource("order.client")}, "source.events")


def test_names_within_may_have_dots(spark: SparkSession) -> None:
    text = json.dumps({"item.sku": "a", "made": {"by.whom": "b", "in": "c"}})
    frame = spark.createDataFrame(
        [({"unit.price": 3.5, "of": {"size.eu": 42}}, {"x.y": "d", "z": "e"}, text)],
        "s struct<`unit.price`: double, of: struct<`size.eu`: int>>, m map<string, string>, j string",
    )
    found = {leaf.path for leaf in leaves(frame)}
    wanted = {"s.unit.price": 3.5, "s.of.size.eu": 42, "m.x.y": "d", "m.z": "e", "j.item.sku": "a",
              "j.made.by.whom": "b", "j.made.in": "c"}  # fmt: skip
    assert found == set(wanted)
    columns = {f"c{i}": ColumnSource(name=path) for i, path in enumerate(wanted)}
    assert mapped(frame, columns, "source.items").collect()[0].asDict() == {
        f"c{i}": value for i, value in enumerate(wanted.values())
    }
    assert not any(leaf.computed for leaf in leaves(frame))
    either = spark.createDataFrame([('{"a": {"Brand": "x"}}',), ('{"a": {"brand": "y"}}',)], "j string")
    (only,) = leaves(either)
    assert only.computed and [r[0] for r in either.selectExpr(only.sql).collect()] == ["x", "y"]
    sql = {leaf.path: leaf.sql for leaf in leaves(frame)}
    assert [frame.selectExpr(sql[path]).collect()[0][0] for path in wanted] == list(wanted.values())


@pytest.mark.parametrize("sql", ["explode(lines)", "max(payload)", "posexplode(lines).pos"])
def test_expressions_that_change_the_number_of_rows_are_refused(spark: SparkSession, sql: str) -> None:
    df = spark.createDataFrame(ORDERS, ORDER_SCHEMA)
    with pytest.raises(SourceError, match=r"expression") as raised:
        mapped(df, {"item_id": ColumnSource(expr=sql)}, "source.events")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("b|a| a", "string", ["a", "b"]),
        ("['a', \"b's\"]", "string", ["a", "b's"]),
        ('["a","b"]', "string", ["a", "b"]),
        ("['a', None, 'b']", "string", ["None", "a", "b"]),
        ("[1, 2]", "string", ["1", "2"]),
        ("[]", "string", None),
        (["b", None, " a"], "array<string>", ["a", "b"]),
        ([["a"], None, ["b", "a"]], "array<array<string>>", ["a", "b"]),
        ([], "array<string>", None),
        ([3, 1], "array<int>", ["1", "3"]),
    ],
)
def test_lists_are_read_however_they_are_written(
    spark: SparkSession, value: Any, kind: str, expected: list[str] | None
) -> None:
    df = spark.createDataFrame([(value,)], f"x {kind}")
    found = df.select(members(F.col("x"), df.schema["x"].dataType, "|", (), "x").alias("m")).collect()[0]["m"]
    assert found == expected


def test_an_empty_list_is_missing_and_not_unreadable(spark: SparkSession) -> None:
    df = spark.createDataFrame([("1", "[]", []), ("2", "a|b", ["a"])], "id string, t string, l array<string>")
    columns = {"item_id": ColumnSource("id"), "t": ColumnSource("t"), "l": ColumnSource("l")}
    rules = EntityRules("item_id", columns, {"t": "multi", "l": "multi"})
    classified = classify_entities(df, rules)
    assert classified.where("t is null and l is null").count() == 1
    assert unreadable_values(classified, rules.attributes) == {"t": 0, "l": 0}


# Spark's failures


def test_the_first_words_of_a_failure_are_one_line(spark: SparkSession) -> None:
    df = spark.createDataFrame([("x",)], "t string")
    for sql, words in (("1 / (length(t) - 1)", "Division by zero"), ("cast(t as int)", "The value 'x' of the type")):
        with pytest.raises(Exception) as raised:
            df.select(F.expr(sql)).collect()
        assert first_words(raised.value).startswith(words) and "\n" not in first_words(raised.value)


@pytest.mark.parametrize("format", ["parquet", "orc", "delta", "nonsense", "json", "csv"])
def test_a_path_without_files_is_refused_in_one_line(spark: SparkSession, tmp_path: Path, format: str) -> None:
    with pytest.raises(SourceError, match=r"table source.events \(.*nowhere\): ") as raised:
        read(spark, Place(str(tmp_path / "nowhere"), format=format), "source.events")
    assert "\n" not in str(raised.value)


def test_rejected_rows_are_spread_and_do_not_meet_in_one_task(spark: SparkSession) -> None:
    def most_in_one_task(classified: DataFrame) -> int:
        plain = classified.where("reason is not null").groupBy(F.spark_partition_id()).count()
        return max(r["count"] for r in plain.collect())

    spark.conf.set("spark.sql.adaptive.enabled", "false")
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "8")
    try:
        events = spark.range(800).selectExpr("'u' u", "concat('gone', id) i", "timestamp_seconds(id) t")
        columns = {"user_id": ColumnSource("u"), "item_id": ColumnSource("i"), "ts": ColumnSource("t")}
        items = spark.createDataFrame([("a", False)], "item_id string, filtered boolean")
        assert most_in_one_task(classify_events(events, items, EventRules(columns, event_type="buy"), NOW)) < 400
        nameless = spark.range(800).selectExpr("if(id < 0, 'x', null) i", "id x")
        rules = EntityRules("item_id", {"item_id": ColumnSource("i"), "x": ColumnSource("x")}, {"x": "numeric"})
        assert most_in_one_task(classify_entities(nameless, rules)) < 400
    finally:
        spark.conf.set("spark.sql.adaptive.enabled", "true")
        spark.conf.set("spark.sql.shuffle.partitions", before)


def test_where_reads_only_some_partitions_of_a_table_or_view(spark: SparkSession) -> None:
    spark.sql("create table days (user string, day string) using parquet partitioned by (day)")
    spark.sql("insert into days values ('a', '2026-01-01'), ('b', '2026-01-02'), ('c', '2026-01-03')")
    spark.sql("create view seen as select user as who, day from days")
    try:
        for table, column in (("days", "user"), ("seen", "who")):
            frame = read(spark, Place(table=table, where="day >= '2026-01-02'"), "events")
            assert sorted(row[column] for row in frame.collect()) == ["b", "c"]
            plan = frame._jdf.queryExecution().executedPlan().toString()
            assert "PartitionFilters: [isnotnull(day" in plan and "2026-01-02" in plan
        with pytest.raises(SourceError, match=r"events \(days\).*when"):
            read(spark, Place(table="days", where="when > 1"), "events").collect()
    finally:
        spark.sql("drop view seen")
        spark.sql("drop table days")


def test_where_does_not_hide_lines_that_do_not_fit(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("u,kind\n1,buy\n2,view\n3,buy,more\n")
    place = Place(path=str(tmp_path / "events.csv"), format="csv", options={"header": "true"}, where="kind = 'buy'")
    found = read(spark, place, "events").collect()
    assert [row["u"] for row in found if row[MALFORMED] is None] == ["1"]
    assert [row[MALFORMED] for row in found if row[MALFORMED] is not None] == ["3,buy,more"]
