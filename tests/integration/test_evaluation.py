from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.coldstart.tuning import DRAWN, LATER, trial_split
from synthspark.errors import ContractError
from synthspark.proof.controls import blind_pairs, duplicated_pairs, permuted
from synthspark.proof.protocols import PROTOCOLS
from synthspark.ranking.bootstrap import group_sums
from synthspark.ranking.measures import measure, questions, rank_items
from synthspark.ranking.metrics import metric_columns, user_metrics
from synthspark.ranking.split import (
    ASIDE,
    COLD,
    COLD_ITEMS,
    SPARSE,
    WARM,
    Shares,
    Split,
    check_split,
    entity_split,
    of_users,
    time_split,
    truth,
)  # fmt: skip
from synthspark.retrieval import MIXED, MIXING

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
    sums = group_sums(metrics.withColumn("slice", F.lit("all")), metric_columns([2, 3]), "slice")["all"]
    assert sums.counts.sum() == 3
    assert sums.means()[metric_columns([2, 3]).index("recall_3")] == pytest.approx(1 / 3)


def shop(spark: SparkSession) -> tuple[DataFrame, DataFrame, DataFrame]:
    """80 users with 50 of 100 items each; only users of even number may become cold."""
    pairs = spark.range(8000).selectExpr("cast(id % 80 as int) user_index", "cast(id / 80 as int) item_index")
    pairs = pairs.where("(user_index + item_index) % 2 = 0").withColumn("rating", F.lit(1.0).cast("float"))
    users = pairs.select("user_index").distinct().withColumn("eligible", F.col("user_index") % 2 == 0)
    return pairs, users, pairs.select("item_index").distinct()


def rows(df: DataFrame) -> set[tuple[int, int]]:
    return {(r["user_index"], r["item_index"]) for r in df.collect()}


def checked(split: Split, name: str, shares: Shares) -> None:
    check_split(split, name, shares, PROTOCOLS[name].slices, PROTOCOLS[name].held_by)


def roles(df: DataFrame) -> dict[int, str]:
    return {r[0]: r["role"] for r in df.collect()}


@pytest.mark.parametrize(("protocol", "left"), [("cold_item", 0), ("cold_user", 0), ("cold_user", 3),
                                                ("cold_user_item", 0)])  # fmt: skip
def test_who_is_cold_has_no_training_row_but_those_left(spark: SparkSession, protocol: str, left: int) -> None:
    pairs, users, items = shop(spark)
    shares = Shares(0.3 if "item" in protocol else 0, 0.4 if "user" in protocol else 0, 0.2, left)
    split = entity_split(pairs, users, items, shares, "test", 1)
    checked(split, protocol, shares)
    user_role, item_role = roles(split.users), roles(split.items)
    assert {COLD, ASIDE, WARM} == set(user_role.values() if "user" in protocol else item_role.values())
    assert all(role == WARM for user, role in user_role.items() if user % 2)  # nobody who is not eligible
    train, test = rows(split.train), rows(split.test)
    assert not train & test
    by_user = Counter(u for u, _ in train)
    assert all(by_user[u] == (WARM != role) * left for u, role in user_role.items() if role != WARM)
    assert all(item_role[i] == WARM for _, i in train)
    assert all(ASIDE not in (user_role[u], item_role[i]) for u, i in test)
    both = {(u, i) for u, i in rows(pairs) if user_role[u] == item_role[i] == WARM}
    assert len(test & both) / len(both) == pytest.approx(0.2, abs=0.03)
    # Everything that is not of the other half is either trained on or asked.
    judged = {(u, i) for u, i in rows(pairs) if ASIDE not in (user_role[u], item_role[i])}
    assert judged - train == test
    cold = rows(truth(split, PROTOCOLS[protocol].slices["cold"]))
    assert cold == {
        (u, i) for u, i in test
        if (user_role[u] == COLD or "user" not in protocol) and (item_role[i] == COLD or "item" not in protocol)
    }  # fmt: skip
    again = entity_split(pairs.repartition(5), users.repartition(3), items, shares, "test", 1)
    assert (rows(again.train), rows(again.test)) == (train, test)


def test_validation_is_the_other_half(spark: SparkSession) -> None:
    test, validation = (entity_split(*shop(spark), Shares(items=0.3), part, 1)
                        for part in ("test", "validation"))  # fmt: skip
    swapped = {WARM: WARM, COLD: ASIDE, ASIDE: COLD}
    assert {i: swapped[role] for i, role in roles(test.items).items()} == roles(validation.items)
    assert rows(test.train) == rows(validation.train)


def test_at_most_so_many_users_are_asked_the_same_ones_whatever_the_partitions(spark: SparkSession) -> None:
    split = entity_split(*shop(spark), Shares(items=0.3), "test", 1)
    asked = rows(of_users(split, 20, 0))
    users = {u for u, _ in asked}
    assert len(users) == 20 and asked == {(u, i) for u, i in rows(split.test) if u in users}
    assert rows(of_users(split._replace(test=split.test.repartition(7)), 20, 0)) == asked
    assert {u for u, _ in rows(of_users(split, 20, 1))} != users
    assert rows(of_users(split, 10_000, 0)) == rows(split.test)


