"""The baskets of users whom nobody knows yet.

A basket is drawn by the generated preference, or is what is preferred most; which of these ALS understands best
depends on the shop, and is tried (docs/decisions/007-baskets-are-drawn.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.placing import draw_items
from synthspark.coldstart.spaces import als_settings
from synthspark.coldstart.trials import TRIAL_USERS, asked_share, of_share
from synthspark.recommend import Factors, blocks_for, fit_als, recommendations, with_virtual
from synthspark.retrieval import scored
from synthspark.runs.context import Context
from synthspark.runs.lake import Publication
from synthspark.sides import USERS
from synthspark.synthesis.generate import histories, preferences

LARGEST_SHARE = 10
"""A cold user's basket is at most one in this many items: of a small catalogue more would say nothing."""
LEAST_ASKED = 1000
"""Cold users on whom forms are tried, about, at least; TRIAL_USERS at most: their baskets are rows, too."""
LISTED = 20
"""Items of the lists by which forms are compared."""


@dataclass(frozen=True)
class Form:
    """How a basket is made: of how many items, drawn in proportion to preference^sharpness (None: the best)."""

    size: int
    sharpness: float | None


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


def best_form(context: Context, staged: Publication, asked: Asked) -> tuple[Form | None, dict[str, float]]:
    """The form from which ALS, trained anew, recommends what the generator says is liked; and what each came to.

    The figure is the generated preference for what is recommended, over that for the best it could be. No held-out data
    is needed: the question is only whether ALS gives back what it was told. None if the most bought items, which these
    users would be served without any event, are liked better than what any form brings. Of a large shop some users are
    asked.
    """
    asked = _some(asked, staged, asked_share(asked.train), context.config.seed)
    blocks = blocks_for(asked.train.count() + asked.made.count() * max(form.size for form in FORMS))
    best = _liked(asked, _lists(asked, asked.made, asked.targets))
    popular = asked.train.groupBy("item_index").agg(F.array(F.count(F.lit(1)).cast("float")).alias("vector"))
    everybody = asked.made.select("user_index", F.array(F.lit(1.0).cast("float")).alias("vector"))
    shares = {"most bought": _liked(asked, _lists(asked, everybody, popular)) / best}
    tried: dict[Form, float] = {}
    for form in FORMS:
        rows = staged.keep("form/rows", with_virtual(asked.train, baskets(context, asked, form)))
        factors = fit_als(rows, als_settings(context), blocks)
        users = factors.users.join(asked.made.select("user_index"), on="user_index", how="left_semi")
        items = factors.items.join(asked.targets.select("item_index"), on="item_index", how="left_semi")
        tried[form] = _liked(asked, staged.keep("form/lists", _lists(asked, users, items))) / best
        how = "best" if form.sharpness is None else f"drawn by preference^{form.sharpness:g}"
        shares[f"{form.size} {how}"] = round(tried[form], 4)
    found = max(tried, key=lambda form: tried[form])
    shares["most bought"] = round(shares["most bought"], 4)
    return (found if tried[found] > shares["most bought"] else None), shares


def _some(asked: Asked, staged: Publication, share: float, seed: int) -> Asked:
    """As if there were only a share of the users. Of the cold it may be another one: 1,000 to 10,000 are asked."""
    cold = max(1, asked.made.count())
    share_of_cold = min(max(share, LEAST_ASKED / cold), TRIAL_USERS / cold)
    if min(share, share_of_cold) >= 1.0:
        return asked
    made = asked.made.where(of_share(share_of_cold, seed))
    chosen, everybody = made.select("user_index"), asked.made.select("user_index")
    others = asked.train.where(of_share(share, seed)).join(everybody, on="user_index", how="left_anti")
    own = asked.train.join(chosen, on="user_index", how="left_semi")
    train = staged.keep("form/train", others.unionByName(own))
    return Asked(made, asked.targets, train, asked.own.join(chosen, on="user_index", how="left_semi"))


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


def _lists(asked: Asked, users: DataFrame, items: DataFrame) -> DataFrame:
    return recommendations(Factors(users.select("user_index", "vector"), items), LISTED, asked.own)


def _liked(asked: Asked, lists: DataFrame) -> float:
    """Sum of the generated preferences for what is on the lists."""
    known = scored(lists.select("user_index", "item_index"), asked.made, asked.targets)
    return float(known.agg(F.sum("score")).collect()[0][0] or 0.0)
