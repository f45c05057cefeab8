from __future__ import annotations

import numpy as np

from synthspark.ranking.bootstrap import GroupSums
from synthspark.ranking.measures import SliceResult
from synthspark.ranking.metrics import metric_columns
from synthspark.search.gate import CLICKED, PLAIN, SERVED, decided

KS = [20]


def of(value: float) -> SliceResult:
    """A hundred queries that are all served so well."""
    columns = len(metric_columns(KS))
    return SliceResult(GroupSums(np.full((100, columns), value), np.ones(100)), {20: 0.5})


def found(cold: tuple[float, float, float], warm: tuple[float, float], unseen: tuple[float, float]) -> dict[str, list]:
    """New items by BM25, real clicks and the product; known ones by the last two; new queries by the first and last."""
    items = {
        PLAIN: {"cold_in_all": of(cold[0])},
        CLICKED: {"cold_in_all": of(cold[1]), "warm_in_all": of(warm[0])},
        SERVED: {"cold_in_all": of(cold[2]), "warm_in_all": of(warm[1])},
    }
    return {"search_cold_item": [items],
            "search_cold_query": [{PLAIN: {"unseen": of(unseen[0])}, SERVED: {"unseen": of(unseen[1])}}]}  # fmt: skip


def test_what_helps_and_hides_nothing_ships() -> None:
    verdict = decided(found((0.4, 0.3, 0.5), (0.3, 0.299), (0.3, 0.31)), KS, 100, 0)
    assert verdict.ship and verdict.why.startswith("ship: new items among all, against BM25: NDCG@20 0.4000 -> 0.5000")


def test_one_rule_that_fails_forbids_and_is_named() -> None:
    cases = {
        "against BM25": found((0.5, 0.3, 0.5), (0.3, 0.3), (0.3, 0.3)),
        "against real clicks": found((0.4, 0.6, 0.5), (0.3, 0.3), (0.3, 0.3)),
        "known items among all": found((0.4, 0.3, 0.5), (0.3, 0.296), (0.3, 0.3)),
        "never typed before": found((0.4, 0.3, 0.5), (0.3, 0.3), (0.3, 0.296)),
    }
    for words, results in cases.items():
        verdict = decided(results, KS, 100, 0)
        assert not verdict.ship and words in verdict.why and verdict.why.count("NDCG") == 1, words


def test_what_was_not_judged_does_not_ship() -> None:
    assert not decided({}, KS, 100, 0).ship
    lacking = found((0.4, 0.3, 0.5), (0.3, 0.3), (0.3, 0.3))
    del lacking["search_cold_query"]
    assert decided(lacking, KS, 100, 0).ship
