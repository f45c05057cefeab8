"""Baskets of cold users: what ALS makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.coldstart import forms, newcomers, trials
from synthspark.coldstart.baskets import FORMS, MICROS_PER_DAY, RECENT, Asked, Form, Forms, baskets, baskets_by_history
from synthspark.coldstart.forms import best_form
from synthspark.coldstart.judge import trial_shop
from synthspark.coldstart.learn import Learned, Model
from synthspark.coldstart.newcomers import choose_forms
from synthspark.coldstart.shop import Shop, folded
from synthspark.config import Config, parse
from synthspark.recommend import AlsSettings, fit_als
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.runs.publication import Publication
from synthspark.runs.tables import ALS_SPACE
from synthspark.sides import ITEMS, USERS
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


TASTES = 3


def learned(shop: tuple[DataFrame, DataFrame]) -> Learned:
    """What a run knows of the shop: its users tell their taste, the judge's part is left out."""
    train, targets = shop
    taste = (F.col("user_index") % TASTES).alias("taste")
    warm = train.select("user_index").distinct().select("user_index", taste)
    evidence = SimpleNamespace(pairs=train, warm=lambda side: warm)
    models = {USERS.name: Model("nowhere", {})}
    return cast(Learned, SimpleNamespace(evidence=evidence, models=models, spaces={ALS_SPACE: {ITEMS: targets}}))


def knowing(shop: tuple[DataFrame, DataFrame], told: int) -> Callable[..., Asked]:
    """`cold_users` of a generator that gives everybody the mean of the items of his taste plus `told`."""
    liked = [asked(shop, taste).made.first()["vector"] for taste in range(TASTES)]

    def cold(_context: Context, staged: Publication, users: DataFrame, targets: DataFrame, train: DataFrame, *_: Any
             ) -> Asked:  # fmt: skip
        which = (F.col("taste") + told) % TASTES
        vector = reduce(
            lambda found, t: F.when(which == t, F.lit(liked[t])).otherwise(found), range(TASTES), F.lit(None)
        )
        own = train.join(users.select("user_index"), on="user_index", how="left_semi")
        return Asked(users.select("user_index", vector.alias("vector")), targets, train, own)

    return cold


