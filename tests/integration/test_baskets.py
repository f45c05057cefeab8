"""Baskets of cold users: what ALS makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.coldstart import baskets as coldstart_baskets
from synthspark.coldstart import trials
from synthspark.coldstart.baskets import FORMS, Asked, Form, baskets, best_form
from synthspark.coldstart.judge import trial_shop
from synthspark.coldstart.shop import Shop, folded
from synthspark.config import Config, parse
from synthspark.recommend import AlsSettings, fit_als
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.sides import USERS
from synthspark.synthesis.generate import histories
from synthspark_models import summarised

pytestmark = pytest.mark.spark

WORDS = {
    "source": {"events": {"path": "none", "columns": {"user_id": "u", "item_id": "i"}, "event_type": "view"}},
    "recommend": {"rank": 4, "iterations": 4},
}


@pytest.fixture(scope="module")
def config() -> Config:
    return parse(WORDS)


@pytest.fixture(scope="module")
def shop(spark: SparkSession, config: Config) -> tuple[DataFrame, DataFrame]:
    """120 users of three tastes with half of their third of 90 items each; and ALS's factors of the items."""
    rng = np.random.default_rng(0)
    pairs = [(u, 3 * int(i) + u % 3, 0.7) for u in range(120) for i in rng.choice(30, 15, replace=False)]
    train = spark.createDataFrame(pairs, "user_index int, item_index int, rating float")
    return train, fit_als(train, AlsSettings(rank=4, iterations=4), 2).items.persist()


def asked(shop: tuple[DataFrame, DataFrame], taste: int) -> Asked:
    """Ten users nobody knows who like one third; the first of them already has item 0."""
    train, targets = shop
    liked = np.mean([r["vector"] for r in targets.where(f"item_index % 3 = {taste}").collect()], axis=0)
    place = (liked / (liked @ liked) * 0.5).tolist()
    spark = train.sparkSession
    made = spark.createDataFrame([(u, place) for u in range(200, 210)], "user_index int, vector array<float>")
    return Asked(made, targets, train, spark.createDataFrame([(200, 0)], "user_index int, item_index int"))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_baskets_follow_the_preference_and_leave_out_what_is_owned(
    spark: SparkSession, config: Config, shop: tuple[DataFrame, DataFrame], tmp_path: Path, form: Form
) -> None:
    context = Context(spark, Lake(spark, str(tmp_path)), config, "r")
    found = baskets(context, asked(shop, 0), form).collect()
    assert {r["user_index"] for r in found} == set(range(200, 210))
    assert len(found) == 90  # a tenth of the items, at most
    assert (200, 0) not in {(r["user_index"], r["item_index"]) for r in found}
    assert np.mean([r["item_index"] % 3 == 0 for r in found]) > 0.9
    assert {r["weight"] for r in found} == {config.synthesize.basket_weight}


def test_als_gives_back_what_the_best_form_tells_it(
    spark: SparkSession, config: Config, shop: tuple[DataFrame, DataFrame], tmp_path: Path
) -> None:
    lake = Lake(spark, str(tmp_path))
    context = Context(spark, lake, config, "r")
    with lake.publication("r", "featurize") as staged:
        form, shares = best_form(context, staged, asked(shop, 1))
    assert form is not None
    assert len(shares) == 1 + len(FORMS)
    assert all(0 < share <= 1.0001 for share in shares.values())
    # The most bought are of all tastes: a third of what could be.
    assert max(v for k, v in shares.items() if k != "most bought") > shares["most bought"] + 0.3


