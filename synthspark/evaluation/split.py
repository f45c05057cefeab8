"""The cold-item split: a fifth of the items loses every interaction, a fifth of the others is held out.

All draws are hashes of (seed, id): the split is the same whatever the partitions, and needs no shuffle.
"""

from __future__ import annotations

from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.errors import ContractError


class Split(NamedTuple):
    """Interactions by what they are for, and the items by what they are: all share `item_index`."""

    train: DataFrame
    validation: DataFrame
    """Held-out interactions of the cold validation items."""
    test: DataFrame
    """Held-out interactions, with `slice`: 'cold' or 'warm'."""
    items: DataFrame
    """`item_index`, `role`: 'warm', 'cold_validation' or 'cold_test'."""


def cold_item_split(pairs: DataFrame, items: DataFrame, cold_fraction: float, warm_holdout: float, seed: int) -> Split:
    """Split `pairs` (`user_index`, `item_index`, ...); `items`: `item_index`, every one of them in `pairs`.

    Raises ContractError if a cold item is left with a training row, or if a side is empty.
    """
    drawn = _uniform(seed, F.lit("item"), F.col("item_index"))
    role = F.when(drawn < cold_fraction / 2, "cold_test").when(drawn < cold_fraction, "cold_validation")
    roles = items.select("item_index", F.coalesce(role, F.lit("warm")).alias("role"))
    joined = pairs.join(roles, on="item_index", how="inner")
    held = _uniform(seed, F.lit("pair"), F.col("user_index"), F.col("item_index")) < warm_holdout
    warm = F.col("role") == "warm"
    train = joined.where(warm & ~held).drop("role")
    test = joined.where((warm & held) | (F.col("role") == "cold_test"))
    test = test.withColumn("slice", F.when(warm, "warm").otherwise("cold")).drop("role")
    validation = joined.where(F.col("role") == "cold_validation").drop("role")
    _check(train, test, roles)
    return Split(train, validation, test, roles)


def _uniform(seed: int, *parts: Column) -> Column:
    return F.pmod(F.xxhash64(F.lit(seed), *parts), F.lit(1 << 40)) / float(1 << 40)


def _check(train: DataFrame, test: DataFrame, roles: DataFrame) -> None:
    counts = {row["role"]: row["count"] for row in roles.groupBy("role").count().collect()}
    for role in ("warm", "cold_test"):
        if not counts.get(role):
            raise ContractError(
                f"cold-item split: no {role} item among {sum(counts.values())} eligible ones; lower "
                "features.min_item_users, raise evaluate.cold_fraction, or bring more events"
            )
    leaked = train.join(roles.where("role != 'warm'"), on="item_index", how="inner").take(1)
    if leaked:
        raise ContractError(f"cold-item split: cold item {leaked[0]['item_index']} has a training row")
    if not train.take(1) or not test.where("slice = 'cold'").take(1):
        raise ContractError("cold-item split: no training row, or no cold test row; bring more events")
