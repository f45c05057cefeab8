from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import synthspark.retrieval as retrieval
from synthspark.coldstart.placing import num_candidates, place_by_forecast, place_by_user, propose
from synthspark.indexing import with_index
from synthspark.retrieval import Draw, top_k

pytestmark = pytest.mark.spark

SPARSE = "query_index int, vector array<float>, k int, exclude array<int>"


def frames(spark: SparkSession, queries: np.ndarray, targets: np.ndarray, k: int) -> tuple[DataFrame, DataFrame]:
    asked = [(i, q.tolist(), k, [i, i + 1] if i % 2 else None) for i, q in enumerate(queries)]
    known = [(j, t.tolist()) for j, t in enumerate(targets)]
    return spark.createDataFrame(asked, SPARSE), spark.createDataFrame(known, "target_index int, vector array<float>")


def tie(query: int, target: int) -> int:
    own = query * retrieval.MIXING % retrieval.MIXED
    return (target ^ own) * retrieval.MIXING % retrieval.MIXED


def test_blocks_give_what_one_matrix_product_gives(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "QUERY_BLOCK", 5)
    monkeypatch.setattr(retrieval, "TARGET_BLOCK", 7)
    rng = np.random.default_rng(0)
    queries, targets = rng.integers(-3, 4, (12, 3)).astype(float), rng.integers(-3, 4, (30, 3)).astype(float)
    asked, known = frames(spark, queries, targets, 6)
    found = top_k(asked.repartition(3), known.repartition(4)).orderBy("query_index", "rank").collect()
    scores = queries @ targets.T
    for i in range(12):
        mine = [r for r in found if r.query_index == i]
        hidden = {i, i + 1} if i % 2 else set()
        wanted = sorted((j for j in range(30) if j not in hidden), key=lambda j: (-scores[i, j], tie(i, j)))[:6]
        assert [r.target_index for r in mine] == wanted
        assert [r.rank for r in mine] == [1, 2, 3, 4, 5, 6]
        assert [r.score for r in mine] == pytest.approx([scores[i, j] for j in wanted])


def test_what_leaves_a_worker_is_the_best_of_all_the_blocks_that_it_has_seen() -> None:
    rng = np.random.default_rng(0)
    queries, targets, k = rng.standard_normal((9, 3)), rng.standard_normal((60, 3)), np.arange(9) % 5
    vector = pa.list_(pa.float32())
    fields = [("query_index", pa.int32()), ("vector", vector), ("k", pa.int32()), ("exclude", pa.list_(pa.int32()))]
    blocks = []
    for half in (range(5), range(5, 9)):
        asked = [{"query_index": q, "vector": queries[q], "k": int(k[q]), "exclude": None} for q in half]
        for first in range(0, 60, 20):
            known = [{"target_index": t, "vector": targets[t]} for t in range(first, first + 20)]
            blocks.append({"q": asked, "t": known})
    schema = pa.schema([("q", pa.list_(pa.struct(fields))),
                        ("t", pa.list_(pa.struct([("target_index", pa.int32()), ("vector", vector)])))])  # fmt: skip
    batches = [pa.RecordBatch.from_pylist(blocks[i : i + 2], schema) for i in range(0, 6, 2)]
    found = list(retrieval._score_blocks(batches, None, retrieval.inner_products))
    assert len(found) == 2
    rows = pa.Table.from_batches(found).to_pylist()
    best = np.argsort(-(queries @ targets.T), axis=1)
    assert sorted((r["query_index"], r["target_index"]) for r in rows) == sorted(
        (q, t) for q in range(9) for t in best[q, : k[q]]
    )


def test_fewer_targets_than_asked_for_and_none_asked(spark: SparkSession) -> None:
    asked, known = frames(spark, np.ones((2, 2)), np.ones((3, 2)), 10)
    found = [(r.query_index, r.target_index) for r in top_k(asked, known).collect()]
    assert sorted(found) == [(0, 0), (0, 1), (0, 2), (1, 0)]
    none, known = frames(spark, np.ones((2, 2)), np.ones((3, 2)), 0)
    assert top_k(none, known).count() == 0


