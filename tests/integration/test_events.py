"""Prices and values of synthetic events: about what is usual for the item, as far from it as real ones are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from synthspark.synthesis.events import EventMix, Spread, event_mix, synthetic_events

pytestmark = pytest.mark.spark
RNG = np.random.default_rng(0)
ROWS = 8000


def real(spark: SparkSession, items: list[str], values: np.ndarray, prices: np.ndarray) -> DataFrame:
    users = [f"u{n}" for n in range(len(items))]
    rows = pd.DataFrame({"user_id": users, "item_id": items, "value": values, "price": prices})
    return spark.createDataFrame(rows.assign(event_type="purchase", ts=pd.Timestamp("2024-01-01", tz="UTC")))


@pytest.fixture(scope="module")
def mix(spark: SparkSession) -> EventMix:
    """Two items: quantities 1 to 9 times a base of 1 and of 10, prices 10 % around 50 and 2."""
    few = RNG.integers(0, 2, ROWS) == 0
    values = np.where(few, 1.0, 10.0) * RNG.integers(1, 10, ROWS)
    prices = np.round(np.where(few, 50.0, 2.0) * RNG.uniform(0.9, 1.1, ROWS), 2)
    return event_mix(real(spark, np.where(few, "few", "many").tolist(), values, prices))


def made(spark: SparkSession, mix: EventMix, levels: list[tuple[str, float | None, float | None]]) -> pd.DataFrame:
    users = pd.DataFrame({"user_id": [f"u{n}" for n in range(3000)], "origin": "new_user", "weight": 1.0})
    pairs = users.merge(pd.DataFrame({"item_id": [name for name, _, _ in levels]}), how="cross")
    of_items = spark.createDataFrame(levels, "item_id string, price double, value double")
    return synthetic_events(spark.createDataFrame(pairs), of_items, mix, 3).toPandas()


def test_events_lie_around_the_level_of_their_item_as_real_ones_do(spark: SparkSession, mix: EventMix) -> None:
    levels: list[tuple[str, float | None, float | None]] = [
        ("few", 50.0, 5.0),
        ("many", 2.0, 50.0),
        ("dear", 400.0, 5.0),
    ]
    found = made(spark, mix, levels).set_index("item_id")
    for name, price, value in levels:
        own = found.loc[name]
        assert own["value"].mean() == pytest.approx(value, rel=0.03)
        assert own["value"].std() == pytest.approx(value / 5 * np.std(range(1, 10)), rel=0.05)
        assert (own["value"] % 1 == 0).all()
        assert own["price"].mean() == pytest.approx(price, rel=0.01)
        assert own["price"].std() == pytest.approx(price * 0.2 / 12**0.5, rel=0.05)
        assert (own["price"] * 100 - (own["price"] * 100).round()).abs().max() < 1e-6


def test_of_an_unknown_item_values_are_drawn_from_all_and_its_price_once(spark: SparkSession, mix: EventMix) -> None:
    found = made(spark, mix, [(f"new{n}", None, None) for n in range(40)])
    shares = found["value"].value_counts(normalize=True)
    assert shares[[1.0, 10.0, 90.0]].to_numpy() == pytest.approx([1 / 18, 1 / 18, 1 / 18], abs=0.01)
    prices = found.groupby("item_id")["price"]
    assert (prices.nunique() == 1).all()
    assert (prices.first() > 40).mean() == pytest.approx(0.5, abs=0.25)


def test_ratings_of_liked_and_of_disliked_items_keep_their_mean_and_the_scale(spark: SparkSession) -> None:
    chances = {"liked": [0, 0, 0.1, 0.2, 0.7], "mixed": [0.2] * 5, "disliked": [0.7, 0.2, 0.1, 0, 0]}
    items = RNG.choice(list(chances), ROWS)
    stars = np.array([RNG.choice([1.0, 2, 3, 4, 5], p=chances[item]) for item in items])
    ratings = event_mix(real(spark, items.tolist(), stars, np.full(ROWS, np.nan)))
    means = pd.Series(stars).groupby(items).mean()
    found = made(spark, ratings, [(item, None, float(mean)) for item, mean in means.items()])
    assert set(found["value"]) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert found["price"].isna().all()
    for item, own in found.groupby("item_id")["value"]:
        assert own.mean() == pytest.approx(means[item], abs=0.06)
        assert own.std() == pytest.approx(stars[items == item].std(), rel=0.1)


def test_free_items_stay_free_and_values_can_be_zero_where_real_ones_are(spark: SparkSession) -> None:
    items, free = np.array(["free", "paid"] * 2000), np.array([0.0, 3.0] * 2000)
    found = made(spark, event_mix(real(spark, items.tolist(), free, free)), [("free", 0.0, 0.0), ("new", None, None)])
    assert (found.loc[found["item_id"] == "free", ["price", "value"]] == 0).all(axis=None)
    assert set(found.loc[found["item_id"] == "new", "value"]) == {0.0, 3.0}


def test_items_of_few_events_do_not_tell_how_far_events_are_from_the_mean(spark: SparkSession) -> None:
    mix = event_mix(real(spark, [f"i{n}" for n in range(200)], np.arange(200.0), np.arange(200.0)))
    assert (mix.value.levels, mix.value.ratios) == ((), ((1.0,),))


def test_a_shop_without_prices_has_none(spark: SparkSession, mix: EventMix) -> None:
    nothing = Spread((), (), ((1.0,),), None)
    found = made(spark, replace(mix, price=nothing, value=nothing), [("few", None, None)])
    assert found[["price", "value"]].isna().all(axis=None)
