"""Splits: training rows, held-out rows, and roles of users and items. Leakage raises an error.

All draws are hashes of (seed, id): a split is the same for any partitioning, and needs no shuffle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synthspark.errors import ContractError
from synthspark.indexing import uniform

WARM, COLD, ASIDE, SPARSE = "warm", "cold", "aside", "sparse"
"""Roles. cold: judged, with no training rows or only `events_left`; aside: like cold, but in the half that is not
judged now; sparse (time split only): with too few training rows to be warm."""
PAIR = ("user_index", "item_index")


class Slice(NamedTuple):
    """Roles of the users who are asked and of the items asked about. Each protocol has *cold*, *warm* and *all*."""

    users: tuple[str, ...]
    items: tuple[str, ...]
    among: tuple[str, ...] = ()
    """Roles of the items that are ranked, if more than `items`."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """Roles of the items that are ranked."""
        return self.among or self.items


ANYBODY = (WARM, SPARSE, COLD)
COLD_ITEMS = {
    "cold": Slice((WARM,), (COLD,)),
    "warm": Slice((WARM,), (WARM,)),
    "all": Slice((WARM,), (WARM, COLD)),
}
"""Slices of protocols that hold items out."""


class Split(NamedTuple):
    """Training and held-out interactions, and the role of every user and item."""

    train: DataFrame
    """`user_index`, `item_index`, `rating`, and `since` and `until` if they are known."""
    test: DataFrame
    """`user_index`, `item_index`: the held-out interactions that are judged."""
    users: DataFrame
    """`user_index`, `role`."""
    items: DataFrame
    """`item_index`, `role`."""


@dataclass(frozen=True)
class Shares:
    """Shares of a split that are drawn."""

    items: float = 0.0
    """Share of the items that lose every interaction: half are judged, half stay aside (validation and test)."""
    users: float = 0.0
    """Share of the eligible users that become cold; half are judged, half stay aside."""
    holdout: float = 0.2
    """Share of the warm interactions that is held out."""
    events_left: int = 0
    """Number of interactions that a cold user keeps."""


def entity_split(pairs: DataFrame, users: DataFrame, items: DataFrame, shares: Shares, part: str, seed: int) -> Split:
    """Split `pairs` (`user_index`, `item_index`, and what training rows keep) by drawing cold users and items.

    users: `user_index`, `eligible` (may become cold); items: `item_index`; each with at least one interaction; part:
    half that is judged, 'test' or 'validation'.
    """
    may = F.col("eligible") & F.lit(shares.users > 0)
    cold_user = F.when(may, _half(seed, "user", "user_index", shares.users, part))
    user_roles = users.select("user_index", F.coalesce(cold_user, F.lit(WARM)).alias("user_role"))
    cold_item = F.when(F.lit(shares.items > 0), _half(seed, "item", "item_index", shares.items, part))
    item_roles = items.select("item_index", F.coalesce(cold_item, F.lit(WARM)).alias("item_role"))
    known = pairs.join(user_roles, on="user_index", how="inner").join(item_roles, on="item_index", how="inner")
    place = F.row_number().over(Window.partitionBy("user_index").orderBy(_draw(seed, "left", *PAIR), "item_index"))
    among = F.when((F.col("user_role") != WARM) & (F.col("item_role") == WARM), place)
    left = F.coalesce(among <= shares.events_left, F.lit(False)) if shares.events_left else F.lit(False)
    held = _draw(seed, "pair", *PAIR) < shares.holdout
    warm = (F.col("user_role") == WARM) & (F.col("item_role") == WARM)
    marked = known.withColumn("_train", (warm & ~held) | left)
    roles = [user_roles.withColumnRenamed("user_role", "role"), item_roles.withColumnRenamed("item_role", "role")]
    judged = ~F.col("_train") & (F.col("user_role") != ASIDE) & (F.col("item_role") != ASIDE)
    return Split(marked.where("_train").select(pairs.columns), marked.where(judged).select(*PAIR), *roles)


def time_split(
    before: DataFrame, after: DataFrame, users: DataFrame, items: DataFrame, min_items: int, min_users: int
) -> Split:
    """Split by time: train on `before`, test on the pairs of `after` that are not in `before`.

    before: `user_index`, `item_index`, `rating`, optionally `since` and `until`, which the training rows keep; after:
    `user_index`, `item_index`. An entity without pairs in `before` is cold; a user with fewer than `min_items` items in
    `before`, or an item with fewer than `min_users` users, is sparse.
    """
    roles = [
        _roles_by_breadth(entities, before, key, least)
        for entities, key, least in ((users, "user_index", min_items), (items, "item_index", min_users))
    ]
    new = after.join(before.select(*PAIR), on=list(PAIR), how="left_anti")
    test = new.join(users, on="user_index", how="left_semi").join(items, on="item_index", how="left_semi")
    kept = [name for name in (*PAIR, "rating", "since", "until") if name in before.columns]
    return Split(before.select(*kept), test.select(*PAIR), *roles)


def truth(split: Split, asked: Slice) -> DataFrame:
    """Return the relevant pairs of a slice: `user_index`, `item_index`."""
    users = split.users.where(F.col("role").isin(*asked.users)).select("user_index")
    items = split.items.where(F.col("role").isin(*asked.items)).select("item_index")
    return split.test.join(users, on="user_index", how="left_semi").join(items, on="item_index", how="left_semi")


def _roles_by_breadth(entities: DataFrame, before: DataFrame, key: str, least: int) -> DataFrame:
    counted = entities.select(key).join(before.groupBy(key).agg(F.count(F.lit(1)).alias("n")), on=key, how="left")
    role = F.when(F.col("n").isNull(), COLD).when(F.col("n") < least, SPARSE).otherwise(WARM)
    return counted.select(key, role.alias("role"))


def _half(seed: int, what: str, key: str, share: float, part: str) -> Column:
    """Return a cold entity's role, null for a warm one; the lower half of draws is 'test', the upper 'validation'."""
    drawn = _draw(seed, what, key)
    lower, upper = (COLD, ASIDE) if part == "test" else (ASIDE, COLD)
    return F.when(drawn < share / 2, lower).when(drawn < share, upper)


