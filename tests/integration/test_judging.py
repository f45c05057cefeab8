"""The judge on Spark: labelled pairs, rows per user, and merits that do not depend on partitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark import config as configuration
from synthspark.coldstart.judge import fit_judge
from synthspark.features.encoding import FIRST
from synthspark.judging import (
    SCORES,
    Judge,
    PairTable,
    TreeSettings,
    fit_trees,
    item_statistics,
    labelled_pairs,
    load_judge,
    pair_rows,
    pairs,
    save_judge,
    training_rows,
    with_merit,
)
from synthspark.judging.features import Bag
from synthspark.judging.neighbours import alike_pairs, neighbours
from synthspark.training import storage

pytestmark = pytest.mark.spark

USERS, ITEMS, BRANDS = 40, 90, 3
TABLE = PairTable(["brand"], [FIRST + BRANDS], ["price"], [])


@pytest.fixture(scope="module")
def world(spark: SparkSession) -> dict[str, DataFrame]:
    """User u buys what has brand u % BRANDS, and now and then something else; items from 60 on are the fold."""
    rng = np.random.default_rng(0)
    bought = [
        (u, i) for u in range(USERS) for i in range(ITEMS) if rng.random() < (0.5 if i % BRANDS == u % BRANDS else 0.03)
    ]
    pairs = spark.createDataFrame(bought, "user_index int, item_index int").persist()
    rows = [(i, FIRST + i % BRANDS, float(i % 7)) for i in range(ITEMS)]
    items = spark.createDataFrame(rows, "item_index int, brand int, price float").persist()
    made = [(i, [1.0, 0.0], [0.0, 1.0], 1.0) for i in range(ITEMS)]
    return {
        "pairs": pairs,
        "items": items,
        "fold": items.where("item_index >= 60").select("item_index"),
        "open": pairs.where("item_index < 60"),
        "made": spark.createDataFrame(
            made, "item_index int, vector array<float>, linear array<float>, log_activity float"
        ),
    }


def test_users_get_what_is_most_like_what_they_have(spark: SparkSession) -> None:
    near = spark.createDataFrame(
        [(100, 1, 0.9), (100, 2, 0.5), (101, 2, 0.6), (102, 3, 1.0)],
        "item_index int, neighbour int, similarity float",
    )
    pairs = spark.createDataFrame([(7, 1), (7, 2), (8, 2), (9, 3), (5, 3)], "user_index int, item_index int")
    users = spark.createDataFrame([(7, 1), (8, 5), (9, 0), (6, 5)], "user_index int, k int")
    found = {tuple(row) for row in alike_pairs(near, pairs, users, 0).collect()}
    assert found == {(7, 100), (8, 100), (8, 101)}  # .81 + .25 beats .36; of nobody more than asked, and none of user 5


def test_neighbours_by_words_are_those_that_share_them(spark: SparkSession) -> None:
    title = Bag(["w0", "w1"], np.array([0, 1, 2], np.float32), 3.0)
    table = PairTable([], [], [], [], [title])
    rows = [(0, 1, 2), (1, 1, 0), (2, 2, 0), (3, 0, 0), (4, 3 + 999_999, 0)]
    items = spark.createDataFrame(rows, "item_index int, w0 int, w1 int")
    cold = spark.createDataFrame([(10, 2, 1), (11, 3 + 999_999, 0), (12, 0, 0)], "item_index int, w0 int, w1 int")
    found = neighbours(cold, items, "item_index", table, item_statistics(items, items.limit(0), table)).collect()
    assert {(row["item_index"], row["neighbour"]) for row in found} == {(10, 0), (10, 1), (10, 2), (11, 4)}
    near = {(row["item_index"], row["neighbour"]): row["similarity"] for row in found}
    assert (
        near[10, 0] == pytest.approx(1) and near[10, 2] == pytest.approx(2 / 5**0.5) and near[11, 4] == pytest.approx(1)
    )


def test_labelled_pairs_are_the_folds_own_and_bounded(world: dict[str, DataFrame]) -> None:
    truth = {tuple(r) for r in world["pairs"].where("item_index >= 60").collect()}
    found = labelled_pairs(world["pairs"], world["fold"], negatives=2, max_pairs=10_000, seed=0).collect()
    positives = {(r.user_index, r.item_index) for r in found if r.label}
    negatives = {(r.user_index, r.item_index) for r in found if not r.label}
    assert positives == truth
    assert not negatives & truth
    assert all(i >= 60 for _, i in negatives)
    assert len(negatives) > len(truth)
    some = labelled_pairs(world["pairs"], world["fold"], negatives=2, max_pairs=300, seed=0).collect()
    assert 100 < len(some) < 330
    assert {(r.user_index, r.item_index) for r in some if r.label} < truth


def saved(judge: Judge, url: str) -> Callable[[], Judge]:
    meta = save_judge(judge, TABLE.to_json(), lambda name, data: storage.write(f"{url}/{name}", data))
    return partial(load_judge, url, meta["sha256"], storage.read)


def opinion(value: float) -> dict[str, Column]:
    """Scores that are the same for every pair."""
    return {name: F.lit(value).cast("float") for name in SCORES}


def gap(merits: dict[tuple[int, int], float]) -> np.floating:
    """Between what users have a taste for and what they have not."""
    liked = [m for (u, i), m in merits.items() if u % BRANDS == i % BRANDS]
    other = [m for (u, i), m in merits.items() if u % BRANDS != i % BRANDS]
    return np.mean(liked) - np.mean(other)


@pytest.mark.parametrize("model", ["trees", "network"])
def test_merits_know_taste_and_not_partitions(model: str, world: dict[str, DataFrame], tmp_path: Path) -> None:
    asked = labelled_pairs(world["pairs"], world["fold"], 3, 10_000, 0).withColumns(opinion(0.0))
    stats = item_statistics(world["items"].where("item_index < 60"), world["open"], TABLE)
    assert stats.num_items == 60
    rows = pair_rows(asked, world["made"], world["items"], world["open"], TABLE, 500)
    learned = training_rows(rows, TABLE, stats)
    assert len(learned.features) == asked.count()
    assert learned.labels.sum() == asked.where("label").count()
    config = configuration.Judge.model_validate({"model": model, "trees": 30, "epochs": 40, "hidden": 16})
    judge = fit_judge(config, learned, TABLE.feature_names, seed=1)
    assert judge is not None
    load = saved(judge, f"{tmp_path}/moderated")
    unlabelled = asked.drop("label")
    found = []
    for partitions in (1, 7):
        shuffled = pair_rows(unlabelled.repartition(partitions), world["made"], world["items"],
                             world["open"].repartition(partitions), TABLE, 500)  # fmt: skip
        merits = with_merit(shuffled.repartition(partitions), TABLE, stats, load).collect()
        found.append({(r.user_index, r.item_index): r.merit for r in merits})
    assert found[0] == found[1]
    alone = with_merit(shuffled, TABLE, stats, saved(replace(judge, prior=None), f"{tmp_path}/alone")).collect()
    own = gap({(r.user_index, r.item_index): r.merit for r in alone})
    assert own > 0.3
    assert 0.1 * own < gap(found[0]) < 0.3 * own  # of 30 items, and a regression that says the same of all


def test_a_user_shows_no_more_than_the_longest_history(world: dict[str, DataFrame]) -> None:
    asked = world["open"].limit(5).withColumns(opinion(1.0))
    rows = pair_rows(asked, world["made"], world["items"], world["open"], TABLE, max_history=4).collect()
    assert rows
    assert all(len(r.history) == 4 for r in rows)


def test_long_histories_and_many_candidates_do_not_change_what_is_seen(
    world: dict[str, DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history is thinned before it is gathered, and candidates are compared some at a time."""
    asked = labelled_pairs(world["pairs"], world["fold"], 3, 10_000, 0).withColumns(opinion(0.5))
    stats = item_statistics(world["items"], world["open"], TABLE)
    found, kept = [], []
    for long, margin, cells in ((4, 64, 1 << 23), (1, 5, 7)):
        for name, value in (("LONG", long), ("MARGIN", margin), ("MAX_CELLS", cells)):
            monkeypatch.setattr(pairs, name, value)
        order = F.xxhash64("item_index")
        kept.append(pairs.thinned(world["open"], order, 2).groupBy("user_index").count().toPandas()["count"].max())
        rows = pair_rows(asked, world["made"], world["items"], world["open"], TABLE, 2)
        assert {len(r.history) for r in rows.collect()} == {2}
        found.append(training_rows(rows, TABLE, stats))
    assert kept[1] < kept[0], "thinned"
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


def test_a_table_without_codes_is_judged_by_its_numbers(world: dict[str, DataFrame]) -> None:
    table = PairTable([], [], ["price"], [])
    asked = labelled_pairs(world["pairs"], world["fold"], 3, 10_000, 0).withColumns(opinion(0.0))
    stats = item_statistics(world["items"], world["open"], table)
    rows = pair_rows(asked, world["made"], world["items"], world["open"], table, 500)
    features, labels, items = training_rows(rows, table, stats)
    judge = fit_trees(features, labels, items, table.feature_names, TreeSettings(trees=5))
    assert judge is not None
    merits = with_merit(rows, table, stats, lambda: judge).collect()
    assert len(merits) == len(labels)
    assert all(0 < r.merit < 1 for r in merits)
