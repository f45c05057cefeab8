"""Choice of the form of cold users' baskets, or of no baskets, by a trial on warm users who are treated as cold.

The generator of users has not learned from these users (`held_back`), and in the trial they keep as many interactions
as the shop's cold users have. The generator's own scores cannot decide: on Online Retail, where the only attribute of
users is their country, they favoured its own lists over the most bought items, and new users were served worse by an
eighth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synthspark.coldstart.baskets import FORMS, Asked, Form, baskets, cold_users
from synthspark.coldstart.learn import Learned
from synthspark.coldstart.spaces import als_settings
from synthspark.coldstart.trials import MIN_TRIAL_USERS, asked_share, held_back, of_share
from synthspark.indexing import uniform
from synthspark.ranking.measures import SliceResult, measure, questions, rank_items
from synthspark.ranking.split import COLD, WARM, Slice, Split
from synthspark.recommend import blocks_for, fit_als, with_virtual
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.runs.tables import ALS_SPACE
from synthspark.sides import ITEMS, USERS

K = 20
NONE = "no baskets"
SLICES = {"cold": Slice((COLD,), (WARM,))}


def best_form(
    context: Context, staged: Publication, learned: Learned, cold: DataFrame
) -> tuple[Form | None, dict[str, float]]:
    """Return the form with which ALS serves users like the `cold` ones best, and NDCG@20 by form in words.

    The form is None if ALS does best without baskets: users are then served by their own events, and users without
    events get the most bought items. cold: the cold users, with their index.
    """
    held = learned.evidence.warm(USERS).where(held_back(context))
    share = min(1.0, MIN_TRIAL_USERS / max(1, held.count()))
    held = staged.keep("form/held", held.where(of_share(share, context.config.seed)).withColumn("noise", F.lit(0.0)))
    if not held.take(1):
        return None, {}
    split = _split(context, staged, learned, held, cold)
    about, targets = learned.models[USERS.name], learned.spaces[ALS_SPACE][ITEMS]
    asked = cold_users(context, staged, held, targets, split.train, about.url, about.meta)
    results = try_forms(context, staged, split, asked, [None, *bounded(context, learned, cold, FORMS)], SLICES)
    found = {in_words(form): accuracy(result, "cold") for form, result in results.items()}
    return max(results, key=lambda form: found[in_words(form)]), found


def try_forms(
    context: Context, staged: Publication, split: Split, asked: Asked, forms: Sequence[Form | None],
    slices: Mapping[str, Slice],
) -> dict[Form | None, dict[str, SliceResult]]:  # fmt: skip
    """Fit ALS with baskets of each form, and measure how it ranks in each slice; slices without users are absent.

    asked: the split's cold users and what their baskets are made from.
    """
    of = questions(split, slices)
    of = of._replace(truth=staged.keep("form/truth", of.truth))
    blocks = blocks_for(split.train.count() + asked.made.count() * max(form.size for form in forms if form))
    found: dict[Form | None, dict[str, SliceResult]] = {}
    for form in forms:
        rows = with_virtual(split.train, baskets(context, asked, form)) if form else split.train
        factors = fit_als(staged.keep("form/rows", rows), als_settings(context), blocks)
        lists = staged.keep("form/lists", rank_items(split, factors.users, factors.items, K))
        found[form] = measure(of, lists, [K])
    return found


def accuracy(results: Mapping[str, SliceResult], part: str) -> float:
    """Return NDCG@20 of a slice, rounded for reports; 0 without users."""
    return round(results[part].value([K], f"ndcg_{K}"), 4) if part in results else 0.0


def in_words(form: Form | None) -> str:
    """Return a form in words, for reports."""
    return form.words() if form else NONE


def bounded(context: Context, learned: Learned, cold: DataFrame, forms: Sequence[Form]) -> list[Form]:
    """Return `forms` with sizes limited so that the baskets of all `cold` users stay within `max_basket_share`."""
    s = context.config.synthesize
    each = learned.evidence.pairs.count() * s.max_basket_share / max(1, cold.count())
    return [replace(form, size=min(form.size, max(s.min_events, int(each)))) for form in forms]


def _split(context: Context, staged: Publication, learned: Learned, held: DataFrame, cold: DataFrame) -> Split:
    """Make a split with the `held` users as cold; each keeps as many interactions as a random `cold` user has."""
    seed, pairs = context.config.seed, learned.evidence.pairs
    theirs = pairs.join(held.select("user_index"), on="user_index", how="left_semi")
    order = Window.partitionBy("user_index").orderBy(F.xxhash64(F.lit(seed), "item_index"), "item_index")
    placed = theirs.withColumn("_place", F.row_number().over(order))
    theirs = staged.keep("form/theirs", placed.withColumn("_kept", F.col("_place") <= _kept_events(pairs, cold, seed)))
    others = pairs.where(of_share(asked_share(pairs), seed))
    others = others.join(held.select("user_index"), on="user_index", how="left_anti")
    columns = ("user_index", "item_index", "rating")
    train = others.select(*columns).unionByName(theirs.where("_kept").select(*columns))
    items = learned.spaces[ALS_SPACE][ITEMS].select("item_index", F.lit(WARM).alias("role"))
    test = theirs.where("not _kept").select("user_index", "item_index")
    test = staged.keep("form/test", test.join(items, on="item_index", how="left_semi"))
    return Split(staged.keep("form/train", train), test, held.select("user_index", F.lit(COLD).alias("role")), items)


def _kept_events(pairs: DataFrame, cold: DataFrame, seed: int) -> Column:
    """Return the number of interactions that a held user keeps, drawn from those of the `cold` users."""
    own = pairs.join(cold.select("user_index"), on="user_index", how="left_semi").groupBy("user_index").count()
    sizes = cold.select("user_index").join(own, on="user_index", how="left").fillna(0, ["count"])
    counted = sorted((r["size"], r["users"]) for r in sizes.groupBy(F.col("count").alias("size")).agg(
        F.count(F.lit(1)).alias("users")).collect())  # fmt: skip
    total, below, kept = sum(users for _, users in counted), 0, F.lit(0)
    draw = uniform(F.lit("kept events"), F.lit(seed), "user_index")
    for size, users in counted:
        kept = F.when(draw >= below / max(1, total), F.lit(size)).otherwise(kept)
        below += users
    return kept
