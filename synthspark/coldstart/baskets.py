"""The baskets of users whom nobody knows yet.

A basket is drawn by the generated preference, or is what is preferred most; which of these serves a shop's users best
is tried (`forms`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.placing import draw_items
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.sides import USERS
from synthspark.synthesis.generate import histories, preferences

LARGEST_SHARE = 10
"""A cold user's basket is at most one in this many items: of a small catalogue more would say nothing."""


@dataclass(frozen=True)
class Form:
    """How a basket is made: of how many items, drawn in proportion to preference^sharpness (None: the best)."""

    size: int
    sharpness: float | None

    def words(self) -> str:
        """For people."""
        return f"{self.size} {'best' if self.sharpness is None else f'drawn by preference^{self.sharpness:g}'}"


FORMS = (Form(200, 1.0), Form(100, 2.0), Form(20, None))


@dataclass(frozen=True)
class Asked:
    """The cold users of a shop, and what ALS knows."""

    made: DataFrame
    """`user_index`, `vector` in ALS's own space: how a preference was made does not matter."""
    targets: DataFrame
    """`item_index`, `vector` in ALS's own space."""
    train: DataFrame
    """`user_index`, `item_index`, `rating`: all real interactions, those of cold users among them."""
    own: DataFrame
    """`user_index`, `item_index` of the latter, which baskets leave out."""


def cold_users(
    context: Context, staged: Publication, users: DataFrame, targets: DataFrame, train: DataFrame, model_url: str,
    meta: dict[str, Any],
) -> Asked:  # fmt: skip
    """Preferences of real users who did little or nothing, what they did taken into account.

    users: `user_index`, the encoded columns and `noise`; targets, train: as in `Asked`.
    """
    own = train.join(users.select("user_index"), on="user_index", how="left_semi").select("user_index", "item_index")
    own = staged.keep("own", own)
    with_history = users.join(histories(own, targets, USERS), on="user_index", how="left")
    made = preferences(with_history, "user_index", model_url, meta, context.config.synthesize.seed)
    return Asked(staged.keep("made_cold_users", made), targets, train, own)


def baskets(context: Context, asked: Asked, form: Form) -> DataFrame:
    """`user_index`, `item_index`, `weight` of the virtual events of cold users."""
    s = context.config.synthesize
    seen = asked.own.groupBy("user_index").agg(F.collect_set("item_index").alias("exclude"))
    largest = max(s.min_events, asked.targets.count() // LARGEST_SHARE)
    users = asked.made.select("user_index", "vector", F.lit(min(form.size, largest)).alias("k"))
    drawn = draw_items(users.join(seen, on="user_index", how="left"), asked.targets, s.seed, form.sharpness)
    return drawn.select("user_index", "item_index", F.lit(s.basket_weight).alias("weight"))


def new_baskets(
    context: Context, staged: Publication, users: DataFrame, targets: DataFrame, model_url: str, meta: dict[str, Any]
) -> DataFrame:
    """The same for new users: as active as they were generated, and true to life, so that they vary as real ones do."""
    s = context.config.synthesize
    made = staged.keep("made_new_users", preferences(users, "user_index", model_url, meta, s.seed))
    wanted = F.round(F.expm1(F.least("log_activity", F.lit(20.0))))
    k = F.least(F.greatest(wanted, F.lit(s.min_events)), F.lit(s.max_events)).cast("int").alias("k")
    drawn = draw_items(made.select("user_index", "vector", k), targets, s.seed, 1.0)
    return drawn.select("user_index", "item_index", F.lit(s.unjudged_weight).alias("weight"))
