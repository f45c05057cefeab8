"""Generate, then judge: the audience of items that nobody knows yet."""

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
    judged,
    load_judge,
    pair_rows,
    with_linear,
)  # fmt: skip
from synthspark.judging.neighbours import alike_pairs, neighbours
from synthspark.judging.ridge import FILE as RIDGE_FILE
from synthspark.retrieval import scored
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.training import storage

BUDGET, WEIGHT = 0.1, 0.5
"""The placing where nothing can be tried."""


@dataclass(frozen=True)
class Placing:
    """Virtual events in all, as a share of what warm users have, and what one weighs that the judge is sure of."""

    budget: float
    weight: float
    slack: float | None = None
    """Events follow the forecast of each item, and a user gets at most this many times an equal share of them. None:
    every user gets an equal share, of the items that suit them best."""

    def words(self) -> str:
        """For people."""
        if self == NOTHING:
            return "cold items get no virtual events: none of the placings tried gains and keeps what is there"
        slack = "" if self.slack is None else f", slack {self.slack:g}"
        return f"budget {self.budget:g}, weight {self.weight:g}{slack}"


NOTHING = Placing(0.0, 0.0)
"""Where no virtual event does better than none."""
ASKED_ABOUT, LEAST_ASKED, MOST_ASKED = 500_000, 10, 100
"""Pairs that a forecast is sampled from, about, and bounds of the users of whom it is."""
MOST_PER_ITEM = 1000
"""Users whom an item proposes by itself, at most."""
MILLIONTHS, SUREST = 1e6, 1e3
"""Odds are added up as whole millionths, at most SUREST each: a sum that no order of the rows changes."""


class Merits(NamedTuple):
    """What is said of pairs that nobody has yet."""

    pairs: DataFrame
    """`user_index`, `item_index`, `merit` of those that are proposed."""
    forecast: DataFrame | None
    """`item_index`, `expected`: the users whom an item will find, in a unit of its own; None where nobody judges."""


@dataclass(frozen=True)
class ChosenJudge:
    """A trained judge, and the placing that suits it."""

    url: str
    meta: Mapping[str, Any]
    """judge.json, or what a stage's record keeps of it."""

    @property
    def placing(self) -> Placing:
        """The chosen one."""
        return Placing(**self.meta["placing"])

    @property
    def address(self) -> tuple[str, str]:
        """URL and sha256, as `load_judge` takes them."""
        return self.url, self.meta["sha256"]

    def ridge(self, table: PairTable) -> Ridge:
        """The regression beside it. table: the columns of the items."""
        return Ridge.load(table, storage.read(f"{self.url}/{RIDGE_FILE}"), self.meta)


def merits(
    context: Context, staged: Publication, shop: Shop, made: DataFrame, judge: tuple[str, str] | None, budget: float
) -> Merits:
    """What pairs are worth that are proposed for a `budget`, and what items will find.

    The generator proposes; where there is a judge the linear regression does, too, and where items have texts or sets,
    content neighbours do.

    made: `item_index`, `vector`, `log_activity`, and for a judge `linear`; judge: URL and sha256 of a trained one, None
    to trust the generator.
    """
    config, table, least = context.config.judge, shop.table(), context.config.synthesize.min_events
    if judge is None:
        users = shop.users.withColumn("k", num_candidates(budget, 1.0, 1))
        proposed = staged.keep("judge/proposed", propose(users, made, least))
        return Merits(proposed.withColumnRenamed("score", MERIT), None)
    stats = item_statistics(shop.warm(), shop.pairs, table)
    history = shop.pairs.join(shop.users.select("user_index"), on="user_index", how="left_semi")
    load = partial(load_judge, *judge, storage.read)

    def said(pairs: DataFrame, name: str) -> DataFrame:
        asked = staged.keep(f"judge/{name}", scored(pairs, shop.users, made, SCORES))
        rows = pair_rows(asked, made, shop.items, history, table, config.max_history)
        return staged.keep(f"judge/merits_{name}", judged(rows, table, stats, load))

    proposed = said(_proposals(context, staged, shop, made, stats, budget), "proposed")
    others, times = _others(context, shop, made)
    rest = said(others.join(proposed.select(*PAIR), on=list(PAIR), how="left_anti"), "others")
    return Merits(proposed, _forecast(proposed, rest, times))


