"""Whom choices are tried on: a choice needs thousands of users, however many there are."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import uniform
from synthspark.runs.context import Context

HELD_BACK = 0.1
"""Share of the warm users that the generator of users does not learn from."""

TRIAL_PAIRS = 2_000_000
"""Pairs of user and item, about, that plain ALS is tried on; of more, whole users are drawn. With the virtual events of
a trial these stay below EXACT_EVENTS, up to which a trial's factors, and so its choice, are the same everywhere."""
TRIAL_USERS = 10_000
"""About so many users, at least, whatever they have bought."""


def asked_share(pairs: DataFrame) -> float:
    """The share of the users who take part in trials on `pairs` (`user_index`): 1 where these are few."""
    rows = pairs.count()
    if rows <= TRIAL_PAIRS:
        return 1.0
    users = pairs.select("user_index").distinct().count()
    return min(1.0, max(TRIAL_PAIRS / rows, TRIAL_USERS / users))


def of_share(share: float, seed: int) -> Column:
    """The condition that the user `user_index` is of a drawn share; who is of a small share is of a large one, too.

    Whole users are drawn, so that their activity does not change; items lose buyers in proportion.
    """
    return uniform(F.lit("tried users"), F.lit(seed), "user_index") < share


def held_back(context: Context) -> Column:
    """The condition that the user `user_index` is one of those on whom baskets are tried."""
    return uniform(F.lit("held back"), F.lit(context.config.seed), "user_index") < HELD_BACK
