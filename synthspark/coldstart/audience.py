"""Generate, then judge: the audience of cold and new items."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.placing import (
    PAIR,
    num_candidates,
    of_like_taste,
    place_by_forecast,
    place_by_user,
    preferred,
    propose,
)
from synthspark.coldstart.shop import Shop
from synthspark.indexing import uniform
from synthspark.judging import (
    MERIT,
    SCORES,
    ItemStatistics,
    PairTable,
    Ridge,
    item_statistics,
    load_judge,
    pair_rows,
    with_linear,
    with_merit,
)  # fmt: skip
from synthspark.judging.neighbours import alike_pairs, neighbours
from synthspark.judging.ridge import FILE as RIDGE_FILE
from synthspark.retrieval import with_score
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.training import storage

BUDGET, WEIGHT = 0.1, 0.5
"""Placing that is used if no trial is possible."""


@dataclass(frozen=True)
class Placing:
    """Volume, weight and distribution of the virtual events of items."""

    budget: float
    """Number of virtual events, as a share of the warm interactions."""
    weight: float
    """Weight of an event of merit 1, in real events of median weight."""
    slack: float | None = None
    """Each item gets events in proportion to its forecast, and a user at most slack x budget x breadth. None: each user
    gets budget x breadth events, of the items with the highest merit, without a limit per item."""

    def words(self) -> str:
        """Return the placing in words, for reports."""
        if self == NOTHING:
            return "cold items get no virtual events: no placing tried helps them without a loss of accuracy elsewhere"
        slack = "" if self.slack is None else f", slack {self.slack:g}"
        return f"budget {self.budget:g}, weight {self.weight:g}{slack}"


NOTHING = Placing(0.0, 0.0)
"""No virtual events; chosen if every placing tried does worse."""
NEW_SLACK = 2.0
"""Slack with which new items are placed where cold items are placed by user."""
ASKED_ABOUT, MIN_ASKED, MAX_ASKED = 500_000, 10, 100
"""Approximate number of pairs that a forecast samples, and minimum and maximum of the users in that sample."""
MAX_PER_ITEM = 1000
"""Maximum number of users of like taste that are proposed per item."""
MILLIONTHS, SUREST = 1e6, 1e3
"""Odds are capped at SUREST and summed as integers, in millionths, so that the sum does not depend on row order."""


class Merits(NamedTuple):
    """Merits of proposed pairs, and a forecast per item."""

    pairs: DataFrame
    """`user_index`, `item_index`, `merit` of the proposed pairs."""
    forecast: DataFrame | None
    """`item_index`, `expected`: forecast number of users of an item, in an arbitrary unit; None without a judge."""


@dataclass(frozen=True)
class ChosenJudge:
    """A trained judge, and the placing chosen with it."""

    url: str
    meta: Mapping[str, Any]
    """Content of judge.json, or the part of it in a stage's record."""

    @property
    def placing(self) -> Placing:
        """The chosen placing."""
        return Placing(**self.meta["placing"])

    @property
    def address(self) -> tuple[str, str]:
        """URL and sha256, the first arguments of `load_judge`."""
        return self.url, self.meta["sha256"]

    def ridge(self, table: PairTable) -> Ridge:
        """Load the ridge regression stored beside the judge. table: the columns of the items."""
        return Ridge.load(table, storage.read(f"{self.url}/{RIDGE_FILE}"), self.meta)


def merits(
    context: Context, staged: Publication, shop: Shop, made: DataFrame, judge: tuple[str, str] | None, budget: float
) -> Merits:
    """Propose pairs for a `budget`, compute their merits, and forecast the number of users per item.

    The generator proposes pairs. If there is a judge, the linear regression proposes pairs as well, and so do content
    neighbours if items have texts or sets.

    made: `item_index`, `vector`, `log_activity`, and with a judge `linear`; judge: URL and sha256 of a trained judge;
    None to use the generator's scores as merits.
    """
    config, table, least = context.config.judge, shop.table(), context.config.synthesize.min_events
    if judge is None:
        users = shop.users.withColumn("k", num_candidates(budget, 1.0, 1))
        proposed = staged.keep("judge/proposed", propose(users, made, least))
        return Merits(proposed.withColumnRenamed("score", MERIT), None)
    context.on_step("cold items: proposing and judging pairs")
    stats = item_statistics(shop.warm(), shop.pairs, table)
    history = shop.pairs.join(shop.users.select("user_index"), on="user_index", how="left_semi")
    load = partial(load_judge, *judge, storage.read)

    def said(pairs: DataFrame, name: str) -> DataFrame:
        asked = staged.keep(f"judge/{name}", with_score(pairs, shop.users, made, SCORES))
        rows = pair_rows(asked, made, shop.items, history, table, config.max_history)
        return staged.keep(f"judge/merits_{name}", with_merit(rows, table, stats, load))

    proposed = said(_proposals(context, staged, shop, made, stats, budget), "proposed")
    others, times = _others(context, shop, made)
    rest = said(others.join(proposed.select(*PAIR), on=list(PAIR), how="left_anti"), "others")
    return Merits(proposed, _forecast(proposed, rest, times))


