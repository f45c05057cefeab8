from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import cast

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.likeness.shapes import BINS, Extent, _edges
from synthspark.report import Facts, pictures
from synthspark.report.distributions import MISSING, OTHERS, Parts, by_class, by_reach, by_size, by_value, by_year
from synthspark.report.nearest import nearest_rows
from synthspark.report.page import page
from synthspark.report.texts import MAX_LENGTH
from synthspark.runs.context import Context
from synthspark.runs.tables import Table
from synthspark.sides import ITEMS
from synthspark.stages import report

pytestmark = pytest.mark.spark


def parts(spark: SparkSession, real: list[object], made: list[object], kind: str) -> Parts:
    return {name: spark.createDataFrame([(v,) for v in rows], f"x {kind}") for name, rows in
            (("real", real), ("synthetic", made))}  # fmt: skip


def test_values_share_by_share_with_the_rest_and_the_missing(spark: SparkSession) -> None:
    real = [f"v{i:02d}" for i in range(20) for _ in range(20 - i)] + [None] * 30
    found = by_value(parts(spark, real, ["v00", "never seen", None, None], "string"), F.col("x"), "t")
    assert found is not None
    assert list(found.classes) == [MISSING, *(f"v{i:02d}" for i in range(11)), OTHERS]
    assert sum(found.series["real"]) == pytest.approx(1) and found.series["real"][0] == 30 / 240
    assert list(found.series["synthetic"]) == [0.5, 0.25, *[0] * 10, 0.25]
    assert by_value(parts(spark, ["a"], ["a"], "string"), F.col("x"), "t") is None, "one value for all says nothing"


def test_numbers_lie_in_bins_over_the_bulk_of_the_real_ones(spark: SparkSession) -> None:
    real = [float(i) for i in range(1000)] + [1e12, float("nan"), None]
    found = by_size(parts(spark, real, [500.0, -5.0, 1e15], "double"), F.col("x"), "t")
    assert found is not None and len(found.classes) == len(found.series["real"]) + 1
    assert float(found.classes[-1]) < 1000, "one far value must not push all others into one bin"
    assert sum(found.series["real"]) == pytest.approx(1)
    assert found.series["synthetic"][0] == found.series["synthetic"][-1] == pytest.approx(1 / 3)
    assert by_size(parts(spark, [2.0, 2.0], [1.0], "double"), F.col("x"), "t") is None
    assert by_size(parts(spark, [None, float("nan")], [1.0], "double"), F.col("x"), "t") is None


def test_the_tail_counts_who_reaches_each_threshold(spark: SparkSession) -> None:
    found = by_reach(parts(spark, ["a"] * 7 + ["b"] * 2 + ["c"], ["a", "b"], "string"), "x", "t")
    assert found is not None and list(found.classes) == [1.0, 2.0, 5.0]
    assert found.series["real"] == pytest.approx([1, 2 / 3, 1 / 3]) and list(found.series["synthetic"]) == [1, 0, 0]


def test_hours_without_times_have_no_picture(spark: SparkSession) -> None:
    at = [datetime(2026, 1, 1, 5, tzinfo=timezone.utc), None]
    hours = [str(h) for h in range(24)]
    found = by_class(parts(spark, at, at, "timestamp"), F.hour("x"), hours, "t")
    assert found is not None and found.series["real"][5] == 1
    assert by_class(parts(spark, at, [None], "timestamp"), F.hour("x"), hours, "t") is None


def test_years_are_classes_and_what_is_beyond_counts_to_the_outer_ones(spark: SparkSession) -> None:
    at = {year: datetime(year, 6, 1, tzinfo=timezone.utc) for year in (1900, 2022, 2023, 2025, 2099)}
    real = [at[2022]] * 300 + [at[2023]] * 300 + [at[2025]] * 300 + [at[1900], at[2099], None]
    found = by_year(parts(spark, real, [at[1900], at[2023], at[2023], at[2099]], "timestamp"), F.col("x"), "t")
    assert found is not None and list(found.classes) == ["2022", "2023", "2024", "2025"]
    assert found.series["synthetic"] == [0.25, 0.5, 0, 0.25]
    assert found.series["real"] == pytest.approx([301 / 902, 300 / 902, 0, 301 / 902])
    assert by_year(parts(spark, [at[2022]], [at[2023]], "timestamp"), F.col("x"), "t") is None


