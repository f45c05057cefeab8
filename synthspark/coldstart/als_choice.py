"""ALS tried on real rows of the run, where `recommend: auto` asks for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.spaces import als_settings
from synthspark.coldstart.trials import asked_share, of_share
from synthspark.ranking.measures import measure, questions, ranked
from synthspark.ranking.metrics import metric_columns
from synthspark.ranking.split import WARM, Slice, Split
from synthspark.recommend import AlsSettings, blocks_for, fit_als
from synthspark.recommend.choice import ORDER, frugal, held_out, neighbours_of
from synthspark.runs.context import Context, StageReport
from synthspark.runs.lake import Publication

K = 20
CHOSEN = ("rank", "regularization", "alpha")


def choose_als(context: Context, staged: Publication, pairs: DataFrame, report: StageReport) -> Context:
    """The context with ALS's settings as chosen on `pairs` (`Evidence.warm_pairs`); they go to the report, too.

    Says so where the most bought items rank better than ALS with any of them.
    """
    config, share = context.config, context.config.evaluate.time_fraction
    asked = pairs.where(of_share(asked_share(pairs), config.seed))
    with staged.scope():
        tried, popular = _tried(context, staged, asked, share)
    chosen = frugal(tried)
    report.details["als"] = {key: getattr(chosen, key) for key in CHOSEN}
    report.details["als_tried"] = [{**_of(settings), "ndcg": round(value, 4)} for settings, value in tried.items()]
    words = ", ".join(f"{key} {value:g}" for key, value in _of(chosen).items())
    report.notes.append(f"recommend: {words} chosen on real rows (NDCG@{K} {tried[chosen]:.4f}; the most bought items "
                        f"{popular:.4f})")  # fmt: skip
    if popular > max(tried.values()):
        report.notes.append("the most bought items rank better here than ALS with any of the settings tried: serve "
                            "those, or bring more events of each user")  # fmt: skip
    settings = config.recommend.model_copy(update={"auto": False, **report.details["als"]})
    return context.with_config(config.model_copy(update={"recommend": settings}))


def _tried(
    context: Context, staged: Publication, pairs: DataFrame, share: float
) -> tuple[dict[AlsSettings, float], float]:
    """NDCG@20 of the settings tried, and that of the most bought items."""
    train, test = (staged.keep(f"als/{n}", part) for n, part in
                   zip(("train", "test"), held_out(pairs, share, context.config.seed), strict=True))  # fmt: skip
    test = staged.keep("als/new", test.join(train, on=["user_index", "item_index"], how="left_anti"))
    roles = [pairs.select(key).distinct().withColumn("role", F.lit(WARM)) for key in ("user_index", "item_index")]
    split = Split(train, test, roles[0], roles[1])
    asked = questions(split, {WARM: Slice((WARM,), (WARM,))})
    asked = asked._replace(truth=staged.keep("als/truth", asked.truth))
    column = metric_columns([K]).index(f"ndcg_{K}")

    def value(users: DataFrame, items: DataFrame) -> float:
        found = measure(asked, staged.keep("als/lists", ranked(split, users, items, K)), [K])
        return float(found[WARM].sums.means()[column]) if WARM in found else 0.0

    start, blocks, tried = als_settings(context), blocks_for(pairs.count()), dict[AlsSettings, float]()
    for key in (None, *ORDER):
        best = frugal(tried) if tried else start
        for settings in [start] if key is None else neighbours_of(best, key):
            factors = fit_als(train, settings, blocks)
            tried[settings] = value(factors.users, factors.items)
    bought = train.groupBy("item_index").agg(F.array(F.count(F.lit(1)).cast("float")).alias("vector"))
    everybody = roles[0].select("user_index", F.array(F.lit(1.0).cast("float")).alias("vector"))
    return tried, value(everybody, bought)


def _of(settings: AlsSettings) -> dict[str, Any]:
    known = asdict(settings)
    return {key: known[key] for key in CHOSEN}
