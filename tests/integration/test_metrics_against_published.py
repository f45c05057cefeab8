"""Our NDCG, recall and hit rate against those of NIST's trec_eval (pytrec_eval: Van Gysel, de Rijke 2018).

trec_eval has no list of a user whom the run lacks; every user here has one, and test_evaluation has the other case.
"""

from __future__ import annotations

import random

import pytest
import pytrec_eval
from pyspark.sql import SparkSession

from synthspark.ranking.metrics import metric_columns, user_metrics

pytestmark = pytest.mark.spark

KS = (5, 10)
CATALOGUE = range(60)
MEASURES = {"ndcg": "ndcg_cut", "recall": "recall", "hit_rate": "success"}
"""Our name -> trec_eval's."""

Items = dict[int, list[int]]


def drawn(users: int, seed: int) -> tuple[Items, Items]:
    """A list (best first) and a truth per user; a fifth of the users has no hit at all."""
    rng = random.Random(seed)
    lists, truths = {}, {}
    for user in range(users):
        lists[user] = rng.sample(CATALOGUE, rng.randint(1, 20))
        others = [i for i in CATALOGUE if i not in lists[user]]
        truths[user] = rng.sample(others if user % 5 == 0 else CATALOGUE, rng.randint(1, 25))
    return lists, truths


def by_trec_eval(lists: Items, truths: Items) -> dict[int, dict[str, float]]:
    relevant = {str(u): {str(i): 1 for i in items} for u, items in truths.items()}
    run = {str(u): {str(i): float(-rank) for rank, i in enumerate(items)} for u, items in lists.items()}
    cuts = ",".join(map(str, KS))
    found = pytrec_eval.RelevanceEvaluator(relevant, {f"{m}.{cuts}" for m in MEASURES.values()}).evaluate(run)
    names = {f"{ours}_{k}": f"{theirs}_{k}" for ours, theirs in MEASURES.items() for k in KS}
    return {int(u): {ours: values[theirs] for ours, theirs in names.items()} for u, values in found.items()}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_metrics_of_every_user_are_those_of_trec_eval(spark: SparkSession, seed: int) -> None:
    lists, truths = drawn(200, seed)
    rows = [(u, i, rank) for u, items in lists.items() for rank, i in enumerate(items, start=1)]
    pairs = [(u, i) for u, items in truths.items() for i in items]
    metrics = user_metrics(
        spark.createDataFrame(rows, "user_index int, item_index int, rank int"),
        spark.createDataFrame(pairs, "user_index int, item_index int"),
        KS,
    )
    ours = {r["user_index"]: {name: r[name] for name in metric_columns(KS)} for r in metrics.collect()}
    theirs = by_trec_eval(lists, truths)
    assert set(ours) == set(theirs) == set(range(200))
    for user, values in theirs.items():
        assert ours[user] == pytest.approx(values, abs=1e-6), (lists[user], truths[user])


def test_the_users_drawn_have_every_case() -> None:
    lists, truths = drawn(200, 0)
    hits = {u: set(lists[u][:10]) & set(truths[u]) for u in lists}
    assert 0 < sum(not h for h in hits.values()) < 200
    assert any(len(t) > 10 for t in truths.values()) and any(len(t) < 5 for t in truths.values())
    assert any(len(items) < 5 for items in lists.values()) and any(len(items) > 10 for items in lists.values())
    short_with_hit = [u for u in lists if len(lists[u]) < 5 and hits[u] and len(truths[u]) > 10]
    assert short_with_hit  # the ideal list is longer than the list that was given
