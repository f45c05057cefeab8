"""Generate, then judge: the audience of items that nobody knows yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.placing import num_candidates, place_items, propose
from synthspark.coldstart.shop import Shop
from synthspark.judging import MERIT, item_statistics, judged, load_judge, pair_rows
from synthspark.judging.neighbours import alike_pairs, neighbours
from synthspark.retrieval import scored
from synthspark.runs.context import Context
from synthspark.runs.lake import Publication
from synthspark.training import storage

BUDGET, WEIGHT = 0.1, 0.5
"""The placing where nothing can be tried."""


@dataclass(frozen=True)
class Placing:
    """Virtual events of a user, as a share of his own items, and what one weighs that the judge is sure of."""

    budget: float
    weight: float


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


def merits(
    context: Context, staged: Publication, shop: Shop, made: DataFrame, judge: tuple[str, str] | None, budget: float,
    known: DataFrame | None = None,
) -> DataFrame:  # fmt: skip
    """`user_index`, `item_index`, `merit` of the pairs that are proposed for a `budget`.

    The generator proposes, and where there is a judge and items have texts or sets, content neighbours do.

    made: `item_index`, `vector`, `log_activity`; judge: URL and sha256 of a trained one, None to trust the generator;
    known: pairs that need no virtual event, since there is a real one.
    """
    config, table = context.config.judge, shop.table()
    per_event, least = (config.candidates_per_event, config.min_candidates) if judge else (1.0, 1)
    users = shop.users.withColumn("k", num_candidates(budget, per_event, least))
    proposed = propose(users, made, context.config.synthesize.min_events)
    stats = item_statistics(shop.warm(), shop.pairs, table) if judge else None
    if stats is not None and table.bags:
        # What a text says of an item the generator knows from few others; who has its like is a proposal of its own.
        asked = shop.items.join(made.select("item_index"), on="item_index", how="left_semi")
        near = staged.keep("judge/near", neighbours(asked, shop.warm(), "item_index", table, stats))
        alike = alike_pairs(near, shop.pairs, users.select("user_index", "k"), context.config.seed)
        both = proposed.unionByName(scored(alike, users, made))
        proposed = both.groupBy("user_index", "item_index").agg(F.max("score").alias("score"))
    if known is not None:
        proposed = proposed.join(known.select("user_index", "item_index"), on=["user_index", "item_index"],
                                 how="left_anti")  # fmt: skip
    proposed = staged.keep("judge/proposed", proposed)
    if judge is None or stats is None:
        return proposed.withColumnRenamed("score", MERIT)
    history = shop.pairs.join(shop.users.select("user_index"), on="user_index", how="left_semi")
    rows = pair_rows(proposed, made, shop.items, history, table, config.max_history)
    return staged.keep("judge/merits", judged(rows, table, stats, partial(load_judge, *judge, storage.read)))


def place(
    context: Context, staged: Publication, shop: Shop, made: DataFrame, judge: ChosenJudge | None,
    known: DataFrame | None = None, budget: float | None = None, weight: float | None = None,
) -> DataFrame:  # fmt: skip
    """`user_index`, `item_index`, `weight` of the virtual events of items with a generated preference.

    made, known: as of `merits`; judge: None to trust the generator; budget, weight: instead of the chosen ones.
    """
    config = context.config.synthesize
    placing = judge.placing if judge else Placing(config.fixed_budget or BUDGET, config.unjudged_weight)
    budget, weight = budget or placing.budget, weight or placing.weight
    found = merits(context, staged, shop, made, judge.address if judge else None, budget, known)
    chosen = place_items(found, shop.users, budget, config.min_events, config.seed)
    return chosen.select(
        "user_index", "item_index", (F.lit(weight) * F.col(MERIT) if judge else F.lit(weight)).alias("weight")
    )
