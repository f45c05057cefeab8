"""Users' factors from items' factors that stand."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from synthspark.recommend import AlsSettings, fit_als
from synthspark.recommend.fold_in import folded_in

pytestmark = pytest.mark.spark
SETTINGS = AlsSettings(rank=4, regularization=0.05, alpha=3.0, iterations=3)


@pytest.fixture(scope="module")
def pairs(spark: SparkSession) -> DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (u, int(i), float(rng.uniform(0.2, 2))) for u in range(30) for i in rng.choice(20, 3 + u % 9, replace=False)
    ]
    return spark.createDataFrame(rows, "user_index int, item_index int, rating float").persist()


def vectors(users: DataFrame) -> dict[int, np.ndarray]:
    return {row["user_index"]: np.array(row["vector"]) for row in users.collect()}


def test_all_pairs_give_the_factors_that_als_has_fitted(pairs: DataFrame) -> None:
    factors = fit_als(pairs, SETTINGS, 2)
    fitted, found = vectors(factors.users), vectors(folded_in(pairs, factors.items, SETTINGS, 100))
    assert set(found) == set(fitted)
    assert max(np.abs(found[u] - fitted[u]).max() for u in fitted) < 1e-4
    again = vectors(folded_in(pairs.repartition(7), factors.items.repartition(5), SETTINGS, 100))
    assert all((again[u] == found[u]).all() for u in found)


def test_what_is_held_out_is_not_known_and_long_histories_are_cut(pairs: DataFrame) -> None:
    factors = fit_als(pairs, SETTINGS, 2)
    whole = vectors(folded_in(pairs, factors.items, SETTINGS, 100))
    some = vectors(folded_in(pairs.where("item_index < 10"), factors.items, SETTINGS, 100))
    assert set(some) < set(whole) or set(some) == set(whole)
    assert all(np.abs(some[u] - whole[u]).max() > 1e-3 for u in some)
    cut = vectors(folded_in(pairs, factors.items, SETTINGS, 2))
    assert set(cut) == set(whole) and any(np.abs(cut[u] - whole[u]).max() > 1e-3 for u in cut)
