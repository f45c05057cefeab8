from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synthspark.report.distributions import MISSING, OTHERS, Parts, by_class, by_reach, by_size, by_value, by_year
from synthspark.report.nearest import nearest_rows

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
    at = [datetime(2026, 1, 1, 5, tzinfo=UTC), None]
    hours = [str(h) for h in range(24)]
    found = by_class(parts(spark, at, at, "timestamp"), F.hour("x"), hours, "t")
    assert found is not None and found.series["real"][5] == 1
    assert by_class(parts(spark, at, [None], "timestamp"), F.hour("x"), hours, "t") is None


def test_years_are_classes_and_what_is_beyond_counts_to_the_outer_ones(spark: SparkSession) -> None:
    at = {year: datetime(year, 6, 1, tzinfo=UTC) for year in (1900, 2022, 2023, 2025, 2099)}
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
