from __future__ import annotations

import json

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from synthspark.errors import SourceError
from synthspark.likeness import neighbours
from synthspark.likeness.neighbours import base_blocks, nearest, query_blocks
from synthspark.likeness.privacy import privacy
from synthspark.likeness.ranks import MISSING_RANK, Distribution, distributions
from synthspark.likeness.tables import Columns, indexed, prepare

pytestmark = pytest.mark.spark

SCHEMA = "brand string, price double"


def table(spark: SparkSession, rows: list[tuple[object, ...]], schema: str = SCHEMA) -> DataFrame:
    return spark.createDataFrame(rows, schema)


def people(spark: SparkSession, rows: int, seed: int) -> DataFrame:
    rng = np.random.default_rng(seed)
    made = [
        (None if rng.random() < 0.1 else f"ört {rng.integers(0, 9)}", f"j{rng.integers(0, 30)}",
         None if rng.random() < 0.1 else float(rng.normal()), float(rng.normal()))
        for _ in range(rows)
    ]  # fmt: skip
    return table(spark, made, "town string, job string, age double, `wage.eur` double")


def test_figures_by_hand(spark: SparkSession) -> None:
    train = table(spark, [("a", 1.0), ("b", 2.0), ("c", 3.0), (None, 4.0)])
    holdout = table(spark, [("a", 1.001), ("z", 2.0), ("z", 9.0), ("y", -1.0)])
    # Ranks in train: 1, 2, 3, 4 -> 1/8, 3/8, 5/8, 7/8.
    made = table(spark, [("a", 1.001), ("b", 2.5)])
    found = privacy(train, holdout, made)
    assert found.rows == 2
    assert found.exact_copy_share == 0.5  # 1.001 is 1.00 to two decimals
    assert found.exact_copy_share_holdout == 0.25
    # (a, 1.001) lies between 1 and 2: rank 1/4. To train: 1/8, then 1 + 1/8 (b, 2). To the holdout: 0, then 1 + 1/8.
    # (b, 2.5): rank 1/2. To train: 1/8 (b, 2), then 1 + 1/8 (c, 3). To the holdout: 1 + 1/8 (z, 2), then 1 + 1/4.
    assert found.dcr_train_share == 0.5
    assert found.dcr_median_train == pytest.approx(1 / 8)
    assert found.dcr_median_holdout == pytest.approx((0 + 9 / 8) / 2)
    assert found.nndr_median_train == pytest.approx(1 / 9, abs=1e-4)
    assert found.nndr_median_holdout == pytest.approx((0 + 0.9) / 2)
    # Nearest synthetic row of train: 1/8, 1/8, 1 + 1/8, 1 + 3/8. Of the holdout: 0, 1 + 1/8, 1 + 1/2, 1 + 1/4.
    members, others = [1, 1, 9, 11], [0, 9, 12, 10]
    wins = sum(1.0 if m < o else 0.5 if m == o else 0.0 for m in members for o in others)
    assert found.membership_auc == pytest.approx(wins / 16)
    json.dumps(found.to_json(), allow_nan=False)


def test_singling_out_by_hand(spark: SparkSession) -> None:
    train = table(spark, [("a", 1.0), ("b", 2.0), ("c", 3.0), ("c", 4.0)])
    holdout = table(spark, [("a", 1.0), ("a", 1.0), ("z", 2.0), ("z", 9.0)])
    made = table(spark, [("a", 1.0), ("c", 5.0), ("d", 2.0), ("d", 2.0)])
    whole = privacy(train, holdout, made)
    found, both = whole.singling_out_univariate, whole.singling_out_multivariate
    # Of one synthetic row: brand = a, brand = c, price = 1, price = 5, price <= 1, price >= 5.
    assert found.predicates == 6
    assert found.train == pytest.approx(3 / 6)  # a, 1, <= 1
    assert found.holdout == pytest.approx(1 / 6)  # >= 5
    # a and <= the median 2: one row of train, two of the holdout; c and >= 2: two rows of train, none of the holdout.
    assert (both.predicates, both.train, both.holdout) == (2, 0.5, 0.0)


def test_a_copy_of_train_is_found_out(spark: SparkSession) -> None:
    train, holdout = people(spark, 300, 0), people(spark, 100, 1)
    found = privacy(train, holdout, train)
    assert found.exact_copy_share == 1.0
    assert found.dcr_train_share > 0.6  # each train sample holds a third of the copied rows
    assert found.membership_auc > 0.97
    assert found.singling_out_multivariate.train is not None and found.singling_out_multivariate.holdout is not None
    equal = people(spark, 100, 2)
    copied = privacy(equal, holdout, equal)
    assert copied.dcr_train_share > 0.97 and copied.nndr_median_train == 0.0
    single = copied.singling_out_multivariate
    assert (single.train, single.predicates > 10) == (1.0, True)
    assert single.holdout is not None and single.holdout < 0.5


