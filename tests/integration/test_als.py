"""ALS's factors do not depend on how its rows lie."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from pyspark.ml.recommendation import ALS
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.coldstart.spaces import als_blocks
from synthspark.recommend import REAL, AlsSettings, als, fit_als, with_virtual
from synthspark.recommend.als import EXACT_BLOCKS
from synthspark.runs.context import Context
from synthspark.runs.tables import EVENTS

pytestmark = pytest.mark.spark
# nearly singular, so that sums in another order show within ten iterations of so few rows (without the sort, they do)
SETTINGS = AlsSettings(rank=32, regularization=0.0001, alpha=40.0)


@pytest.fixture(scope="module")
def ratings(spark: SparkSession) -> DataFrame:
    def drawn(column: int, below: int) -> Column:
        return F.pmod(F.xxhash64(F.lit(column), "id"), F.lit(below)).cast("int")

    rows = spark.range(20_000).select(
        drawn(1, 400).alias("user_index"),
        drawn(2, 300).alias("item_index"),
        (drawn(3, 1000) / 250.0).cast("float").alias("rating"),
    )
    return rows.dropDuplicates(["user_index", "item_index"]).cache()


def factors(rows: DataFrame) -> list[list[tuple[int, list[float]]]]:
    return [sorted((r[0], list(r[1])) for r in side.collect()) for side in fit_als(rows, SETTINGS, EXACT_BLOCKS)]


def test_the_same_rows_in_another_order_give_the_same_bits(ratings: DataFrame) -> None:
    orders = [
        ratings.repartition(7, "rating"),
        *(ratings.repartition(1).sortWithinPartitions(F.xxhash64(F.lit(seed), *ratings.columns)) for seed in range(3)),
    ]
    first, *others = (factors(rows) for rows in orders)
    assert all(other == first for other in others)


@pytest.mark.parametrize(("blocks", "of_each"), [(EXACT_BLOCKS, (1, EXACT_BLOCKS)), (5, (5, 5))])
def test_exact_factors_have_one_block_of_users(
    ratings: DataFrame, monkeypatch: pytest.MonkeyPatch, blocks: int, of_each: tuple[int, int]
) -> None:
    """Several blocks of both sides are added up in an order that differs between Spark 3.5 and 4 (decisions/019)."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(als, "ALS", lambda **settings: asked.update(settings) or ALS(**settings))
    fit_als(ratings, AlsSettings(rank=2, iterations=1), blocks)
    assert (asked["numUserBlocks"], asked["numItemBlocks"]) == of_each


@pytest.mark.parametrize(("events", "blocks"), [(0, 2), (4_000_000, 2), (4_000_001, 9), (10**8, 40), (10**9, 127)])
def test_blocks_follow_the_events_alone(events: int, blocks: int) -> None:
    context = SimpleNamespace(rows=lambda stage, table: events if (stage, table) == ("clean", EVENTS) else 0)
    assert als_blocks(cast(Context, context)) == blocks


def test_who_has_virtual_events_only_does_not_change_the_start_of_the_others(ratings: DataFrame) -> None:
    """Their indices are among those of the others, who would get other first factors."""
    real = ratings.where("user_index % 10 != 0")
    strangers = ratings.where("user_index % 10 = 0").select("user_index", "item_index", F.lit(1e-6).alias("weight"))
    both, settings = with_virtual(real, strangers), AlsSettings(rank=8, iterations=1)

    def users(rows: DataFrame) -> dict[int, list[float]]:
        return {r["user_index"]: list(r["vector"]) for r in fit_als(rows, settings, EXACT_BLOCKS).users.collect()}

    alone, kept, moved = users(real), users(both), users(both.drop(REAL))
    assert kept.keys() == moved.keys() == set(range(400)) and len(alone) == 360
    change = {name: np.linalg.norm([np.subtract(of[u], alone[u]) for u in alone]) / np.linalg.norm(list(alone.values()))
              for name, of in (("kept", kept), ("moved", moved))}  # fmt: skip
    assert change["kept"] < 0.2 * change["moved"]
