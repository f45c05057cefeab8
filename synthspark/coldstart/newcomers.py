"""Form of the baskets of users without any event: a trial in time, on users who were new lately.

What is bought changes with the seasons, so that the best sellers of all times serve tomorrow's new users badly: by
those of the last four weeks, the newest users are served better by a sixth (MovieLens) to a half (Online Retail;
docs/decisions/021). A split that is drawn cannot show it, since its held-out interactions are of all times; so the
trial is made only if virtual events are for the time to come (`Evidence.later`).
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.baskets import RECENT, Asked, Form, Forms, cold_users
from synthspark.coldstart.forms import K, accuracy, best_form, bounded, in_words, try_forms
from synthspark.coldstart.learn import Learned
from synthspark.coldstart.trials import MIN_TRIAL_USERS, asked_share, of_share
from synthspark.quantiles import quantiles
from synthspark.ranking.measures import SliceResult, paired_difference
from synthspark.ranking.split import COLD, WARM, Slice, Split
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.runs.tables import ALS_SPACE
from synthspark.sides import ITEMS, USERS

NEWEST = 0.1
"""Share of the interactions, the newest ones, in whose time the trial's users are new. The season of a longer time is
another one: on Online Retail in November, the newest fifth begins in early October, when nothing was gained yet."""
SLICES = {"cold": Slice((COLD,), (WARM,)), "warm": Slice((WARM,), (WARM,))}
MIN_WARM = 0.995
"""Minimum share of the other users' accuracy that a form keeps; starts of ALS differ by as much."""
RESAMPLES = 200
MIN_NEWCOMERS = 30
"""Minimum number of new users for a trial."""


def choose_forms(
    context: Context, staged: Publication, learned: Learned, cold: DataFrame
) -> tuple[Forms, dict[str, float]]:
    """Return the forms of the baskets of `cold` users, and NDCG@20 of the users of the trials, by form in words."""
    form, tried = best_form(context, staged, learned, cold)
    of_new, lately = _form_of_newcomers(context, staged, learned, cold, form)
    return Forms(form, of_new), tried | {f"in time: {name}": value for name, value in lately.items()}


def _form_of_newcomers(
    context: Context, staged: Publication, learned: Learned, cold: DataFrame, form: Form | None
) -> tuple[Form | None, dict[str, float]]:
    """Return which of `form`, RECENT and no baskets is best for users who were new lately; `form` without a trial.

    Forms that surely lower the others' accuracy (`_harmless`) are not taken. The generator and the items' vectors have
    learned from the trial's time, which favours `form`.
    """
    known = learned.evidence.pairs.select("user_index")
    if not context.config.synthesize.recent_baskets or not learned.evidence.later:
        return form, {}
    if not cold.join(known, on="user_index", how="left_anti").take(1):
        return form, {}
    split = _lately(context, staged, learned)
    if split is None:
        return form, {}
    asked = _asked(context, staged, learned, split, form)
    forms = dict.fromkeys([form, None, *bounded(context, learned, cold, [RECENT])])
    results = try_forms(context, staged, split, asked, list(forms), SLICES)
    found = {f"{in_words(of)}, {part}": accuracy(result, part) for of, result in results.items() for part in SLICES}
    harmless = [of for of, result in results.items() if _harmless(results[None], result)]
    return max(harmless, key=lambda of: accuracy(results[of], "cold")), found


def _harmless(real: Mapping[str, SliceResult], tried: Mapping[str, SliceResult]) -> bool:
    """Return whether the interval of the others' accuracy reaches MIN_WARM of that without baskets.

    (Where they are few, as on MovieLens, the mean would reject by chance.)
    """
    if "warm" not in real or "warm" not in tried:
        return True
    found = paired_difference([real["warm"].sums], [tried["warm"].sums], [K], f"ndcg_{K}", RESAMPLES, 0)
    return found.high >= (MIN_WARM - 1) * found.real


def _lately(context: Context, staged: Publication, learned: Learned) -> Split | None:
    """Split by time, with the users who were new in the newest part as cold; None without times or enough such users.

    The others, as many of them as take part in trials, are asked about the newest part, too.

    The time of a training pair's last event is only known if it is before the cut; otherwise its first one is used.
    """
    pairs, seed = learned.evidence.pairs, context.config.seed
    cut = quantiles(pairs, {"since": F.col("since")}, [1 - NEWEST])["since"] if "until" in pairs.columns else []
    if not cut:
        return None
    users = pairs.groupBy("user_index").agg(F.min("since").alias("first")).where(F.col("first") >= cut[0])
    count = users.count()
    if count < MIN_NEWCOMERS:
        return None
    users = staged.keep(
        "new/users", users.where(of_share(min(1.0, MIN_TRIAL_USERS / count), seed)).select("user_index")
    )
    known = F.when(F.col("until") < cut[0], F.col("until")).otherwise(F.col("since")).alias("until")
    before = pairs.where(F.col("since") < cut[0]).where(of_share(asked_share(pairs), seed))
    train = staged.keep("new/train", before.select("user_index", "item_index", "rating", known))
    targets = learned.spaces[ALS_SPACE][ITEMS].select("item_index")
    items = targets.join(train.select("item_index"), on="item_index", how="left_semi")
    items = staged.keep("new/items", items.withColumn("role", F.lit(WARM)))
    others = train.select("user_index").distinct().withColumn("role", F.lit(WARM))
    roles = staged.keep("new/roles", others.unionByName(users.withColumn("role", F.lit(COLD))))
    test = pairs.where(F.col("since") >= cut[0]).join(roles, on="user_index", how="left_semi")
    test = test.join(items, on="item_index", how="left_semi").select("user_index", "item_index")
    return Split(train, staged.keep("new/test", test), roles, items)


def _asked(context: Context, staged: Publication, learned: Learned, split: Split, form: Form | None) -> Asked:
    """Return what the baskets of the split's cold users are made from; preferences only if `form` needs them."""
    targets = learned.spaces[ALS_SPACE][ITEMS].join(split.items.select("item_index"), on="item_index", how="left_semi")
    users = split.users.where(F.col("role") == COLD).select("user_index")
    if form is None:
        return Asked(users, targets, split.train, split.train.select("user_index", "item_index").limit(0))
    evidence, about = learned.evidence, learned.models[USERS.name]
    encoded = evidence.entities[USERS].select("user_index", *evidence.encodings[USERS].columns)
    encoded = encoded.join(users, on="user_index", how="left_semi").withColumn("noise", F.lit(0.0))
    return cold_users(context, staged, encoded, targets, split.train, about.url, about.meta)