@pytest.mark.parametrize("told", [0, 1], ids=["what they like", "what others like"])
def test_users_get_baskets_where_these_serve_warm_ones_better(
    spark: SparkSession, config: Config, shop: tuple[DataFrame, DataFrame], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, told: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(forms, "cold_users", knowing(shop, told))
    context = Context(spark, Lake(spark, str(tmp_path)), config, "r")
    nobody = spark.createDataFrame([(200, 0)], "user_index int, taste int")
    with context.lake.publication("r", "featurize") as staged:
        form, found = best_form(context, staged, learned(shop), nobody)
    assert len(found) == 1 + len(FORMS)
    if told == 0:
        assert form is not None and found[form.words()] > found[forms.NONE] + 0.3
    else:
        assert form is None and max(found.values()) == found[forms.NONE]


def test_held_users_keep_as_much_as_cold_ones_have(
    spark: SparkSession, config: Config, shop: tuple[DataFrame, DataFrame], tmp_path: Path
) -> None:
    context, known = Context(spark, Lake(spark, str(tmp_path)), config, "r"), learned(shop)
    few = spark.createDataFrame([(u, i, 0.7) for u in (200, 201) for i in (1, 2, 3)], known.evidence.pairs.schema)
    known.evidence.pairs = known.evidence.pairs.unionByName(few)
    cold = spark.createDataFrame([(u, 0) for u in range(200, 204)], "user_index int, taste int")
    held = known.evidence.warm(USERS).where("user_index < 60")
    with context.lake.publication("r", "featurize") as staged:
        split = forms._split(context, staged, known, held, cold)
        kept = split.train.where("user_index < 60").groupBy("user_index").count().toPandas()["count"]
        asked_of = split.test.groupBy("user_index").count().toPandas()
        others = split.train.where("user_index between 60 and 119").count()
    assert set(kept) == {3} and 18 <= len(kept) <= 42  # half of the cold have three, half nothing
    assert len(asked_of) == 60 and asked_of["count"].sum() + kept.sum() == 60 * 15 and others == 60 * 15


def test_many_cold_users_do_not_drown_what_is_real(
    spark: SparkSession, config: Config, shop: tuple[DataFrame, DataFrame], tmp_path: Path
) -> None:
    few = config.model_copy(update={"synthesize": config.synthesize.model_copy(update={"max_basket_share": 0.01})})
    context, everybody = Context(spark, Lake(spark, str(tmp_path)), few, "r"), asked(shop, 0)
    made = forms.bounded(context, learned(shop), everybody.made, FORMS)
    assert [form.size for form in made] == [1] * len(FORMS)  # 18 of 1,800 for 10 users
    assert baskets(context, everybody, made[0]).count() == 10
    least = few.synthesize.model_copy(update={"min_events": 3})
    context = replace(context, config=few.model_copy(update={"synthesize": least}))
    assert forms.bounded(context, learned(shop), everybody.made, FORMS)[0].size == 3


def test_few_pairs_are_tried_whole_and_of_many_enough_users(
    shop: tuple[DataFrame, DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, _ = shop  # 1,800 pairs of 120 users
    assert trials.asked_share(train) == 1.0
    for pairs, users, share in ((450, 10, 0.25), (450, 60, 0.5), (450, 500, 1.0), (1800, 10, 1.0)):
        monkeypatch.setattr(trials, "MAX_TRIAL_PAIRS", pairs)
        monkeypatch.setattr(trials, "MIN_TRIAL_USERS", users)
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
        monkeypatch.setattr(trials, "MAX_TRIAL_PAIRS", pairs)
        monkeypatch.setattr(trials, "MIN_TRIAL_USERS", 10)
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


SEASON = range(60, 70)
"""Items that are bought late only."""


def in_time(spark: SparkSession, late: range) -> DataFrame:
    """80 users who buy twenty of 60 items in 70 days, half of them then the season's; then 40 new ones with `late`."""
    rng = np.random.default_rng(0)
    usual = [(u, int(i), float(rng.uniform(0, 70))) for u in range(80) for i in rng.choice(60, 20, replace=False)]
    season = [(u, int(i), float(rng.uniform(71, 79))) for u in range(40) for i in rng.choice(SEASON, 5, replace=False)]
    new = [(u, int(i), float(rng.uniform(80, 90))) for u in range(100, 140) for i in rng.choice(late, 5, replace=False)]
    rows = [(u, i, 0.7, int(day * MICROS_PER_DAY)) for u, i, day in usual + season + new]
    pairs = spark.createDataFrame(rows, "user_index int, item_index int, rating float, since long")
    return pairs.withColumn("until", F.col("since"))


@pytest.mark.parametrize("late", [SEASON, range(60)], ids=["the season's", "the usual"])
@pytest.mark.parametrize("later", [True, False], ids=["time to come", "drawn"])
def test_new_users_get_what_is_bought_lately_where_that_serves_new_users(
    spark: SparkSession, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: range, later: bool
) -> None:
    pairs = in_time(spark, late)
    monkeypatch.setattr(newcomers, "best_form", lambda *_: (None, {forms.NONE: 0.5}))
    items = fit_als(pairs, AlsSettings(rank=4, iterations=4), 2).items.persist()
    known = cast(
        Learned, SimpleNamespace(evidence=SimpleNamespace(pairs=pairs, later=later), spaces={ALS_SPACE: {ITEMS: items}})
    )
    recent = config.model_copy(update={"synthesize": config.synthesize.model_copy(update={"recent_baskets": True})})
    context = Context(spark, Lake(spark, str(tmp_path)), recent, "r")
    cold = spark.createDataFrame([(u,) for u in (0, 200, 201)], "user_index int")
    with context.lake.publication("r", "featurize") as staged:
        chosen, tried = choose_forms(context, staged, known, cold)
        assert chosen.sparse is None
        if not later:
            assert chosen.cold is None and tried.keys() == {forms.NONE}
            return
        assert choose_forms(replace(context, config=config), staged, known, cold)[0].cold is None, "only if asked for"
        asked_in_time = [forms.NONE, RECENT.words()]
        assert tried.keys() == {
            forms.NONE,
            *(f"in time: {f}, {part}" for f in asked_in_time for part in ("cold", "warm")),
        }
        assert (chosen.cold is not None) == (late == SEASON)
        made = Asked(cold, items, pairs, pairs.where("user_index = 0").select("user_index", "item_index"))
        found = baskets_by_history(context, made, Forms(None, Form(20, None, 11)))
        assert found is not None
        basket = found.groupBy("user_index").agg(F.collect_set("item_index").alias("items")).collect()
        assert {r["user_index"] for r in basket} == {200, 201}, "who has bought something is no new user"
        assert all(len(r["items"]) == 7 and set(r["items"]) <= set(late) for r in basket), "a tenth of the items"
