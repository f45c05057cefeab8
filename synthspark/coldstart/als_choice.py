"""Choice of ALS's settings by trials on real rows of the run (`recommend.auto`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.spaces import als_settings
from synthspark.coldstart.trials import asked_share, of_share
from synthspark.quantiles import median
from synthspark.ranking.measures import Questions, measure, questions, rank_items
from synthspark.ranking.split import WARM, Slice, Split
from synthspark.recommend import AlsSettings, blocks_for, fit_als, popular, rating
from synthspark.recommend.choice import ORDER, held_out, neighbours_of, smallest_good_settings
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication

K = 20
CHOSEN = ("rank", "regularization", "alpha")


class Trial(NamedTuple):
    """Accuracy with which factors predict the test pairs of a split."""

    staged: Publication
    split: Split
    asked: Questions

    @classmethod
    def of(cls, staged: Publication, split: Split) -> Trial:
        """Return a trial on the warm users and items of `split`."""
        asked = questions(split, {WARM: Slice((WARM,), (WARM,))})
        return cls(staged, split, asked._replace(truth=staged.keep("als/truth", asked.truth)))

    def ndcg(self, users: DataFrame, items: DataFrame) -> float:
        """Return NDCG@20 of the factors; 0 if nothing is asked."""
        lists = self.staged.keep("als/lists", rank_items(self.split, users, items, K))
        found = measure(self.asked, lists, [K])
        return found[WARM].value([K], f"ndcg_{K}") if WARM in found else 0.0


def choose_als(context: Context, staged: Publication, pairs: DataFrame, report: StageReport) -> Context:
    """Choose ALS's settings on `pairs` (`Evidence.warm_pairs`), report them, and return the context with them set.

    Adds a note if the most bought items rank better than ALS with any setting tried.
    """
    context = with_settings(context, {})  # ignore an earlier choice of the same run
    asked = pairs.where(of_share(asked_share(pairs), context.config.seed))
    with staged.scope():
        tried, most_bought = _tried(context, staged, asked)
    chosen = smallest_good_settings(tried)
    report.details["als"] = _of(chosen)
    report.details["als_tried"] = [{**_of(settings), "ndcg": round(value, 4)} for settings, value in tried.items()]
    words = ", ".join(f"{key} {value:g}" for key, value in _of(chosen).items())
    report.notes.append(f"recommend: {words} chosen on real rows (NDCG@{K} {tried[chosen]:.4f}; the most bought items "
                        f"{most_bought:.4f})")  # fmt: skip
    if most_bought > max(tried.values()):
        report.notes.append("the most bought items rank better here than ALS with any of the settings tried: serve "
                            "those, or bring more events per user")  # fmt: skip
    return with_settings(context, _of(chosen))


def _tried(context: Context, staged: Publication, pairs: DataFrame) -> tuple[dict[AlsSettings, float], float]:
    """Return NDCG@20 of each setting tried, and NDCG@20 of the most bought items."""
    parts = held_out(pairs, context.config.evaluate.time_fraction, context.config.seed)
    train, test = (staged.keep(f"als/{n}", part) for n, part in zip(("train", "test"), parts, strict=True))
    test = staged.keep("als/new", test.join(train, on=["user_index", "item_index"], how="left_anti"))
    train = _with_own_unit(train)
    roles = [pairs.select(key).distinct().withColumn("role", F.lit(WARM)) for key in ("user_index", "item_index")]
    trial = Trial.of(staged, Split(train, test, roles[0], roles[1]))
    start, blocks, tried = als_settings(context), blocks_for(pairs.count()), dict[AlsSettings, float]()
    for key in (None, *ORDER):
        best = smallest_good_settings(tried) if tried else start
        for settings in [start] if key is None else neighbours_of(best, key):
            factors = fit_als(train, settings, blocks)
            tried[settings] = trial.ndcg(factors.users, factors.items)
    return tried, trial.ndcg(*popular(train))


def _with_own_unit(train: DataFrame) -> DataFrame:
    """Return `train` with ratings relative to its own median weight.

    With a half-life, weights of the older pairs are small relative to the median of all pairs. A large alpha would make
    up for that in a trial, and be wrong for all pairs.
    """
    pairs = train.withColumn("weight", F.expm1("rating"))
    return pairs.withColumn("rating", rating(F.col("weight"), median(pairs, "weight") or 1.0))


def with_settings(context: Context, settings: Mapping[str, Any]) -> Context:
    """Return the context with these ALS settings in its configuration, and no others to be chosen."""
    config = context.config
    recommend = config.recommend.model_copy(update={"auto": False, **settings})
    return replace(context, config=config.model_copy(update={"recommend": recommend}))


def _of(settings: AlsSettings) -> dict[str, Any]:
    return {key: getattr(settings, key) for key in CHOSEN}