def _proposals(
    context: Context, staged: Publication, shop: Shop, made: DataFrame, stats: ItemStatistics, budget: float
) -> DataFrame:
    """`user_index`, `item_index`: what a judge is asked about for a `budget`. made: as of `merits`.

    As many as may be placed and more, of each user, and of each item twice what an item will get on average.
    """
    config, table = context.config.judge, shop.table()
    users = shop.users.withColumn("k", num_candidates(budget, config.candidates_per_event, config.min_candidates))
    items, (breadth,) = max(1, made.count()), shop.users.agg(F.sum("breadth")).collect()[0]
    each = min(math.ceil(2 * budget * (breadth or 0) / items), MOST_PER_ITEM)
    linear = made.drop("vector").withColumnRenamed("linear", "vector")
    alike = of_like_taste(users, made, max(each, context.config.synthesize.min_events))
    pairs = [preferred(users, made), alike, preferred(users, linear)]
    if table.bags:
        # What a text says of an item the others know from few; who has its like is a proposal of its own.
        asked = shop.items.join(made.select("item_index"), on="item_index", how="left_semi")
        near = staged.keep("judge/near", neighbours(asked, shop.warm(), "item_index", table, stats))
        pairs.append(alike_pairs(near, shop.pairs, users.select("user_index", "k"), context.config.seed))
    return reduce(DataFrame.unionByName, pairs).distinct()


def _others(context: Context, shop: Shop, made: DataFrame) -> tuple[DataFrame, float]:
    """Every item of `made` with some drawn users, and of how many users one of them is drawn."""
    some = min(max(ASKED_ABOUT // max(1, made.count()), LEAST_ASKED), MOST_ASKED)
    order = uniform(F.lit("forecast"), F.lit(context.config.seed), "user_index")
    drawn = shop.users.select("user_index").orderBy(order, "user_index").limit(some)
    users = shop.users.count()
    return drawn.crossJoin(made.select("item_index")), users / max(1, min(some, users))


def _forecast(proposed: DataFrame, others: DataFrame, times: float) -> DataFrame:
    """`item_index`, `expected`: odds of the pairs `proposed`, and for all the rest those of `others`, `times` as many.

    Nearly all of what an item will sell is in what is proposed; without the rest items would seem to sell nothing that
    are nobody's first choice (docs/decisions/017).
    """
    merit = F.col(MERIT).cast("double")
    odds = F.round(merit / F.greatest(1 - merit, F.lit(1 / SUREST)) * MILLIONTHS).cast("long")
    parts = [proposed.groupBy("item_index").agg(F.sum(odds).cast("double").alias("expected")),
             others.groupBy("item_index").agg((F.sum(odds) * F.lit(times)).alias("expected"))]  # fmt: skip
    both = reduce(DataFrame.unionByName, parts).groupBy("item_index")
    return both.agg(F.round(F.sum("expected")).cast("long").alias("expected"))


def placed(found: Merits, users: DataFrame, placing: Placing, min_users: int, seed: int) -> DataFrame:
    """`user_index`, `item_index`, `merit` of the pairs that are published. users: `user_index`, `breadth`."""
    if found.forecast is None or placing.slack is None:
        return place_by_user(found.pairs, users, placing.budget, min_users, seed)
    return place_by_forecast(found.pairs, users, found.forecast, placing.budget, placing.slack, min_users, seed)


def natural(budget: float, shop: Shop, made: DataFrame) -> float:
    """`budget`, but no more for the items of `made` than as many warm ones have: few items would get everybody."""
    return min(budget, made.count() / max(1, shop.warm().count()))


def place(
    context: Context, staged: Publication, shop: Shop, made: DataFrame, judge: ChosenJudge | None,
    budget: float | None = None, weight: float | None = None,
) -> DataFrame:  # fmt: skip
    """`user_index`, `item_index`, `weight` of the virtual events of items with a generated preference.

    made: `item_index`, `vector`, `log_activity`; judge: None to trust the generator; budget,
    weight: instead of the chosen ones.
    """
    config = context.config.synthesize
    placing = judge.placing if judge else Placing(config.fixed_budget or BUDGET, config.unjudged_weight)
    budget, weight = natural(placing.budget if budget is None else budget, shop, made), weight or placing.weight
    if judge is not None:
        made = staged.keep("judge/made", with_linear(made, shop.items, judge.ridge(shop.table())))
    found = merits(context, staged, shop, made, judge.address if judge else None, budget)
    chosen = placed(found, shop.users, replace(placing, budget=budget), config.min_events, config.seed)
    return chosen.select(
        "user_index", "item_index", (F.lit(weight) * F.col(MERIT) if judge else F.lit(weight)).alias("weight")
    )
