from __future__ import annotations

import math

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synthspark.errors import ContractError
from synthspark.evaluation.bootstrap import group_sums
from synthspark.evaluation.controls import duplicated_pairs, permuted_items, popularity_pairs
from synthspark.evaluation.ranking import metric_columns, user_metrics
from synthspark.evaluation.split import cold_item_split
from synthspark.pairing import random_pairs

pytestmark = pytest.mark.spark


def test_metrics_by_hand(spark: SparkSession) -> None:
    lists = spark.createDataFrame(
        [(1, 10, 1), (1, 11, 2), (1, 12, 3), (2, 10, 1), (2, 11, 2), (9, 10, 1)],
        "user_index int, item_index int, rank int",
    )
    truth = spark.createDataFrame([(1, 10), (1, 12), (2, 99), (3, 10)], "user_index int, item_index int")
    metrics = user_metrics(lists, truth, [2, 3])
    found = {r["user_index"]: r for r in metrics.collect()}
    assert set(found) == {1, 2, 3}  # user 9 has no truth; user 3 has no list and scores 0
    ideal = 1 + 1 / math.log2(3)
    assert found[1]["ndcg_2"] == pytest.approx(1 / ideal)
    assert found[1]["ndcg_3"] == pytest.approx((1 + 1 / 2) / ideal)
    assert (found[1]["recall_2"], found[1]["recall_3"], found[1]["hit_rate_2"]) == (0.5, 1.0, 1.0)
    assert all(found[u][c] == 0 for u in (2, 3) for c in metric_columns([2, 3]))
    sums = group_sums(metrics, metric_columns([2, 3]))
    assert sums.counts.sum() == 3
    assert sums.means()[metric_columns([2, 3]).index("recall_3")] == pytest.approx(1 / 3)


def test_the_split_leaves_cold_items_without_a_training_row(spark: SparkSession) -> None:
    pairs = spark.range(4000).selectExpr("cast(id % 50 as int) user_index", "cast(id / 50 as int) item_index")
    items = pairs.select("item_index").distinct()
    split = cold_item_split(pairs, items, 0.2, 0.2, seed=1)
    roles = {r["item_index"]: r["role"] for r in split.items.collect()}
    train = split.train.collect()
    test, validation = split.test.collect(), split.validation.collect()
    assert all(roles[r["item_index"]] == "warm" for r in train)
    assert {roles[r["item_index"]] for r in validation} == {"cold_validation"}
    assert {(r["slice"], roles[r["item_index"]]) for r in test} == {("cold", "cold_test"), ("warm", "warm")}
    assert len(train) + len(test) + len(validation) == 4000
    together = {(r["user_index"], r["item_index"]) for r in train} & {(r["user_index"], r["item_index"]) for r in test}
    assert together == set()
    held = sum(r["slice"] == "warm" for r in test) / (sum(r["slice"] == "warm" for r in test) + len(train))
    assert held == pytest.approx(0.2, abs=0.03)
    again = cold_item_split(pairs.repartition(5), items.repartition(3), 0.2, 0.2, seed=1)
    assert {r["item_index"]: r["role"] for r in again.items.collect()} == roles
    with pytest.raises(ContractError, match="cold-item split"):
        cold_item_split(pairs, items.where("item_index < 1"), 0.2, 0.2, seed=1)


def test_controls_have_the_volume_and_the_distribution_they_promise(spark: SparkSession) -> None:
    users = spark.range(100).select(F.col("id").cast("int").alias("user_index"))
    items = spark.range(50).select(F.col("id").cast("int").alias("item_index"))
    pairs = random_pairs(users, items, 1000, seed=0)
    assert 800 < pairs.count() <= 1050
    assert pairs.groupBy("item_index").count().agg(F.max("count")).collect()[0][0] < 45
    # Item i is bought by i users: what is popular is drawn more often.
    train = users.crossJoin(items).where("user_index < item_index")
    counts = {
        r["item_index"]: r["count"]
        for r in popularity_pairs(train, items, 1000, 0).groupBy("item_index").count().collect()
    }
    assert sum(counts.get(i, 0) for i in range(40, 50)) > 2 * sum(counts.get(i, 0) for i in range(10))


def test_duplicated_pairs_are_real_ones(spark: SparkSession) -> None:
    train = spark.range(2000).select((F.col("id") % 50).cast("int").alias("user_index"),
                                     F.floor(F.col("id") / 50).cast("int").alias("item_index"))  # fmt: skip
    found = duplicated_pairs(train, 300, seed=0)
    assert 240 < found.count() < 360
    assert found.join(train, on=["user_index", "item_index"], how="left_anti").count() == 0
    assert duplicated_pairs(train, 10**9, seed=0).count() == 2000


def test_permuted_items_keep_every_row_and_none_its_own(spark: SparkSession) -> None:
    items = spark.range(300).select(F.col("id").cast("int").alias("item_index"), (F.col("id") * 2).alias("code"))
    found = {r["item_index"]: r["code"] for r in permuted_items(items, seed=3).collect()}
    assert sorted(found) == list(range(300))
    assert sorted(found.values()) == [2 * i for i in range(300)]
    assert all(code != 2 * item for item, code in found.items())
    again = {r["item_index"]: r["code"] for r in permuted_items(items.repartition(7), seed=3).collect()}
    assert found == again
