"""Training of the judge of item audiences on a pseudo-cold fold, and choice of the placing with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark import config as configuration
from synthspark.coldstart.audience import BUDGET, WEIGHT, Placing, capped_budget, merits
from synthspark.coldstart.folding import bounded_fold_in, swapped
from synthspark.coldstart.shop import Shop, folded, open_pairs
from synthspark.coldstart.spaces import als_settings, space_settings
from synthspark.coldstart.trials import asked_share, of_share
from synthspark.coldstart.tuning import BUDGETS, Trials, TrialSplit, trial_split, tuned
from synthspark.judging import (
    SCORES,
    Judge,
    LabelledFeatures,
    NetworkSettings,
    Prior,
    TreeSettings,
    fit_network,
    fit_ridge,
    fit_trees,
    item_statistics,
    labelled_pairs,
    pair_rows,
    save_judge,
    training_rows,
    with_linear,
)  # fmt: skip
from synthspark.ranking.split import Split
from synthspark.recommend import AlsSettings
from synthspark.retrieval import with_score
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.runs.tables import ITEM_SPACE
from synthspark.synthesis.generate import preferences
from synthspark.training import storage

HELD_OUT = 0.2
"""Share of the interactions that a trial holds out."""
RELEARNED = 3
"""Number of ALS steps that remove what a trial holds out from the vectors."""


def train_judge(
    context: Context, staged: Publication, shop: Shop, model_url: str, meta: dict[str, Any], url: str,
    asking: DataFrame | None,
) -> dict[str, Any] | None:  # fmt: skip
    """Fit the judge on the fold and write it to `url`; return its judge.json, or None if the fold is too small.

    asking: the cold items that will share the budget (`item_index` and the encoded columns), if any.

    The generator at `model_url` has not seen the fold's items, and users' vectors were fitted without their sales. So
    the judge is trained on the same kind of input that it will get for items that are really cold.
    """
    config, seed = context.config.judge, context.config.seed
    table, warm = shop.table(), shop.warm()
    fold = staged.keep("judge/fold", warm.where(folded(context)))
    if len(fold.take(config.min_fold_items)) < config.min_fold_items:
        return None
    context.on_step("training the judge: pairs of its fold of items")
    ridge = fit_ridge(warm.join(shop.places, on="item_index", how="inner"), "item_index", table)

    def said_of(items: DataFrame) -> DataFrame:
        found = preferences(items.withColumn("noise", F.lit(0.0)), "item_index", model_url, meta, seed)
        return with_linear(found, items, ridge)

    made = staged.keep("judge/made", said_of(fold))
    labelled = labelled_pairs(shop.pairs, fold, config.negatives, config.max_pairs, seed)
    asked = staged.keep("judge/asked", with_score(labelled, shop.users, made, SCORES))
    seen = open_pairs(context, shop.pairs)
    stats = item_statistics(warm.where(~folded(context)), seen, table)
    history = seen.join(asked.select("user_index").distinct(), on="user_index", how="left_semi")
    rows = pair_rows(asked, made, shop.items, history, table, config.max_history)
    learned = training_rows(rows, table, stats)
    context.on_step(f"training the judge: {len(learned.labels):,} pairs")
    judge = fit_judge(config, learned, table.feature_names, seed)
    if judge is None:
        return None
    placing, trials = _placing(context, staged, shop, made, asking, said_of, learned, url)

    def write(name: str, data: bytes) -> None:
        storage.write(f"{url}/{name}", data)

    about = {"placing": asdict(placing), "trials": trials, "ridge_sha256": ridge.save(write)}
    return save_judge(judge, table.to_json(), write, about)


def fit_judge(config: configuration.Judge, rows: LabelledFeatures, names: list[str], seed: int) -> Judge | None:
    """Fit the judge that `judge.model` names, with its prior; None unless there are both real and drawn pairs."""
    known = (rows.features, rows.labels, rows.items, names)
    judge: Judge | None
    if config.model == "network":
        judge = fit_network(*known, NetworkSettings(config.epochs, config.hidden, seed=seed))
    else:
        judge = fit_trees(*known, TreeSettings(config.trees, config.learning_rate, config.leaves, seed))
    if judge is None:
        return None
    return replace(judge, prior=Prior.of(rows.features, names, rows.items, judge.probability(rows.features)))


def _placing(
    context: Context, staged: Publication, shop: Shop, made: DataFrame, asking: DataFrame | None,
    said_of: Callable[[DataFrame], DataFrame], learned: LabelledFeatures, url: str,
) -> tuple[Placing, Trials]:  # fmt: skip
    """Return the configured placing, or choose one on the even half of the fold with a judge of the odd half.

    made: preferences of the fold's items; asking: as in `train_judge`; said_of: computes the preferences of items.
    """
    config = context.config.synthesize
    fixed = (config.fixed_budget, config.fixed_weight)
    given = Placing(fixed[0] or BUDGET, fixed[1] or WEIGHT)
    if all(fixed):
        return given, {}
    table = shop.table()
    trier = fit_judge(context.config.judge, learned.where(learned.items % 2 == 1), table.feature_names,
                      context.config.seed)  # fmt: skip
    if trier is None:
        return given, {}
    trial_url = f"{url}-trial"
    saved = save_judge(trier, table.to_json(), lambda name, data: storage.write(f"{trial_url}/{name}", data))
    tried = made.where(F.col("item_index") % 2 == 0)
    trial, known = trial_shop(context, staged, shop, tried)
    made = tried
    if asking is not None and asking.count() > tried.count():
        # They share the budget, and its cost to warm accuracy depends on all of it, not on the tried items' part.
        items = shop.items.unionByName(asking.select(shop.items.columns))
        known = replace(known, items=staged.keep("judge/items", items))
        made = tried.unionByName(staged.keep("judge/asking", said_of(asking)))
    found = merits(context, staged, known, made, (trial_url, saved["sha256"]), fixed[0] or max(BUDGETS))
    most = capped_budget(max(BUDGETS), known, made)
    return tuned(context, staged, trial, found, known.users, als_settings(context), fixed, most)


def trial_shop(context: Context, staged: Publication, shop: Shop, fold: DataFrame) -> tuple[TrialSplit, Shop]:
    """Build the split that placings are tried on, with the items of `fold` as cold, and the shop that is known then.

    In a large shop only a sample of users is asked and gets virtual events; item statistics use all users. Users'
    vectors are refitted on training rows alone: with vectors that knew the held-out pairs, virtual events were placed
    near these, and warm accuracy seemed to rise by 8 % where it fell by 6 % (docs/decisions/016).
    """
    config = context.config
    split, tests = trial_split(shop.pairs, fold, HELD_OUT, config.seed)
    train = staged.keep("trial/train", split.train)
    breadth = train.groupBy("user_index").agg(F.count(F.lit(1)).alias("breadth"))
    asked = of_share(asked_share(train), config.seed)
    settings = space_settings(context, ITEM_SPACE)
    most = config.judge.max_history
    shown = train.where(asked)
    vectors = bounded_fold_in(shown, _relearned(staged, shown, shop.places, settings, most), settings, most)
    users = vectors.join(breadth, on="user_index", how="inner")
    known = replace(shop, pairs=train, users=staged.keep("trial/users", users))
    kept = {"test": split.test.where(asked), "users": split.users.where(asked), "items": split.items}
    split = Split(train.where(asked), **{part: staged.keep(f"trial/of_{part}", rows) for part, rows in kept.items()})
    kept_tests = {name: staged.keep(f"trial/{name}", test.where(asked)) for name, test in tests.items()}
    return TrialSplit(split, kept_tests), known


def _relearned(staged: Publication, train: DataFrame, places: DataFrame, settings: AlsSettings, most: int) -> DataFrame:
    """Refit items' vectors on `train` alone, in the space that the generator has learned.

    places: items' vectors, fitted with the pairs that the trial holds out; users' vectors folded in against them would
    contain some of these. RELEARNED steps of ALS on `train`, starting from `places`, remove that (on Online Retail the
    trial's warm accuracy fell by .7 to 1 %).
    """
    for _ in range(RELEARNED):
        users = staged.keep("trial/users_of", bounded_fold_in(train, places, settings, most))
        places = swapped(bounded_fold_in(swapped(train), swapped(users), settings, most))
        places = staged.keep("trial/places", places)
    return places