def test_bad_splits_raise(spark: SparkSession) -> None:
    pairs, users, items = shop(spark)
    for name, shares, bad, words in (
        (
            "cold_item",
            Shares(items=0.2),
            (users, items.where("item_index < 1")),
            "no (warm|cold) item among 1 eligible",
        ),
        ("cold_user", Shares(users=0.2), (users.withColumn("eligible", F.lit(False)), items), "no cold user among 80"),
    ):
        with pytest.raises(ContractError, match=f"{name} split: {words}"):
            checked(entity_split(pairs, *bad, shares, "test", 1), name, shares)
    with pytest.raises(ContractError, match="time split: no cold item"):
        checked(time_split(pairs, pairs, users, items, 5, 5), "time", Shares(items=1.0))
    split = entity_split(pairs, users, items, Shares(users=0.4, events_left=3), "test", 1)
    with pytest.raises(ContractError, match="cold_user split: cold user .* has 3 training rows"):
        checked(split, "cold_user", Shares(users=0.4, events_left=2))


def test_time_split_judges_what_is_new_only(spark: SparkSession) -> None:
    columns = "user_index int, item_index int, rating float"
    before = spark.createDataFrame([(0, 0, 1.0), (0, 1, 1.0), (1, 0, 1.0), (2, 0, 1.0)], columns)
    after = spark.createDataFrame([(0, 0, 1.0), (0, 2, 1.0), (3, 0, 1.0), (2, 1, 1.0)], columns)
    users = spark.createDataFrame([(u,) for u in range(4)], "user_index int")
    items = spark.createDataFrame([(i,) for i in range(3)], "item_index int")
    split = time_split(before, after, users, items, 2, 2)
    assert roles(split.users) == {0: WARM, 1: SPARSE, 2: SPARSE, 3: COLD}
    assert roles(split.items) == {0: WARM, 1: SPARSE, 2: COLD}
    assert rows(split.test) == {(0, 2), (3, 0), (2, 1)}  # (0, 0) is no news
    found = {name: rows(truth(split, asked)) for name, asked in PROTOCOLS["time"].slices.items()}
    assert found == {"cold": {(0, 2)}, "cold_user": {(3, 0)}, "warm": set(), "all": {(0, 2), (3, 0), (2, 1)}}


def test_ranking_by_roles_and_merging_gives_what_one_ranking_gives(spark: SparkSession) -> None:
    rng = np.random.default_rng(0)
    users, items = rng.standard_normal((6, 3)), rng.standard_normal((20, 3))
    known = {u: set(rng.choice(20, 4, replace=False).tolist()) for u in range(6)}
    asked = {u: {i for i in range(20) if (i + u) % 3 == 0} - known[u] for u in range(6)}
    pairs = "user_index int, item_index int"
    split = Split(
        spark.createDataFrame([(u, i) for u in known for i in known[u]], pairs),
        spark.createDataFrame([(u, int(i)) for u in asked for i in asked[u]], pairs),
        spark.createDataFrame([(u, WARM) for u in range(6)], "user_index int, role string"),
        spark.createDataFrame([(i, COLD if i < 8 else WARM if i < 20 else ASIDE) for i in range(23)],
                              "item_index int, role string"),
    )  # fmt: skip

    def vectors(table: np.ndarray, name: str, unknown: int) -> DataFrame:
        found = [(n, row.tolist()) for n, row in enumerate(table) if n != unknown]
        return spark.createDataFrame(found, f"{name} int, vector array<float>")

    lists = rank_items(split, vectors(users, "user_index", 5), vectors(items, "item_index", 3), 5).persist()
    assert {r["role"] for r in lists.select("role").distinct().collect()} == {COLD, WARM}, "what nobody asks for"
    results = measure(questions(split, COLD_ITEMS), lists, [5])
    items[3] = 0  # what ALS never saw scores 0
    popularity = Counter(i for seen in known.values() for i in seen)
    for name, candidates in {"cold": range(8), "warm": range(8, 20), "all": range(20)}.items():
        expected = []
        for u in range(6):
            relevant = asked[u] & set(candidates)
            if not relevant:
                continue
            score = {i: popularity[i] if u == 5 else users[u] @ items[i] for i in candidates if i not in known[u]}
            best = sorted(score, key=lambda i: (-score[i], (i ^ u * MIXING % MIXED) * MIXING % MIXED))[:5]
            gain = sum(1 / np.log2(n + 2) for n, i in enumerate(best) if i in relevant)
            expected.append(gain / sum(1 / np.log2(n + 2) for n in range(min(5, len(relevant)))))
        assert results[name].sums.means()[0] == pytest.approx(np.mean(expected))