def test_draws_follow_the_scores_and_do_not_depend_on_partitions(spark: SparkSession) -> None:
    share = np.array([0.5, 0.3, 0.15, 0.05])
    asked, known = frames(spark, np.ones((4000, 1)), share[:, None], 1)
    asked = asked.selectExpr("query_index", "vector", "k", "cast(null as array<int>) as exclude")
    first = top_k(asked, known, draw=Draw(3)).toPandas().sort_values("query_index")
    counts = first["target_index"].value_counts(normalize=True).sort_index().to_numpy()
    assert counts == pytest.approx(share, abs=0.05)
    again = top_k(asked.repartition(5), known.repartition(3), draw=Draw(3)).toPandas().sort_values("query_index")
    assert (first["target_index"].to_numpy() == again["target_index"].to_numpy()).all()
    other = top_k(asked, known, draw=Draw(4)).toPandas().sort_values("query_index")
    assert (first["target_index"].to_numpy() != other["target_index"].to_numpy()).any()


def test_indices_are_dense_and_the_same_whatever_the_partitions(spark: SparkSession) -> None:
    ids = spark.createDataFrame([(f"ä{i}",) for i in range(500)], "id string")
    first = {r.id: r.n for r in with_index(ids, "id", "n").collect()}
    assert sorted(first.values()) == list(range(500))
    assert first == {r.id: r.n for r in with_index(ids.repartition(7), "id", "n").collect()}


def test_placing_follows_activity_and_leaves_no_item_alone(spark: SparkSession) -> None:
    users = spark.createDataFrame(
        [(0, [5.0, 0.0], 30), (1, [0.0, 1.0], 10), (2, [1.0, 1.0], 1)],
        "user_index int, vector array<float>, breadth int",
    )
    items = spark.createDataFrame(
        [(10, [1.0, 0.0]), (11, [0.9, 0.1]), (12, [0.8, 0.0]), (13, [0.0, 1.0]), (14, [-1.0, -0.1])],
        "item_index int, vector array<float>",
    )
    proposed = propose(users.withColumn("k", num_candidates(0.1, per_event=1.0, least=1)), items, min_users=1)
    placed = place_by_user(proposed.withColumnRenamed("score", "merit"), users, 0.1, 1, 0)
    pairs = {(r.user_index, r.item_index) for r in placed.collect()}
    assert {(0, 10), (0, 11), (0, 12), (1, 13)} <= pairs
    # Nobody likes item 14; user 1 dislikes it least. Raw scores would say so too, but for the loudest user.
    assert {p for p in pairs if p[1] == 14} == {(1, 14)}
    assert len(pairs - {(2, 10)}) == 5, "one item of user 2 is a tenth of an event: he has it by one chance in ten"


def test_a_part_of_an_event_is_drawn_and_items_that_are_alike_share_the_users(spark: SparkSession) -> None:
    users = spark.range(2000).select(
        F.col("id").cast("int").alias("user_index"), F.array(F.lit(1.0), F.col("id") / 1e6).alias("vector"),
        F.lit(5).alias("breadth"),
    )  # fmt: skip
    same = F.array(F.lit(1.0), F.lit(0.0)).alias("vector")
    items = spark.range(50).select(F.col("id").cast("int").alias("item_index"), same)
    sizes = {}
    for budget in (0.02, 0.1):
        proposed = propose(users.withColumn("k", num_candidates(budget, per_event=1.0, least=1)), items, min_users=2)
        placed = place_by_user(proposed.withColumnRenamed("score", "merit"), users, budget, 2, 0).toPandas()
        sizes[budget] = len(placed)
        by_item = placed.groupby("item_index").size()
        assert len(by_item) == 50 and by_item.max() < 4 * by_item.mean()
        assert placed.groupby("user_index").size().max() <= 3, "nobody is the audience of all of them"
    assert 150 < sizes[0.02] < 260 and 900 < sizes[0.1] < 1120  # 2,000 users of 5 items each