def test_the_nearest_row_is_the_nearest_in_all_columns(spark: SparkSession) -> None:
    kinds = {"ka tegorie": "categorical", "p": "numeric", "tags": "multi"}
    real = spark.createDataFrame(
        [("1", "x", 0.0, ["a"]), ("2", "y", 9.0, ["a", "b"]), ("3", None, 10.0, None), ("4", "x", 10.0, ["a"])],
        "id string, `ka tegorie` string, p double, tags array<string>",
    )
    new = [{"ka tegorie": "y", "p": 1.0, "tags": ["a"]}, {"ka tegorie": None, "p": None, "tags": None}]
    # the first: 1 + .1 + 0 to the first row, 0 + .8 + 1 to the second; a missing value is like a missing value
    assert [r["id"] for r in nearest_rows(real, new, kinds)] == ["1", "3"]
    # the first and the fourth are equal but for the number
    assert [r["id"] for r in nearest_rows(real, [{"ka tegorie": "x", "p": 9.5, "tags": ["a"]}], kinds)] == ["4"]
    assert nearest_rows(real, [], kinds) == []


FAR = ["timestamp'+10000-01-01'", "timestamp'0001-01-01'", "timestamp'+290000-06-01 12:00:00'", "null"]
KINDS = {"born": "datetime", "size": "numeric", "name": "categorical", "tags": "multi"}


def extreme(spark: SparkSession, prefix: str) -> DataFrame:
    """Values that Python cannot hold or nobody wants to read: far years, NaN, infinity, a huge string, half a pair."""
    sizes, texts = (
        ["'NaN'", "'Infinity'", "1.5", "null"],
        ["repeat('ü', 100000)", "'a\\0b'", "cast(X'EDA080' as string)", "null"],
    )
    rows = [f"select '{prefix}{i}' item_id, {FAR[i]} born, cast({sizes[i]} as double) size, {texts[i]} name, "
            f"array({texts[i]}, 'x') tags, 'new_item' origin" for i in range(4)]  # fmt: skip
    return spark.sql(" union all ".join(rows))


def test_example_values_that_python_cannot_hold_are_shown_as_text(spark: SparkSession) -> None:
    tables = {"clean/items": extreme(spark, "real").drop("origin"), "synthetic/items": extreme(spark, "syn:")}

    class Run:
        config = SimpleNamespace(source=SimpleNamespace(attributes=lambda _side: KINDS))

        def has(self, table: Table) -> bool:
            return table.name in tables

        def read(self, table: Table) -> DataFrame:
            return tables[table.name]

    found = list(report._examples(cast(Context, Run()), ITEMS))
    assert [e.values["born"][0] for e in found] == ["+10000-01-01 00:00:00", "0001-01-01 00:00:00",
                                                    "+290000-06-01 12:00:00"]  # fmt: skip
    assert all(e.values["born"][0] == e.values["born"][1] for e in found), "the nearest row is its own copy"
    assert len(str(found[0].values["name"][0])) == MAX_LENGTH
    html = page(Facts("r", {"protocols": [], "fidelity": [], "privacy": [], "verdict": {"ship": False, "why": "x"}}, [],
                      examples=found))  # fmt: skip
    assert "+10000-01-01" in html and html.encode()


def test_far_years_infinite_numbers_and_long_values_have_pictures(spark: SparkSession) -> None:
    real = spark.range(400).selectExpr(
        "case when id % 10 = 0 then timestamp'+10000-01-01' when id % 10 = 1 then timestamp'0001-01-01' "
        "else timestamp'2024-01-01' + make_interval(0, 0, 0, cast(id as int)) end born",
        "case when id % 10 = 0 then double('inf') when id % 10 = 1 then double('-inf') else double(id) end size",
        "repeat(concat('v', id % 3), 50000) name", "if(id % 2 = 0, 1.7e308, -1.7e308) wide",
    )  # fmt: skip
    both = {"real": real, "synthetic": real.limit(50)}
    years, sizes, names = (
        by_year(both, F.col("born"), "t"),
        by_size(both, F.col("size"), "t"),
        by_value(both, F.col("name"), "t"),
    )
    for distribution in (years, sizes, names):
        assert distribution is not None and len(distribution.classes) < 100
        assert sum(distribution.series["real"]) == pytest.approx(1)
        assert "<svg" in pictures.distribution(distribution)
    assert names is not None and all(len(str(c)) <= 200 for c in names.classes)
    assert by_size(both, F.col("wide"), "t") is None
    edges = _edges(Extent(2, -1.7e308, 1.7e308, 0.0))
    assert len(edges) == BINS + 1 and (edges[1:] > edges[:-1]).all()


def test_a_part_that_cannot_be_made_is_told_and_the_rest_stays() -> None:
    def parts() -> Iterator[int]:
        yield 1
        raise OverflowError("date value out of range\nand more")

    lacking: list[str] = []
    assert report._collected(parts(), lacking, "examples of items") == [1]
    assert lacking == ["examples of items: OverflowError: date value out of range"]
