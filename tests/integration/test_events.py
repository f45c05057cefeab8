"""Prices and values of synthetic events: about what is usual for the item, as far from it as real ones are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from synthspark.synthesis.events import EventMix, Spread, event_mix, synthetic_events

RNG = np.random.default_rng(0)
ROWS = 8000


@pytest.fixture(scope="module")
def mix(spark: SparkSession) -> EventMix:
    """Two items: quantities 1 to 9 times a base of 1 and of 10, prices 10 % around 50 and 2."""
    item = RNG.integers(0, 2, ROWS)
    real = pd.DataFrame({
        "user_id": [f"u{n}" for n in range(ROWS)],
        "item_id": np.where(item == 0, "few", "many"),
        "event_type": "purchase",
        "ts": pd.Timestamp("2024-01-01", tz="UTC"),
        "value": np.where(item == 0, 1.0, 10.0) * RNG.integers(1, 10, ROWS),
        "price": np.round(np.where(item == 0, 50.0, 2.0) * RNG.uniform(0.9, 1.1, ROWS), 2),
    })  # fmt: skip
    events = spark.createDataFrame(real)
    means = spark.createDataFrame([("few", 50.0, 5.0), ("many", 2.0, 50.0)], "item_id string, mean_price double, "
                                  "mean_value double")  # fmt: skip
    return event_mix(events, means)


def made(spark: SparkSession, mix: EventMix, levels: list[tuple[str, float | None, float | None]]) -> pd.DataFrame:
    users = pd.DataFrame({"user_id": [f"u{n}" for n in range(3000)], "origin": "new_user", "weight": 1.0})
    pairs = users.merge(pd.DataFrame({"item_id": [name for name, _, _ in levels]}), how="cross")
    of_items = spark.createDataFrame(levels, "item_id string, price double, value double")
    return synthetic_events(spark.createDataFrame(pairs), of_items, mix, 3).toPandas()


def test_events_lie_around_the_level_of_their_item_as_real_ones_do(spark: SparkSession, mix: EventMix) -> None:
    found = made(spark, mix, [("few", 50.0, 5.0), ("many", 2.0, 50.0), ("dear", 400.0, 5.0)]).set_index("item_id")
    for name, price, value in (("few", 50.0, 5.0), ("many", 2.0, 50.0), ("dear", 400.0, 5.0)):
        own = found.loc[name]
        assert own["value"].mean() == pytest.approx(value, rel=0.05)
        assert own["value"].std() == pytest.approx(value / 5 * np.std(range(1, 10)), rel=0.05)
        assert (own["value"] % 1 == 0).all()
        assert own["price"].mean() == pytest.approx(price, rel=0.02)
        assert (own["price"] * 100 - (own["price"] * 100).round()).abs().max() < 1e-6
    assert found.loc["few", "price"].std() == pytest.approx(50 * 0.2 / 12**0.5, rel=0.1)


def test_of_an_unknown_item_values_are_drawn_from_all_and_its_price_once(spark: SparkSession, mix: EventMix) -> None:
    unknown = [(f"new{n}", None, None) for n in range(40)]
    found = made(spark, mix, unknown)
    shares = found["value"].value_counts(normalize=True)
    assert shares[[1.0, 10.0, 90.0]].to_numpy() == pytest.approx([1 / 18, 1 / 18, 1 / 18], abs=0.01)
    prices = found.groupby("item_id")["price"]
    assert (prices.nunique() == 1).all()
    assert (prices.first() > 40).mean() == pytest.approx(0.5, abs=0.25)


def test_of_known_items_no_rating_leaves_the_scale(spark: SparkSession, mix: EventMix) -> None:
    ratings = replace(mix, value=Spread((1.0, 2.0, 3.0, 4.0, 5.0), (0.1, 1.0, 1.6), 1.0))
    found = made(spark, ratings, [("liked", None, 4.5)])
    assert set(found["value"]) == {1.0, 4.0, 5.0}


def test_a_shop_without_prices_has_none(spark: SparkSession, mix: EventMix) -> None:
    nothing = Spread((), (1.0,), None)
    found = made(spark, replace(mix, price=nothing, value=nothing), [("few", None, None)])
    assert found[["price", "value"]].isna().all(axis=None)
