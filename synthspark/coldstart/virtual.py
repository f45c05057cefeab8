"""Virtual events of a run's cold and new entities, and by the same code of the cold entities of a split."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.audience import place_events
from synthspark.coldstart.baskets import NO_FORMS, Asked, Forms, baskets_by_history, cold_users, new_baskets
from synthspark.coldstart.learn import Learned
from synthspark.coldstart.newcomers import choose_forms
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.runs.tables import ALS_SPACE
from synthspark.sides import ITEMS, USERS
from synthspark.synthesis.generate import preferences

LIKELIEST, DRAWN = 0.0, 1.0
"""Noise of a generator: 0 for real entities, which get their most likely preference; 1 for new ones, so that they vary
beyond their attributes."""


@dataclass(frozen=True)
class VirtualEvents:
    """Virtual events, `user_index`, `item_index`, `weight`; None if no entity needs any, or there is no generator."""

    items: DataFrame | None
    """Events of cold items, among real users."""
    users: DataFrame | None
    """Events of cold users: baskets of warm items."""
    forms: Forms = NO_FORMS
    """Forms of the baskets."""
    tried: dict[str, float] = field(default_factory=dict)
    """NDCG@20 of users who were treated as cold, by form of the baskets; empty if no forms were tried."""

    def parts(self) -> list[DataFrame]:
        """Return the tables that are not None."""
        return [part for part in (self.items, self.users) if part is not None]


def virtual_events(
    context: Context, staged: Publication, learned: Learned, items: DataFrame | None, users: DataFrame | None
) -> VirtualEvents:
    """Place the virtual events of cold `items` and `users` (index and encoded columns)."""
    of_items = None if items is None else audience(context, staged, learned, items)
    if users is not None:
        context.on_step("cold users: choosing a form of baskets and filling them")
    if users is None or USERS.name not in learned.models:
        return VirtualEvents(of_items, None)
    forms, tried = learned.forms or choose_forms(context, staged, learned, users)
    some = forms != NO_FORMS
    made = baskets_by_history(context, asked_users(context, staged, learned, users), forms) if some else None
    return VirtualEvents(of_items, made, forms, tried)


def audience(
    context: Context, staged: Publication, learned: Learned, items: DataFrame, *, model: str = ITEMS.name,
    noise: float = LIKELIEST, budget: float | None = None, weight: float | None = None, every: bool = False,
) -> DataFrame | None:  # fmt: skip
    """Place the events of `items` (index and encoded columns) among the real users; None without a generator.

    model: name of the generator in `learned.models`; budget, weight: override those of the chosen placing; every: give
    every item events, whatever the budget, as new items need them.
    """
    if model not in learned.models:
        return None
    about = learned.models[model]
    asked = items.withColumn("noise", F.lit(noise))
    made = preferences(asked, "item_index", about.url, about.meta, context.config.synthesize.seed)
    return audience_of(context, staged, learned, items, staged.keep("made", made), budget, weight, every)


def audience_of(
    context: Context, staged: Publication, learned: Learned, items: DataFrame, made: DataFrame,
    budget: float | None = None, weight: float | None = None, every: bool = False,
) -> DataFrame | None:  # fmt: skip
    """Place the events of `items` by given preferences; None for a budget of 0.

    made: `item_index`, `vector`, and `log_activity` for a judge.
    """
    if (learned.judge.placing.budget if budget is None and learned.judge else budget) == 0:
        return None
    shop = learned.shop(items)
    shop = replace(shop, items=staged.keep("items", shop.items), users=staged.keep("users", shop.users))
    return place_events(context, staged, shop, made, learned.judge, budget, weight, every)


def asked_users(context: Context, staged: Publication, learned: Learned, users: DataFrame) -> Asked:
    """Generate preferences of cold users (index and encoded columns)."""
    about, targets = learned.models[USERS.name], learned.spaces[ALS_SPACE][ITEMS]
    users = users.withColumn("noise", F.lit(LIKELIEST))
    return cold_users(context, staged, users, targets, learned.evidence.pairs, about.url, about.meta)


def baskets_of_new(context: Context, staged: Publication, learned: Learned, users: DataFrame) -> DataFrame | None:
    """Make the events of new users (index and encoded columns); None without a generator."""
    if USERS.name not in learned.models:
        return None
    about, targets = learned.models[USERS.name], learned.spaces[ALS_SPACE][ITEMS]
    return new_baskets(context, staged, users.withColumn("noise", F.lit(DRAWN)), targets, about.url, about.meta)