def test_real_rows_are_what_half_looks_like(spark: SparkSession) -> None:
    train, holdout, other = people(spark, 400, 0), people(spark, 150, 1), people(spark, 150, 2)
    itself = privacy(train, holdout, None)
    for found in (privacy(train, holdout, other), itself):
        assert found.exact_copy_share == 0.0
        assert found.dcr_train_share == pytest.approx(0.5, abs=0.1)
        assert found.membership_auc == pytest.approx(0.5, abs=0.1)
    assert itself.singling_out_univariate.holdout is None
    assert itself.dcr_median_holdout is not None and itself.dcr_median_holdout > 0  # no row is its own neighbour


@pytest.mark.parametrize("broadcast", [True, False])
def test_neighbours_across_blocks_are_those_of_brute_force(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, broadcast: bool
) -> None:
    monkeypatch.setattr(neighbours, "QUERY_BLOCK", 16)
    monkeypatch.setattr(neighbours, "BASE_BLOCK", 32)
    monkeypatch.setattr(neighbours, "BROADCAST_BYTES", 1 << 20 if broadcast else 0)
    tables = prepare(*(people(spark, n, s) for n, s in ((100, 0), (70, 1), (70, 1))))
    columns, ranks = tables.columns, distributions(tables.train, tables.columns)
    base, asked = (indexed(t, columns, 0, "t").persist() for t in (tables.train, tables.holdout))
    parts = base.selectExpr("*", "cast(row / 60 as int) part", "cast(row / 60 as int) * 60 start")
    for own in (-1, 1):
        queries = query_blocks(asked, columns, ranks, 7, own)
        found = {(r.row, r.part): (r.first, r.second)
                 for r in nearest(queries, base_blocks(parts, columns, ranks), 100, columns).collect()}  # fmt: skip
        assert len(found) == 140
        left, right = (np.array(t.orderBy("row").select(*columns.c, *columns.n).collect(), float)
                       for t in (asked, base))  # fmt: skip
        for row in range(70):
            for part in (0, 1):
                rows = range(60 * part, min(60 * part + 60, 100))
                all_ = sorted(gower(left[row], right[i], ranks) for i in rows if part != own or i != row)
                assert found[row, part] == pytest.approx(tuple(all_[:2]), abs=1e-5)


def gower(a: np.ndarray, b: np.ndarray, ranks: list[Distribution]) -> float:
    total = float(np.sum(a[:2] != b[:2]))
    for x, y, known in zip(a[2:], b[2:], ranks, strict=True):
        left, right = known.ranks(np.array([x]))[0], known.ranks(np.array([y]))[0]
        total += min(abs(float(left) - float(right)), 1.0)
    return total


def test_ranks(spark: SparkSession) -> None:
    rows = table(spark, [(None, x) for x in (1.0, 1.0, 2.0, 5.0, None)])
    prepared = prepare(rows, rows, rows)
    assert prepared.columns == Columns(("brand",), ("price",))
    (known,) = distributions(prepared.train, prepared.columns)
    found = known.ranks(np.array([0.0, 1.0, 1.5, 2.0, 5.0, 9.0, np.nan]))
    assert found.tolist() == [0.0, 0.25, 0.5, 0.625, 0.875, 1.0, MISSING_RANK]
    assert known.median() == 1.0


def test_partitions_do_not_matter(spark: SparkSession) -> None:
    tables = [people(spark, n, s) for n, s in ((150, 0), (60, 1), (90, 2))]
    tables = [t.unionByName(t.limit(5)) for t in tables]  # equal rows, too
    one, five = (privacy(*(t.repartition(n) for t in tables), seed=3) for n in (1, 5))
    assert one == five


def test_tables_with_next_to_nothing(spark: SparkSession) -> None:
    one = table(spark, [(None, None)])
    found = privacy(one, one, one)
    assert (found.exact_copy_share, found.dcr_train_share, found.membership_auc) == (1.0, 0.5, 0.5)
    assert (found.nndr_median_train, found.nndr_median_holdout) == (None, None)
    alone = privacy(one, one, None)  # left out of its own neighbours, the holdout's one row has none
    assert (alone.dcr_median_holdout, alone.dcr_train_share) == (None, None)
    with pytest.raises(SourceError, match="table holdout lacks the column 'price'"):
        privacy(one, one.drop("price"), one)


@pytest.mark.parametrize("column", ["brand", "price"])
def test_one_column_of_one_value(spark: SparkSession, column: str) -> None:
    same = table(spark, [("x", 7.0)] * 3).select(column)
    found = privacy(same, same, same)
    assert (found.exact_copy_share, found.nndr_median_train, found.membership_auc) == (1.0, 1.0, 0.5)