def _draw(seed: int, what: str, *keys: str) -> Column:
    return uniform(F.lit(seed), F.lit(what), *keys)


def of_users(split: Split, most: int, seed: int) -> DataFrame:
    """Return the held-out interactions of `most` users, drawn by a hash from all users, so that no slice is biased."""
    users = split.test.select("user_index").distinct()
    drawn = users.orderBy(_draw(seed, "asked", "user_index"), "user_index").limit(most)
    return split.test.join(drawn, on="user_index", how="left_semi")


def check_split(
    split: Split, name: str, shares: Shares, slices: Mapping[str, Slice], held_by: Mapping[str, str]
) -> None:
    """Raise ContractError if a cold entity has more training rows than it may, or for a split that is not judged.

    name: name of the split in the message. The split should be kept in scratch, since it is read several times.
    """
    why = why_not_judged(split, name, shares, slices, held_by)
    if why is not None:
        raise ContractError(why)
    for key, roles in (("user_index", split.users), ("item_index", split.items)):
        side = key.removesuffix("_index")
        allowed = shares.events_left if side == "user" else 0
        kept = split.train.join(roles.where(F.col("role").isin(COLD, ASIDE)), on=key, how="inner")
        leaked = kept.groupBy(key).count().where(F.col("count") > allowed).take(1)
        if leaked:
            raise ContractError(f"{name} split: cold {side} {leaked[0][key]} has {leaked[0]['count']} training rows")


def why_not_judged(
    split: Split, name: str, shares: Shares, slices: Mapping[str, Slice], held_by: Mapping[str, str]
) -> str | None:
    """Return what the split lacks to be judged, and the way out, in one line; None if it lacks nothing.

    It needs training rows, warm and cold entities, and held-out interactions in both slices that decide. held_by: slice
    -> key below `evaluate` that sets how much of it is held out.
    """
    for roles, share, side, other in ((split.users, shares.users, "user", "items"),
                                      (split.items, shares.items, "item", "users")):  # fmt: skip
        counts: Mapping[str, int] = {r["role"]: r["count"] for r in roles.groupBy("role").count().collect()}
        for role in (WARM, *((COLD,) if share else ())):
            if not counts.get(role):
                return (
                    f"{name} split: no {role} {side} among {sum(counts.values())} eligible ones; lower "
                    f"features.min_{side}_{other}, change evaluate.{held_by['cold']}, or bring more events"
                )
    if not split.train.take(1):
        return f"{name} split: no training row; bring more events"
    for part in ("cold", "warm"):
        if not truth(split, slices[part]).take(1):
            return (
                f"{name} split: slice {part!r} is empty, no interaction is held out in it; raise "
                f"evaluate.{held_by[part]}, leave the protocol out of evaluate.protocols, or bring more events"
            )
    return None
