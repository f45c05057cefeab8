"""Choice of ALS's rank, regularization and alpha on real rows; the job and every arm of the proof use the result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import uniform
from synthspark.quantiles import quantiles
from synthspark.recommend.als import AlsSettings

RANKS = (32, 64, 128)
REGULARIZATIONS = (0.03, 0.1, 0.3)
ALPHAS = (1.0, 2.0, 4.0)
ORDER = ("rank", "alpha", "regularization")
"""Order in which the settings are tried, one at a time, with the best values of the others so far."""
TOLERANCE = 0.02
"""Maximum relative distance from the best at which settings count as equal: two starts of ALS differ by as much."""


def held_out(pairs: DataFrame, share: float, seed: int) -> tuple[DataFrame, DataFrame]:
    """Split `pairs` (`user_index`, `item_index`, `rating`, `since`) into training rows and rows to choose by.

    If there are times, the newest `share` is left out, since protocol time judges by it, and the `share` before that is
    used to choose by. Without times, or if many pairs are of one instant, a random `share` is.
    """
    drawn = uniform(F.lit("als"), F.lit(seed), "user_index", "item_index") < share
    cuts = quantiles(pairs, {"since": F.col("since")}, [1 - 2 * share, 1 - share])["since"]
    train, test = pairs.where(~drawn), pairs.where(drawn)
    if len(cuts) == 2 and cuts[0] < cuts[1]:
        dated = _between(pairs, None, cuts[0]), _between(pairs, cuts[0], cuts[1])
        counts = [part.count() for part in dated]
        if counts[1] > 0 and counts[0] >= counts[1]:
            train, test = dated
    return train.select("user_index", "item_index", "rating"), test.select("user_index", "item_index")


def neighbours_of(settings: AlsSettings, key: str) -> list[AlsSettings]:
    """Return `settings` with each other value tried of `key`: `rank`, `regularization` or `alpha`."""
    values: dict[str, Iterable[Any]] = {"rank": RANKS, "regularization": REGULARIZATIONS, "alpha": ALPHAS}
    own = getattr(settings, key)
    return [replace(settings, **{key: value}) for value in values[key] if not math.isclose(value, own)]


def smallest_good_settings(tried: Mapping[AlsSettings, float]) -> AlsSettings:
    """Return the settings of the smallest rank, then the largest alpha, among those within TOLERANCE of the best.

    A small rank is cheap. With a large alpha virtual events of low weight count less: for ALS any rating above 0 is a
    preference, and alpha x rating sets its confidence.
    """
    best = max(tried.values())
    near = [s for s, value in tried.items() if value >= (1 - TOLERANCE) * best]
    return min(near, key=lambda s: (s.rank, -s.alpha, -tried[s]))


def _between(pairs: DataFrame, first: float | None, last: float) -> DataFrame:
    since: Column = F.col("since")
    return pairs.where((since < last) if first is None else (since >= first) & (since < last))
