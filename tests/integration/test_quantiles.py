"""Quantiles, and what is measured by them, are the same however the rows are partitioned."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark import quantiles
from synthspark.quantiles import median, quantiles_at
from synthspark.synthesis.events import Spread, event_mix

pytestmark = pytest.mark.spark

ROWS, RANKS = 20_000, [0.0, 0.001, 0.25, 0.5, 0.9, 1.0]


def numbers(spark: SparkSession) -> DataFrame:
    """An id, a heavy-tailed number, a third of which is null, and one of few values."""
    heavy = F.exp(F.pmod(F.xxhash64("id"), F.lit(1000)) / 100.0)
    return spark.range(ROWS).select("id", F.when(F.col("id") % 3 > 0, heavy).alias("x"), (F.col("id") % 5).alias("few"))


def test_small_tables_are_looked_at_as_a_whole(spark: SparkSession) -> None:
    frame = numbers(spark)
    found = quantiles.quantiles(frame, {"x": F.col("x"), "few": F.col("few")}, RANKS)
    x = [row["x"] for row in frame.where("x is not null").collect()]
    assert found["x"] == np.quantile(x, RANKS, method="inverted_cdf").tolist()
    assert found["few"] == [0, 0, 1, 2, 4, 4]
    assert median(frame, "few") == 2


def test_of_large_ones_the_same_rows_are_drawn_whatever_the_partitions(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantiles, "ROWS", 2000)
    frame = numbers(spark).cache()
    every = {"x": F.col("x"), "few": F.col("few")}
    found = [quantiles.quantiles(frame.repartition(n), every, RANKS) for n in (1, 2, 7)]
    assert found[0] == found[1] == found[2]
    whole = np.array([row["x"] for row in frame.where("x is not null").collect()])
    for rank, value in zip(RANKS[2:5], found[0]["x"][2:5], strict=True):
        assert (whole <= value).mean() == pytest.approx(rank, abs=0.05)
    shaken = frame.withColumn("x", F.col("x") * (1 + 1e-15))  # as a sum in another order would
    assert quantiles.quantiles(shaken, every, RANKS)["x"] == pytest.approx(found[0]["x"], rel=1e-12)


def test_a_column_with_few_values_is_looked_at_as_a_whole(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantiles, "ROWS", 1000)
    frame = numbers(spark).withColumn("rare", F.when(F.col("id") % 1000 == 7, F.col("id")))
    found = quantiles.quantiles(frame, {"x": F.col("x"), "rare": F.col("rare")}, RANKS)
    assert found["rare"] == [7, 7, 4007, 9007, 17007, 19007]


def test_rows_that_are_alike_do_not_depend_on_partitions_either(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantiles, "ROWS", 1000)
    price = F.pmod(F.xxhash64("id"), F.lit(997)) / 100
    frame = spark.range(ROWS).select((F.col("id") % 50).alias("user"), price.alias("price")).cache()
    found = [quantiles.quantiles(frame.repartition(n), {"price": F.col("price")}, RANKS) for n in (1, 2, 7)]
    assert found[0] == found[1] == found[2]


def test_a_rank_is_not_missed_by_the_last_bit_of_a_product() -> None:
    hundred = np.arange(1, 101)
    assert quantiles_at(hundred, [i / 100 for i in range(1, 101)]) == hundred.tolist()


def test_nothing_is_no_quantile(spark: SparkSession) -> None:
    frame = spark.range(5).withColumn("x", F.lit(None).cast("double"))
    assert quantiles.quantiles(frame, {"x": F.col("x")}, RANKS) == {"x": []}
    assert median(frame, "x") is None
    assert median(frame.limit(0), "id") is None
    assert quantiles_at(np.array([3.0]), RANKS) == [3.0] * len(RANKS)


def test_the_mix_of_events_does_not_depend_on_partitions(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantiles, "ROWS", 1000)
    at = F.timestamp_seconds(1_700_000_000 + F.pmod(F.xxhash64("id"), F.lit(5_000_000)))
    price = F.round(F.pmod(F.xxhash64("id"), F.lit(997)) / 100, 2)
    events = spark.range(ROWS).select(
        F.concat(F.lit("u"), F.col("id") % 100).alias("user_id"),
        F.concat(F.lit("i"), F.col("id") % 977).alias("item_id"),
        F.lit("purchase").alias("event_type"), at.alias("ts"), price.alias("price"), F.lit(1.0).alias("value"),
    )  # fmt: skip
    mixes = [event_mix(events.repartition(n)) for n in (1, 2, 7)]
    assert mixes[0] == mixes[1] == mixes[2]
    assert len(mixes[0].days) == 401
    assert [len(seconds) for seconds in mixes[0].seconds] == [49] * 7
    assert mixes[0].value == Spread((1.0,) * 100, (), ((1.0,) * 100,), 1.0)
    untimed = event_mix(events.withColumn("ts", F.lit(None).cast("timestamp")))
    assert untimed.days == untimed.seconds == ()
