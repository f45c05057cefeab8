"""Generate, then judge: the audience of items that nobody knows yet. What train, synthesize and evaluate share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark import config as configuration
from synthspark.features.encoding import TableEncoding
from synthspark.judging import (
    MERIT,
    Judge,
    LabelledFeatures,
    NetworkSettings,
    PairTable,
    TreeSettings,
    fit_network,
    fit_trees,
    in_fold,
    item_statistics,
    judged,
    labelled_pairs,
    load_judge,
    pair_rows,
    save_judge,
    training_rows,
)  # fmt: skip
from synthspark.lake import Publication
from synthspark.pipeline.context import Context, factor_vectors, indexed_interactions, read_encoding
from synthspark.retrieval import scored
from synthspark.synthesis.generate import preferences
from synthspark.synthesis.placing import place_items, propose
from synthspark.training import storage

ALS_SPACE, ITEM_SPACE = "factors", "item_factors"
"""Preference spaces. That of ALS as it recommends: what baskets must make ALS give back. And a longer one, which tells
more items apart, for the audience of items; without the judge's fold."""


@dataclass(frozen=True)
class Shop:
    """What is known of a shop's items and of who bought them."""

    encoding: TableEncoding
    items: DataFrame
    """`item_index` and the encoded columns: of every item, warm or not."""
    pairs: DataFrame
    """`user_index`, `item_index` of the warm items."""
    users: DataFrame
    """`user_index`, `vector` in the space that the generator of items has learned, `breadth`."""


def published_shop(context: Context) -> Shop:
    """The run's own: warm users and items of features, vectors of the space that the generator of items learned."""
    encoding, config = read_encoding(context, "items"), context.config.features
    items = context.read("features/items", feed=True)
    users = context.read("features/users", feed=True)
    warm = indexed_interactions(context).select("user_index", "item_index")
    warm = warm.join(items.where(F.col("breadth") >= config.min_item_users), on="item_index", how="left_semi")
    warm = warm.join(users.where(F.col("breadth") >= config.min_user_items), on="user_index", how="left_semi")
    vectors = factor_vectors(context.read(f"{ITEM_SPACE}/users", feed=True), "user_index")
    known = vectors.join(users.select("user_index", "breadth"), on="user_index", how="inner")
    encoded = items.select("item_index", *encoding.code_columns, *encoding.number_columns)
    return Shop(encoding, encoded, warm.select("user_index", "item_index"), known)


def folded(context: Context) -> Any:
    """The condition that an item (if warm) is of the judge's fold."""
    return in_fold("item_index", context.config.judge.fold_fraction, context.config.seed)


def open_pairs(context: Context, pairs: DataFrame) -> DataFrame:
    """The pairs that the generator of items may see."""
    return pairs.where(~folded(context)) if context.config.judge.enabled else pairs


def train_judge(
    context: Context, staged: Publication, shop: Shop, model_url: str, meta: dict[str, Any], url: str
) -> dict[str, Any] | None:
    """Fit the judge on the fold and write it to `url`; returns its judge.json, or None where the fold is too small.

    The generator at `model_url` has not seen the fold's items, and the users' vectors not their sales: what the judge
    learns to trust is what it will be given for items that are really cold.
    """
    config, seed = context.config.judge, context.config.seed
    table = PairTable.of(shop.encoding)
    warm = shop.items.join(shop.pairs.select("item_index").distinct(), on="item_index", how="left_semi")
    fold = warm.where(folded(context))
    if len(fold.take(config.min_fold_items)) < config.min_fold_items:
        return None
    made = preferences(fold.withColumn("noise", F.lit(0.0)), "item_index", model_url, meta, seed)
    made = staged.keep("judge/made", made)
    labelled = labelled_pairs(shop.pairs, fold, config.negatives, config.max_pairs, seed)
    asked = staged.keep("judge/asked", scored(labelled, shop.users, made))
    seen = open_pairs(context, shop.pairs)
    stats = item_statistics(warm.where(~folded(context)), seen, table)
    rows = pair_rows(asked, made, shop.items, seen, table, config.max_history)
    judge = fit_judge(config, training_rows(rows, table, stats), table.feature_names, seed)
    if judge is None:
        return None
    return save_judge(judge, table, lambda name, data: storage.write(f"{url}/{name}", data))


def fit_judge(config: configuration.Judge, rows: LabelledFeatures, names: list[str], seed: int) -> Judge | None:
    """The kind of judge that `judge.model` names; None where there are not both real and drawn pairs."""
    if config.model == "network":
        return fit_network(*rows, names, NetworkSettings(config.epochs, config.hidden, seed=seed))
    return fit_trees(*rows, names, TreeSettings(config.trees, config.learning_rate, config.leaves, seed))


def place(
    context: Context,
    staged: Publication,
    shop: Shop,
    made: DataFrame,
    judge: tuple[str, str] | None,
    known: DataFrame | None = None,
    budget: float | None = None,
    weight: float | None = None,
) -> DataFrame:
    """`user_index`, `item_index`, `weight` of the virtual events of items with a generated preference.

    made: `item_index`, `vector`, `log_activity`; judge: URL and sha256 of a trained one, None to trust the generator;
    known: pairs that need no virtual event, since there is a real one; budget, weight: instead of the configured ones.
    """
    config, placing = context.config.judge, context.config.synthesize
    budget = placing.budget if budget is None else budget
    per_event, least = (config.candidates_per_event, config.min_candidates) if judge else (1.0, 1)
    proposed = propose(shop.users, made, budget, per_event, least, placing.min_events)
    if known is not None:
        proposed = proposed.join(known.select("user_index", "item_index"), on=["user_index", "item_index"],
                                 how="left_anti")  # fmt: skip
    proposed = staged.keep("judge/proposed", proposed)
    if judge is None:
        chosen = place_items(proposed.withColumnRenamed("score", MERIT), shop.users, budget, placing.min_events)
        return chosen.withColumn("weight", F.lit(placing.unjudged_weight if weight is None else weight))
    table = PairTable.of(shop.encoding)
    warm = shop.items.join(shop.pairs.select("item_index").distinct(), on="item_index", how="left_semi")
    stats = item_statistics(warm, shop.pairs, table)
    rows = pair_rows(proposed, made, shop.items, shop.pairs, table, config.max_history)
    merits = staged.keep("judge/merits", judged(rows, table, stats, partial(load_judge, *judge, storage.read)))
    chosen = place_items(merits, shop.users, budget, placing.min_events)
    return chosen.withColumn("weight", F.lit(placing.weight if weight is None else weight) * F.col(MERIT))
