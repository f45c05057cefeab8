from __future__ import annotations

import json
import math

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.errors import SourceError
from synthspark.judging.judge import auc_of_counts
from synthspark.likeness.fidelity import fidelity

pytestmark = pytest.mark.spark

SCHEMA = "brand string, size int, price double"


def table(spark: SparkSession, rows: list[tuple[object, ...]], schema: str = SCHEMA) -> DataFrame:
    return spark.createDataFrame(rows, schema)


def shop(spark: SparkSession, rows: int, seed: int) -> DataFrame:
    """A type decides its department; the price follows the size; one text in ten is missing."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 12, rows)
    size = rng.integers(1, 100, rows)
    made = [
        (f"type {k}", f"dépt·{k % 3}", None if rng.random() < 0.1 else "日本" if k % 2 else "", int(s), s * 1.5 + k)
        for k, s in zip(kind.tolist(), size.tolist(), strict=True)
    ]
    return table(spark, made, "`the type` string, `a.dept` string, brand string, size int, price double")


def test_figures_by_hand(spark: SparkSession) -> None:
    train = table(spark, [("a", 1, 1.0), ("a", 1, 2.0), ("b", 2, 3.0), (None, 2, 4.0)])
    made = table(spark, [("a", 1, 1.0), ("b", 1, 2.0), ("b", 2, 9.0), ("x", 2, math.nan)])
    found = fidelity(train, train, made)
    assert found.rows == 4
    # brand: |2-1| + |1-2| + |1-0| + |0-1| over 4, halved. price: up to 4, train has 4 of 4, the other 2 of its 3.
    shape = {"brand": 1 - 0.5, "size": 1.0, "price": 1 - 1 / 3}
    assert found.shape_by_column == pytest.approx(shape)
    assert found.column_shapes == pytest.approx(sum(shape.values()) / 3)
    # Joint frequencies: brand x size share (a, 1), (b, 2), one row each of four. brand x price: each table is cut into
    # ten bins of its own; both have (a, the lowest bin), and nothing else. The correlations of size and price:
    trends = [2 / 4, 1 / 4, 1 - abs(2 / math.sqrt(5) - np.corrcoef([1, 1, 2], [1, 2, 9])[0, 1]) / 2]
    assert found.column_pair_trends == pytest.approx(sum(trends) / 3)
    assert found.quality == pytest.approx((found.column_shapes + found.column_pair_trends) / 2)
    assert found.coverage_by_column == {"brand": pytest.approx(2 / 3)}
    assert found.detection_auc is None  # of four rows nobody can learn
    json.dumps(found.to_json(), allow_nan=False)


def test_pairs_that_train_does_not_relate_are_left_out(spark: SparkSession) -> None:
    square = [(b, s, float(p)) for b in "ab" for s in (1, 2) for p in (1, 2)]
    found = fidelity(table(spark, square), table(spark, square), table(spark, square[:1] * 3))
    assert (found.column_pair_trends, found.quality) == (None, found.column_shapes)


def test_train_itself_is_perfect(spark: SparkSession) -> None:
    train = shop(spark, 300, 0)
    found = fidelity(train, shop(spark, 100, 1), train)
    assert (found.quality, found.category_coverage, found.hierarchy_valid) == (1.0, 1.0, 1.0)
    assert found.hierarchy_rules == ("the type->a.dept",)
    assert found.detection_auc is not None and found.detection_auc < 0.6


def test_independent_columns_are_found_out(spark: SparkSession) -> None:
    train, holdout = shop(spark, 400, 0), shop(spark, 400, 1)
    rows = [list(c) for c in zip(*shop(spark, 400, 2).collect(), strict=True)]
    rng = np.random.default_rng(0)
    mixed = [tuple(r) for r in zip(*[[c[i] for i in rng.permutation(400)] for c in rows], strict=True)]
    real, bad = (fidelity(train, holdout, t) for t in (holdout, spark.createDataFrame(mixed, train.schema)))
    assert real.detection_auc is not None and real.detection_auc == pytest.approx(0.5, abs=0.07)
    assert bad.detection_auc is not None and bad.detection_auc > 0.9
    assert real.column_shapes == pytest.approx(bad.column_shapes, abs=0.05)
    assert real.column_pair_trends is not None and bad.column_pair_trends is not None
    assert bad.column_pair_trends < real.column_pair_trends - 0.2


@pytest.mark.parametrize("swapped", [False, True])
def test_broken_hierarchies_are_counted(spark: SparkSession, swapped: bool) -> None:
    schema = "kind string, dept string"
    train = table(spark, [(f"k{i % 6}", f"d{i % 3}") for i in range(60)], schema)
    holdout = table(spark, [("k7", "d1"), ("k0", "d0")], schema)
    if swapped:  # the order of the columns decides nothing
        train, holdout = train.select("dept", "kind"), holdout.select("dept", "kind")
    # In turn: of train, of the holdout, of neither, of neither (a missing one is a value as any other).
    made = table(spark, [("k1", "d1"), ("k7", "d1"), ("k1", "d2"), ("k1", None)], schema)
    found = fidelity(train, holdout, made)
    assert (found.hierarchy_rules, found.hierarchy_valid) == (("kind->dept",), 0.5)


def test_what_is_no_rule(spark: SparkSession) -> None:
    schema = "kind string, dept string"
    loose = table(spark, [(f"k{i % 6}", f"d{i % 3 if i > 2 else 2 - i}") for i in range(60)], schema)
    assert fidelity(loose, loose, loose.limit(2)).hierarchy_rules == ()  # 58 of 60 are fewer than 98 %
    names = table(spark, [(f"k{i}", f"d{i % 3}") for i in range(60)], schema)
    assert fidelity(names, names, names.limit(2)).hierarchy_rules == ()  # of what occurs once nothing can be said


def test_partitions_do_not_matter(spark: SparkSession) -> None:
    tables = [shop(spark, n, s) for n, s in ((200, 0), (60, 1), (90, 2))]
    one, five = (fidelity(*(t.repartition(n) for t in tables), seed=3) for n in (1, 5))
    assert one == five


def test_columns_without_anything_to_measure(spark: SparkSession) -> None:
    schema = "nothing string, none double, same int, one string"
    rows = table(spark, [(None, None, 7, "x")] * 12, schema)
    found = fidelity(rows, rows, rows)
    assert found.shape_by_column == {"nothing": 1.0, "none": None, "same": 1.0, "one": 1.0}
    assert (found.column_pair_trends, found.hierarchy_valid, found.hierarchy_rules) == (None, None, ())
    assert found.detection_auc == pytest.approx(0.5)
    one = rows.limit(1)
    assert fidelity(one, one, one).quality == 1.0
    numbers = fidelity(*[rows.select("none", "same")] * 3)
    assert (numbers.category_coverage, numbers.coverage_by_column) == (None, {})
    texts = fidelity(*[rows.select("one")] * 3)
    assert texts.quality == 1.0


def test_dates_and_booleans_are_numbers(spark: SparkSession) -> None:
    rows = table(spark, [("2024-01-01", True), ("2024-01-02", False)], "day string, new boolean")
    rows = rows.select(F.to_date("day").alias("day"), "new", F.to_timestamp("day").alias("at"))
    found = fidelity(rows, rows, rows.limit(1))
    assert found.shape_by_column == {"day": 0.5, "new": 0.5, "at": 0.5}


def test_errors_name_the_table_and_the_column(spark: SparkSession) -> None:
    rows = table(spark, [("a", 1, 1.0)])
    for made, words in (
        (rows.withColumnRenamed("brand", "Brand "), r"table synthetic lacks the column 'brand'.*Did you mean 'Brand '"),
        (rows.withColumn("size", F.lit("1")), "synthetic: column 'size' is a text .string., in train a number"),
        (rows.limit(0), "table synthetic has no rows"),
        (rows.withColumn("size", F.array("size")), "synthetic: column 'size' is array<int>, neither"),
    ):
        with pytest.raises(SourceError, match=words):
            fidelity(rows, rows, made)


def test_auc_by_hand() -> None:
    assert auc_of_counts(np.array([0, 1]), np.array([1, 0])) == 1.0
    assert auc_of_counts(np.array([1, 1]), np.array([1, 1])) == 0.5
    assert auc_of_counts(np.array([1, 0, 1]), np.array([1, 1, 0])) == pytest.approx((0.5 + 2) / 4)