def _proposals(
    context: Context, staged: Publication, shop: Shop, made: DataFrame, stats: ItemStatistics, budget: float
) -> DataFrame:
    """Return the pairs that the judge scores for a `budget`: `user_index`, `item_index`. made: as in `merits`.

    Number of pairs per user: `num_candidates`, more than can be placed; per item: twice the mean number of events.
    """
    config, table = context.config.judge, shop.table()
    users = shop.users.withColumn("k", num_candidates(budget, config.candidates_per_event, config.min_candidates))
    items, (breadth,) = max(1, made.count()), shop.users.agg(F.sum("breadth")).collect()[0]
    each = min(math.ceil(2 * budget * (breadth or 0) / items), MAX_PER_ITEM)
    linear = made.drop("vector").withColumnRenamed("linear", "vector")
    alike = of_like_taste(users, made, max(each, context.config.synthesize.min_events))
    pairs = [preferred(users, made), alike, preferred(users, linear)]
    if table.bags:
        # Generator and regression learn a word from few items: so users who have similar items are proposed, too.
        asked = shop.items.join(made.select("item_index"), on="item_index", how="left_semi")
        near = staged.keep("judge/near", neighbours(asked, shop.warm(), "item_index", table, stats))
        pairs.append(alike_pairs(near, shop.pairs, users.select("user_index", "k"), context.config.seed))
    return reduce(DataFrame.unionByName, pairs).distinct()


def _others(context: Context, shop: Shop, made: DataFrame) -> tuple[DataFrame, float]:
    """Pair each item of `made` with a sample of users; return the pairs, and the number of users per sampled one."""
    some = min(max(ASKED_ABOUT // max(1, made.count()), MIN_ASKED), MAX_ASKED)
    order = uniform(F.lit("forecast"), F.lit(context.config.seed), "user_index")
    drawn = shop.users.select("user_index").orderBy(order, "user_index").limit(some)
    users = shop.users.count()
    return drawn.crossJoin(made.select("item_index")), users / max(1, min(some, users))


def _forecast(proposed: DataFrame, others: DataFrame, times: float) -> DataFrame:
    """Return `item_index`, `expected`: summed odds of the `proposed` pairs plus `times` those of the sampled `others`.

    Proposed pairs hold nearly all of an item's expected sales. Without the others, the forecast of an item that is no
    user's first choice would be nothing (docs/decisions/017).
    """
    merit = F.col(MERIT).cast("double")
    odds = F.round(merit / F.greatest(1 - merit, F.lit(1 / SUREST)) * MILLIONTHS).cast("long")
    parts = [proposed.groupBy("item_index").agg(F.sum(odds).cast("double").alias("expected")),
             others.groupBy("item_index").agg((F.sum(odds) * F.lit(times)).alias("expected"))]  # fmt: skip
    both = reduce(DataFrame.unionByName, parts).groupBy("item_index")
    return both.agg(F.round(F.sum("expected")).cast("long").alias("expected"))


def placed(
    found: Merits, users: DataFrame, placing: Placing, min_users: int, seed: int, every: bool = False
) -> DataFrame:
    """Choose the pairs that are published: `user_index`, `item_index`, `merit`.

    users: `user_index`, `breadth`; every: give every item `min_users` events, whatever the budget. These are new items,
    which may all be of one kind; placed by user, everybody would get some, so they are placed by forecast.
    """
    slack = NEW_SLACK if every and placing.slack is None else placing.slack
    if found.forecast is None or slack is None:
        return place_by_user(found.pairs, users, placing.budget, min_users, seed, every)
    return place_by_forecast(found.pairs, users, found.forecast, placing.budget, slack, min_users, seed, every)


def capped_budget(budget: float, shop: Shop, made: DataFrame) -> float:
    """Limit `budget` so that items of `made` get no more events on average than warm items have.

    Without the limit, a few items would be given to every user.
    """
    return min(budget, made.count() / max(1, shop.warm().count()))


def place_events(
    context: Context, staged: Publication, shop: Shop, made: DataFrame, judge: ChosenJudge | None,
    budget: float | None = None, weight: float | None = None, every: bool = False,
) -> DataFrame:  # fmt: skip
    """Place the virtual events of items with a generated preference: `user_index`, `item_index`, `weight`.

    made: `item_index`, `vector`, `log_activity`; judge: None to place by the generator's scores; budget, weight:
    override those of the chosen placing; every: as in `placed`.
    """
    config = context.config.synthesize
    placing = judge.placing if judge else Placing(config.fixed_budget or BUDGET, config.unjudged_weight)
    budget, weight = capped_budget(placing.budget if budget is None else budget, shop, made), weight or placing.weight
    if judge is not None:
        made = staged.keep("judge/made", with_linear(made, shop.items, judge.ridge(shop.table())))
    found = merits(context, staged, shop, made, judge.address if judge else None, budget)
    chosen = placed(found, shop.users, replace(placing, budget=budget), config.min_events, config.seed, every)
    return chosen.select(
        "user_index", "item_index", (F.lit(weight) * F.col(MERIT) if judge else F.lit(weight)).alias("weight")
    )