def test_of_a_large_shop_whole_users_are_tried_and_enough_of_the_cold(
    spark: SparkSession, config: Config, shop: tuple[DataFrame, DataFrame], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    everybody = asked(shop, 1)
    cold = spark.createDataFrame([(u, 0, 0.7) for u in range(200, 210)], everybody.train.schema)
    everybody = replace(everybody, train=everybody.train.unionByName(cold), own=cold.drop("rating"))
    context = Context(spark, Lake(spark, str(tmp_path)), config, "r")
    monkeypatch.setattr(trials, "TRIAL_PAIRS", 450)  # of 1,810
    monkeypatch.setattr(trials, "TRIAL_USERS", 10)
    seen: list[Asked] = []
    monkeypatch.setattr(coldstart_baskets, "baskets", lambda c, some, form: seen.append(some) or baskets(c, some, form))
    made = {}
    for least in (1, 6):
        monkeypatch.setattr(coldstart_baskets, "LEAST_ASKED", least)
        with context.lake.publication("r", "featurize") as staged:
            form, _ = best_form(context, staged, everybody)
            assert form is not None
            some = seen[-1]
            bought = {r["user_index"]: r["count"] for r in some.train.groupBy("user_index").count().collect()}
            made[least] = {r["user_index"] for r in some.made.collect()}
            assert 15 < sum(user < 200 for user in bought) < 45  # a quarter of 120
            assert {bought[user] for user in bought if user < 200} == {15}
            assert {u for u in bought if u >= 200} == made[least] == {r["user_index"] for r in some.own.collect()}
    assert made[1] < made[6] < set(range(200, 210))
    monkeypatch.setattr(coldstart_baskets, "TRIAL_USERS", 3)
    with context.lake.publication("r", "featurize") as staged:
        assert (
            coldstart_baskets._some(everybody, staged, 1.0, 0).made.count() < 8
        )  # of the cold never more than so many


def test_few_pairs_are_tried_whole_and_of_many_enough_users(
    shop: tuple[DataFrame, DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, _ = shop  # 1,800 pairs of 120 users
    assert trials.asked_share(train) == 1.0
    for pairs, users, share in ((450, 10, 0.25), (450, 60, 0.5), (450, 500, 1.0), (1800, 10, 1.0)):
        monkeypatch.setattr(trials, "TRIAL_PAIRS", pairs)
        monkeypatch.setattr(trials, "TRIAL_USERS", users)
        assert trials.asked_share(train) == share
    few, many = ({r["user_index"] for r in train.where(trials.of_share(s, 3)).collect()} for s in (0.2, 0.6))
    assert few < many
    assert few != {r["user_index"] for r in train.where(trials.of_share(0.2, 4)).collect()}


def test_of_a_large_shop_placing_is_tried_on_some_users_who_know_what_everybody_bought(
    spark: SparkSession, config: Config, shop: tuple[DataFrame, DataFrame], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    train, items = shop
    users = spark.range(120).select(F.col("id").cast("int").alias("user_index"), F.lit(15).alias("breadth"))
    whole = Shop(cast(Any, None), items, train.drop("since"), users, items)
    context = Context(spark, Lake(spark, str(tmp_path)), config, "r")
    fold = items.where(folded(context)).where(F.col("item_index") % 2 == 0)
    asked_of = {}
    for pairs in (100_000, 300):
        monkeypatch.setattr(trials, "TRIAL_PAIRS", pairs)
        monkeypatch.setattr(trials, "TRIAL_USERS", 10)
        with context.lake.publication("r", "train") as staged:
            (split, _), known = trial_shop(context, staged, whole, fold)
            tables = {"train": split.train, "test": split.test, "users": split.users, "known": known.users}
            asked_of[pairs] = {n: {r["user_index"] for r in t.collect()} for n, t in tables.items()}
            assert known.pairs.select("user_index").distinct().count() == 120
            assert known.pairs.join(fold, on="item_index", how="left_semi").count() == 0
    for tried in asked_of.values():
        assert tried["train"] == tried["known"] == tried["users"]
        assert tried["test"] <= tried["train"]
    assert asked_of[100_000]["users"] == set(range(120))
    assert 15 < len(asked_of[300]["users"]) < 45  # 300 of some 1,300 pairs


def test_a_history_is_what_the_network_was_trained_on(spark: SparkSession) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5, 3)).astype(np.float32)
    items = spark.createDataFrame([(i, v.tolist()) for i, v in enumerate(vectors)],
                                  "item_index int, vector array<float>")  # fmt: skip
    pairs = spark.createDataFrame([(7, 4), (7, 0), (8, 2), (9, 99)], "user_index int, item_index int")
    found = {r["user_index"]: r["history"] for r in histories(pairs.repartition(3), items, USERS).collect()}
    assert set(found) == {7, 8}  # nothing is known of item 99
    for user, met in ((7, [0, 4]), (8, [2])):
        known = summarised(torch.from_numpy(vectors[met])[None], torch.ones(1, len(met), dtype=torch.bool))
        assert found[user] == pytest.approx(known[0].tolist(), abs=1e-6)