def test_items_get_what_they_will_sell_and_no_user_more_than_his_share(spark: SparkSession) -> None:
    """Everybody likes item 0 best, and the first users, who are the heaviest buyers, are liked best by every item."""
    users = spark.range(100).select(F.col("id").cast("int").alias("user_index"), F.lit(20).alias("breadth"))
    merit = F.lit(0.9) - F.col("item_index") * 0.01 - F.col("user_index") * 0.001
    items = spark.range(10).select(F.col("id").cast("int").alias("item_index"))
    pairs = users.select("user_index").crossJoin(items).withColumn("merit", merit)
    forecast = items.withColumn("expected", F.when(F.col("item_index") == 0, 110).otherwise(10).cast("long"))

    def placed(slack: float, rows: DataFrame = pairs) -> pd.DataFrame:
        found = place_by_forecast(rows, users, forecast, 0.1, slack, 1, 0).toPandas()
        return found.sort_values(["user_index", "item_index"], ignore_index=True)

    fair, double = placed(1.0), placed(2.0)
    for found, most in ((fair, 2), (double, 4)):
        by_item = found.groupby("item_index").size()
        assert len(by_item) == 10 and by_item[0] == 100 and by_item[1:].max() <= 10  # 110 and 10 of 200 are wanted
        lonely = by_item.index[by_item == 1]
        taken = found[~found["item_index"].isin(lonely)]
        assert taken.groupby("user_index").size().max() <= most
    assert len(double) > len(fair)
    assert double.groupby("user_index").size()[:10].sum() > fair.groupby("user_index").size()[:10].sum()
    pd.testing.assert_frame_equal(fair, placed(1.0, pairs.repartition(7, "merit")))


def test_an_item_that_nobody_takes_has_somebody_all_the_same(spark: SparkSession) -> None:
    users = spark.createDataFrame([(0, 10), (1, 10)], "user_index int, breadth int")
    pairs = spark.createDataFrame(
        [(0, 10, 0.9), (1, 10, 0.8), (0, 11, 0.2), (1, 11, 0.1)], "user_index int, item_index int, merit double"
    )
    forecast = spark.createDataFrame([(10, 100), (11, 1)], "item_index int, expected long")
    found = place_by_forecast(pairs, users, forecast, 0.1, 1.0, 1, 0)
    assert {(r.user_index, r.item_index) for r in found.collect()} == {(0, 10), (1, 10), (0, 11)}


def test_a_catalogue_of_dead_products_gets_no_more_events_than_the_budget_holds_twice(spark: SparkSession) -> None:
    users = spark.range(50).select(F.col("id").cast("int").alias("user_index"), F.lit(10).alias("breadth"))
    items = spark.range(1000).select(F.col("id").cast("int").alias("item_index"))
    user = (F.col("item_index") % 50).alias("user_index")
    pairs = items.select(user, "item_index", (1 - F.col("item_index") / 1000).alias("merit"))
    forecast = items.withColumn("expected", F.lit(1).cast("long"))
    for found in (place_by_user(pairs, users, 0.1, 1, 0), place_by_forecast(pairs, users, forecast, 0.1, 1.0, 1, 0)):
        placed = found.toPandas()
        assert len(placed) == 100, "50 in proportion to the users' activity, and as many again"
        assert sorted(placed["item_index"]) == list(range(100)), "those of the highest merit"
        assert set(placed["user_index"]) == set(range(50))
    alike = pairs.withColumn("merit", F.lit(0.5))
    assert place_by_user(alike, users, 0.1, 1, 0).count() == 100, "of equal merit a drawn part"
    assert place_by_user(pairs, users, 0.1, 1, 0, every=True).count() == 1000


def test_a_draw_stands_for_the_whole_preference(spark: SparkSession) -> None:
    """Of targets that score alike nearly the expected number is drawn, and none that scores 0 while others do not."""
    score = np.repeat([0.0, 0.2, 0.6], 100)
    asked, known = frames(spark, np.ones((50, 1)), score[:, None], 40)
    asked = asked.selectExpr("query_index", "vector", "k", "cast(null as array<int>) as exclude")
    # 40 of 100 at .2 and 100 at .6 without replacement: about 29 of the latter, give or take 2.6 if independent.
    for sharpness, expected in ((1.0, 29), (3.0, 38.2)):
        found = top_k(asked, known, Draw(1, sharpness)).toPandas()
        likely = found[found["target_index"] >= 200].groupby("query_index").size()
        assert likely.mean() == pytest.approx(expected, abs=1.5)
        assert likely.std() < 1.5
        assert (found["target_index"] >= 100).all()
