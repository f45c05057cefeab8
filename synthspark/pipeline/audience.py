"""Generate, then judge: the audience of items that nobody knows yet. What train, synthesize and evaluate share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.features.encoding import TableEncoding
from synthspark.judging import MERIT, PairTable, in_fold, item_statistics, judged, load_judge, pair_rows
from synthspark.lake import Publication
from synthspark.pipeline.context import Context, factor_vectors, indexed_interactions, read_encoding
from synthspark.recommend import rating
from synthspark.synthesis.placing import place_items, propose
from synthspark.training import storage

ALS_SPACE, ITEM_SPACE = "factors", "item_factors"
"""Preference spaces. That of ALS as it recommends: what baskets must make ALS give back. And a longer one, which tells
more items apart, for the audience of items; without the judge's fold."""
BUDGET, WEIGHT = 0.1, 0.5
"""The placing where nothing can be tried."""


@dataclass(frozen=True)
class Placing:
    """Virtual events of a user, as a share of his own items, and what one weighs that the judge is sure of."""

    budget: float
    weight: float


@dataclass(frozen=True)
class Shop:
    """What is known of a shop's items and of who bought them."""

    encoding: TableEncoding
    items: DataFrame
    """`item_index` and the encoded columns: of every item, warm or not."""
    pairs: DataFrame
    """`user_index`, `item_index`, `rating` of the warm items, and `since` (microseconds) where that is known."""
    users: DataFrame
    """`user_index`, `vector` in the space that the generator of items has learned, `breadth`."""


def published_shop(context: Context) -> Shop:
    """The run's own: warm users and items of features, vectors of the space that the generator of items learned."""
    encoding, config = read_encoding(context, "items"), context.config.features
    items = context.read("features/items", feed=True)
    users = context.read("features/users", feed=True)
    unit = context.record("featurize")["details"]["unit_weight"]
    warm = indexed_interactions(context).withColumn("rating", rating(F.col("weight"), unit))
    warm = warm.join(items.where(F.col("breadth") >= config.min_item_users), on="item_index", how="left_semi")
    warm = warm.join(users.where(F.col("breadth") >= config.min_user_items), on="user_index", how="left_semi")
    vectors = factor_vectors(context.read(f"{ITEM_SPACE}/users", feed=True), "user_index")
    known = vectors.join(users.select("user_index", "breadth"), on="user_index", how="inner")
    encoded = items.select("item_index", *encoding.code_columns, *encoding.number_columns)
    pairs = warm.select("user_index", "item_index", "rating", F.unix_micros("first_ts").alias("since"))
    return Shop(encoding, encoded, pairs, known)


def folded(context: Context) -> Any:
    """The condition that an item (if warm) is of the judge's fold."""
    return in_fold("item_index", context.config.judge.fold_fraction, context.config.seed)


def open_pairs(context: Context, pairs: DataFrame) -> DataFrame:
    """The pairs that the generator of items may see."""
    return pairs.where(~folded(context)) if context.config.judge.enabled else pairs


@dataclass(frozen=True)
class ChosenJudge:
    """A trained judge, and the placing that suits it."""

    url: str
    sha256: str
    placing: Placing

    @classmethod
    def of(cls, url: str, meta: Mapping[str, Any]) -> ChosenJudge:
        """From where it is and its judge.json (or what a stage's record keeps of it)."""
        return cls(url, meta["sha256"], Placing(**meta["placing"]))


def item_table(shop: Shop) -> tuple[PairTable, DataFrame]:
    """The columns that judging goes by, and the warm items."""
    warm = shop.items.join(shop.pairs.select("item_index").distinct(), on="item_index", how="left_semi")
    return PairTable.of(shop.encoding), warm


def merits(
    context: Context, staged: Publication, shop: Shop, made: DataFrame, judge: tuple[str, str] | None, budget: float,
    known: DataFrame | None = None,
) -> DataFrame:  # fmt: skip
    """`user_index`, `item_index`, `merit` of the pairs that are proposed for a `budget`.

    made: `item_index`, `vector`, `log_activity`; judge: URL and sha256 of a trained one, None to trust the generator;
    known: pairs that need no virtual event, since there is a real one.
    """
    config = context.config.judge
    per_event, least = (config.candidates_per_event, config.min_candidates) if judge else (1.0, 1)
    proposed = propose(shop.users, made, budget, per_event, least, context.config.synthesize.min_events)
    if known is not None:
        proposed = proposed.join(known.select("user_index", "item_index"), on=["user_index", "item_index"],
                                 how="left_anti")  # fmt: skip
    proposed = staged.keep("judge/proposed", proposed)
    if judge is None:
        return proposed.withColumnRenamed("score", MERIT)
    table, warm = item_table(shop)
    stats = item_statistics(warm, shop.pairs, table)
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
    found = merits(context, staged, shop, made, (judge.url, judge.sha256) if judge else None, budget, known)
    chosen = place_items(found, shop.users, budget, config.min_events)
    return chosen.withColumn("weight", F.lit(weight) * F.col(MERIT) if judge else F.lit(weight))
