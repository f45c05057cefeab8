"""Samples of users for trials: a choice needs thousands of users, however many the shop has."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import uniform
from synthspark.runs.context import Context

HELD_BACK = 0.1
"""Share of the warm users that the generator of users does not learn from."""

MAX_TRIAL_PAIRS = 2_000_000
"""Approximate maximum number of pairs of user and item that plain ALS is tried on; of more, whole users are drawn. With
the virtual events of a trial they stay below EXACT_EVENTS, up to which factors, and so choices, are the same
everywhere."""
MIN_TRIAL_USERS = 10_000
"""Approximate minimum number of users in a trial, however many pairs they have."""


def asked_share(pairs: DataFrame) -> float:
    """Return the share of users who take part in trials on `pairs` (`user_index`): 1 up to MAX_TRIAL_PAIRS pairs."""
    rows = pairs.count()
    if rows <= MAX_TRIAL_PAIRS:
        return 1.0
    users = pairs.select("user_index").distinct().count()
    return min(1.0, max(MAX_TRIAL_PAIRS / rows, MIN_TRIAL_USERS / users))


def of_share(share: float, seed: int) -> Column:
    """Return the condition that `user_index` is in a drawn share of users; smaller shares are subsets of larger ones.

    Whole users are drawn, so that their activity does not change; items lose buyers in proportion.
    """
    return uniform(F.lit("tried users"), F.lit(seed), "user_index") < share


def held_back(context: Context) -> Column:
    """Return the condition that `user_index` is held back, to try baskets on."""
    return uniform(F.lit("held back"), F.lit(context.config.seed), "user_index") < HELD_BACK
