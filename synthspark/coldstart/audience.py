"""Generate, then judge: the audience of items that nobody knows yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.placing import num_candidates, of_like_taste, place_items, preferred, propose
from synthspark.coldstart.shop import Shop
from synthspark.judging import (
    MERIT,
    SCORES,
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
from synthspark.runs.lake import Publication
from synthspark.training import storage

BUDGET, WEIGHT = 0.1, 0.5
"""The placing where nothing can be tried."""


@dataclass(frozen=True)
class Placing:
    """Virtual events of a user, as a share of his own items, and what one weighs that the judge is sure of."""

    budget: float
    weight: float

    def words(self) -> str:
        """For people."""
        if self == NOTHING:
            return "cold items get no virtual events: none of the placings tried gains and keeps what is there"
        return f"budget {self.budget:g}, weight {self.weight:g}"


NOTHING = Placing(0.0, 0.0)
"""Where no virtual event does better than none."""


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
    context: Context, staged: Publication, shop: Shop, made: DataFrame, judge: tuple[str, str] | None, budget: float,
    known: DataFrame | None = None,
) -> DataFrame:  # fmt: skip
    """`user_index`, `item_index`, `merit` of the pairs that are proposed for a `budget`.

    The generator proposes; where there is a judge the linear regression does, too, and where items have texts or sets,
    content neighbours do.

    made: `item_index`, `vector`, `log_activity`, and for a judge `linear`; judge: URL and sha256 of a trained one, None
    to trust the generator; known: pairs that need no virtual event, since there is a real one.
    """
    config, table = context.config.judge, shop.table()
    per_event, least = (config.candidates_per_event, config.min_candidates) if judge else (1.0, 1)
    users = shop.users.withColumn("k", num_candidates(budget, per_event, least))
    least_users = context.config.synthesize.min_events
    stats = item_statistics(shop.warm(), shop.pairs, table) if judge else None
    if stats is None:
        proposed = propose(users, made, least_users)
    else:
        linear = made.drop("vector").withColumnRenamed("linear", "vector")
        pairs = [preferred(users, made), of_like_taste(users, made, least_users), preferred(users, linear)]
        if table.bags:
            # What a text says of an item the others know from few; who has its like is a proposal of its own.
            asked = shop.items.join(made.select("item_index"), on="item_index", how="left_semi")
            near = staged.keep("judge/near", neighbours(asked, shop.warm(), "item_index", table, stats))
            pairs.append(alike_pairs(near, shop.pairs, users.select("user_index", "k"), context.config.seed))
        proposed = scored(reduce(DataFrame.unionByName, pairs).distinct(), users, made, SCORES)
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

    made: `item_index`, `vector`, `log_activity`; known: as of `merits`; judge: None to trust the generator; budget,
    weight: instead of the chosen ones.
    """
    config = context.config.synthesize
    placing = judge.placing if judge else Placing(config.fixed_budget or BUDGET, config.unjudged_weight)
    budget, weight = placing.budget if budget is None else budget, weight or placing.weight
    if judge is not None:
        made = staged.keep("judge/made", with_linear(made, shop.items, judge.ridge(shop.table())))
    found = merits(context, staged, shop, made, judge.address if judge else None, budget, known)
    chosen = place_items(found, shop.users, budget, config.min_events, config.seed)
    return chosen.select(
        "user_index", "item_index", (F.lit(weight) * F.col(MERIT) if judge else F.lit(weight)).alias("weight")
    )