def test_controls_have_the_volume_and_the_distribution_they_promise(spark: SparkSession) -> None:
    users = spark.range(100).select(F.col("id").cast("int").alias("user_index"))
    items = spark.range(50).select(F.col("id").cast("int").alias("item_index"))
    # Item i is bought by i users: what is popular is drawn more often.
    train = users.crossJoin(items).where("user_index < item_index")
    pairs = blind_pairs(users, items, train, 1000, "uniform", seed=0)
    assert 800 < pairs.count() <= 1050
    assert pairs.groupBy("item_index").count().agg(F.max("count")).collect()[0][0] < 45
    drawn = blind_pairs(users, items, train, 1000, "popularity", 0)
    counts = {r["item_index"]: r["count"] for r in drawn.groupBy("item_index").count().collect()}
    assert sum(counts.get(i, 0) for i in range(40, 50)) > 2 * sum(counts.get(i, 0) for i in range(10))
    shares = spark.createDataFrame([(0, 9.0), (1, 1.0)], "user_index int, share double")
    by_user = Counter(u for u, _ in rows(blind_pairs(shares, items, train, 40, "uniform", 0)))
    assert by_user[0] > 4 * by_user[1] > 0


def test_duplicated_pairs_are_real_ones(spark: SparkSession) -> None:
    train = spark.range(2000).select((F.col("id") % 50).cast("int").alias("user_index"),
                                     F.floor(F.col("id") / 50).cast("int").alias("item_index"))  # fmt: skip
    found = duplicated_pairs(train, 300, seed=0)
    assert 240 < found.count() < 360
    assert found.join(train, on=["user_index", "item_index"], how="left_anti").count() == 0
    assert duplicated_pairs(train, 10**9, seed=0).count() == 2000


def test_permuted_rows_keep_every_row_and_none_its_own(spark: SparkSession) -> None:
    items = spark.range(300).select(F.col("id").cast("int").alias("item_index"), (F.col("id") * 2).alias("code"))
    found = {r["item_index"]: r["code"] for r in permuted(items, "item_index", seed=3).collect()}
    assert sorted(found) == list(range(300))
    assert sorted(found.values()) == [2 * i for i in range(300)]
    assert all(code != 2 * item for item, code in found.items())
    again = {r["item_index"]: r["code"] for r in permuted(items.repartition(7), "item_index", seed=3).collect()}
    assert found == again


def test_a_trial_asks_what_would_be_asked_next(spark: SparkSession) -> None:
    columns = "user_index int, item_index int, rating float, since long"
    known = [(user, item, 1.0, 10 * user + item) for user in range(4) for item in range(5)]
    fold = spark.createDataFrame([(4,)], "item_index int")
    split, tests = trial_split(spark.createDataFrame(known, columns), fold, 0.5, 0)
    newest = {(u, i) for u, i, _, since in known if since >= 24}  # the 15th of 20
    later, drawn = rows(tests[LATER]), rows(tests[DRAWN])
    assert later == newest
    assert {(u, i) for u, i in drawn if i == 4} == {(u, 4) for u in range(4)} - newest  # what the fold sold before
    assert not drawn & later and rows(split.test) == drawn | later
    assert rows(split.train) == {(u, i) for u, i, _, _ in known if i != 4} - newest - drawn

    undated = spark.createDataFrame([(u, i, r, None) for u, i, r, _ in known], columns)
    drawn, tests = trial_split(undated, fold, 0.25, 0)
    asked = {(r.user_index, r.item_index) for r in drawn.test.collect()}
    assert list(tests) == [DRAWN] and rows(tests[DRAWN]) == asked
    assert {(u, 4) for u in range(4)} <= asked
    assert drawn.train.count() == len(known) - len(asked)
    bare = trial_split(undated.drop("since"), fold, 0.25, 0)
    assert rows(bare.split.test) == asked


def test_a_trial_draws_its_pairs_where_most_are_of_one_instant(spark: SparkSession) -> None:
    """A bulk import: a cut by time would hold out the import, or nothing."""
    columns = "user_index int, item_index int, rating float, since long"
    known = [(user, item, 1.0, 7) for user in range(20) for item in range(10)]
    fold = spark.createDataFrame([(9,)], "item_index int")
    undated = spark.createDataFrame(known, columns).drop("since")
    drawn = rows(trial_split(undated, fold, 0.25, 0).split.test)
    late = [(0, 0, 1.0, 9), (1, 9, 1.0, 9)]
    for dated in (known, [(u, i, r, 6 if (u, i) == (0, 0) else s) for u, i, r, s in known], [*known[1:], late[0]]):
        split, _ = trial_split(spark.createDataFrame(dated, columns), fold, 0.25, 0)
        assert rows(split.test) == drawn
        assert len(rows(split.train)) == len(known) - len(drawn) > 100


@pytest.mark.parametrize("new", [4, 3])
def test_a_trial_asks_about_cold_and_warm_items_or_draws_its_pairs(spark: SparkSession, new: int) -> None:
    """All new pairs of cold items, or all of warm ones: by time one of the two would not be asked about."""
    columns = "user_index int, item_index int, rating float, since long"
    known = [(user, item, 1.0, 9 if item == new else user) for user in range(4) for item in range(5)]
    fold = spark.createDataFrame([(4,)], "item_index int")
    asked = {item == 4 for _, item in rows(trial_split(spark.createDataFrame(known, columns), fold, 0.4, 0).split.test)}
    assert asked == {True, False}
