"""Baskets of cold and new users.

The items of a basket are drawn in proportion to the generated preference, or are the most preferred ones, or those that
most users have bought lately. Which form serves a shop's users best is tried (`forms`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.coldstart.placing import PAIR, draw_items
from synthspark.features.interactions import DAY_SECONDS
from synthspark.indexing import uniform
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.sides import USERS
from synthspark.synthesis.generate import histories, preferences

MIN_ITEMS_PER_EVENT = 10
"""Minimum number of items of the catalogue per event of a cold user's basket: more of a small one is no information."""


@dataclass(frozen=True)
class Form:
    """Form of a basket: `size` items, drawn in proportion to preference^sharpness; sharpness None: the best ones."""

    size: int
    sharpness: float | None
    days: int | None = None
    """If set, the items are drawn from the LATELY that most users bought in the last `days` days, at random."""

    def words(self) -> str:
        """Return the form in words, for reports."""
        if self.days is not None:
            return f"{self.size} of the {LATELY} most bought of the last {self.days} days"
        return f"{self.size} {'best' if self.sharpness is None else f'drawn by preference^{self.sharpness:g}'}"


FORMS = (Form(200, 1.0), Form(100, 2.0), Form(20, None))
DAYS = 28
"""Days before the newest event in which what is bought counts as bought lately."""
LATELY = 20
"""Number of the items that most users bought lately, of which baskets are drawn."""
RECENT = Form(6, None, DAYS)
"""Form that is tried for users without any event. Larger baskets serve new users a little better, and cost warm
accuracy: to ALS, many similar baskets say that nobody of that taste likes anything else (docs/decisions/021)."""


class Forms(NamedTuple):
    """Forms of a shop's baskets; None for no baskets."""

    sparse: Form | None
    """Form for users who have a few events."""
    cold: Form | None
    """Form for users without any event."""


NO_FORMS = Forms(None, None)
MICROS_PER_DAY = DAY_SECONDS * 1_000_000


@dataclass(frozen=True)
class Asked:
    """Preferences of cold users, and what their baskets are made from."""

    made: DataFrame
    """`user_index`, `vector` in ALS's own space, made by any model."""
    targets: DataFrame
    """`item_index`, `vector` in ALS's own space."""
    train: DataFrame
    """`user_index`, `item_index`, `rating`, `until` if times are known: all real interactions, including those of cold
    users."""
    own: DataFrame
    """`user_index`, `item_index`: interactions of the cold users, which baskets leave out."""


def cold_users(
    context: Context, staged: Publication, users: DataFrame, targets: DataFrame, train: DataFrame, model_url: str,
    meta: dict[str, Any],
) -> Asked:  # fmt: skip
    """Generate preferences of cold users from their attributes and their few events.

    users: `user_index`, the encoded columns and `noise`; targets, train: as in `Asked`.
    """
    own = train.join(users.select("user_index"), on="user_index", how="left_semi").select("user_index", "item_index")
    own = staged.keep("own", own)
    with_history = users.join(histories(own, targets, USERS), on="user_index", how="left")
    made = preferences(with_history, "user_index", model_url, meta, context.config.synthesize.seed)
    return Asked(staged.keep("made_cold_users", made), targets, train, own)


def baskets(context: Context, asked: Asked, form: Form) -> DataFrame:
    """Make the virtual events of cold users: `user_index`, `item_index`, `weight`."""
    s = context.config.synthesize
    size = min(form.size, max(s.min_events, asked.targets.count() // MIN_ITEMS_PER_EVENT))
    if form.days is not None:
        found = _most_bought(asked, size, form.days, s.seed)
    else:
        seen = asked.own.groupBy("user_index").agg(F.collect_set("item_index").alias("exclude"))
        users = asked.made.select("user_index", "vector", F.lit(size).alias("k"))
        found = draw_items(users.join(seen, on="user_index", how="left"), asked.targets, s.seed, form.sharpness)
    return found.select("user_index", "item_index", F.lit(s.basket_weight).alias("weight"))


def baskets_by_history(context: Context, asked: Asked, forms: Forms) -> DataFrame | None:
    """Make the virtual events of cold users, in one form for those with a few events and one for those without any."""
    if forms.sparse == forms.cold:
        return None if forms.cold is None else baskets(context, asked, forms.cold)
    known, parts = asked.own.select("user_index").distinct(), []
    for form, how in ((forms.sparse, "left_semi"), (forms.cold, "left_anti")):
        if form is not None:
            theirs = replace(asked, made=asked.made.join(known, on="user_index", how=how))
            parts.append(baskets(context, theirs, form))
    return reduce(DataFrame.unionByName, parts)


def bought_lately(pairs: DataFrame, days: int) -> DataFrame:
    """Return the rows of `pairs` (`until` in microseconds) with an event in the last `days` days before the newest."""
    newest = F.broadcast(pairs.agg(F.max("until").alias("_newest")))
    lately = F.col("until") > F.col("_newest") - days * MICROS_PER_DAY
    return pairs.crossJoin(newest).where(lately).drop("_newest")


def _most_bought(asked: Asked, size: int, days: int, seed: int) -> DataFrame:
    """Pair every user with `size` of the LATELY targets that most users bought in the last `days` days."""
    buyers = bought_lately(asked.train, days).groupBy("item_index").agg(F.count(F.lit(1)).alias("buyers"))
    buyers = buyers.join(asked.targets.select("item_index"), on="item_index", how="left_semi")
    order = F.col("buyers").desc(), uniform(F.lit("most bought"), F.lit(seed), "item_index"), "item_index"
    best = buyers.orderBy(*order).limit(LATELY).select("item_index")
    pairs = asked.made.select("user_index").crossJoin(F.broadcast(best))
    pairs = pairs.join(asked.own, on=["user_index", "item_index"], how="left_anti")
    drawn = Window.partitionBy("user_index").orderBy(uniform(F.lit("lately"), F.lit(seed), *PAIR), "item_index")
    return pairs.withColumn("_place", F.row_number().over(drawn)).where(F.col("_place") <= size).drop("_place")


def new_baskets(
    context: Context, staged: Publication, users: DataFrame, targets: DataFrame, model_url: str, meta: dict[str, Any]
) -> DataFrame:
    """Make the events of new users: `user_index`, `item_index`, `weight`.

    Sizes follow the generated activity, and items are drawn in proportion to preference, so that new users vary as real
    ones do.
    """
    s = context.config.synthesize
    made = staged.keep("made_new_users", preferences(users, "user_index", model_url, meta, s.seed))
    wanted = F.round(F.expm1(F.least("log_activity", F.lit(20.0))))
    k = F.least(F.greatest(wanted, F.lit(s.min_events)), F.lit(s.max_events)).cast("int").alias("k")
    drawn = draw_items(made.select("user_index", "vector", k), targets, s.seed, 1.0)
    return drawn.select("user_index", "item_index", F.lit(s.unjudged_weight).alias("weight"))
