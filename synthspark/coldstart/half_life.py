"""Choice of the half-life of events by trials on real events in time (`recommend.auto`)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.als_choice import K, Trial, with_settings
from synthspark.coldstart.spaces import als_settings
from synthspark.coldstart.trials import asked_share, of_share
from synthspark.features.interactions import pair_statistics
from synthspark.indexing import with_index, with_indices
from synthspark.quantiles import median, quantiles
from synthspark.ranking.split import time_split
from synthspark.recommend import blocks_for, fit_als, rating
from synthspark.recommend.choice import TOLERANCE
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.sides import ITEMS, SIDES, USERS

HALF_LIVES = (None, 90.0, 45.0, 20.0)
"""Half-lives tried, in days, besides the configured one; None for no decay."""


def half_life(context: Context) -> float | None:
    """Return the half-life of the run's events in days, configured or chosen by stage featurize; None for no decay."""
    configured = context.config.events.half_life_days
    record = context.lake.record(context.run_id, "featurize") if context.config.recommend.auto else None
    chosen: float | None = record["details"].get("half_life_days", configured) if record else configured
    return chosen


def choose_half_life(context: Context, staged: Publication, events: DataFrame, report: StageReport) -> float | None:
    """Choose the half-life with which ALS predicts later events best, and report it.

    events: clean events. The newest `evaluate.time_fraction` of them is left out, since protocol `time` judges by it;
    the same share before that is predicted from all earlier ones. The configured half-life stays unless another one is
    better by more than TOLERANCE, or if the events have too few instants to be split.
    """
    configured = context.config.events.half_life_days
    with staged.scope():
        tried = _tried(context, staged, events)
    if not tried:
        report.notes.append(f"recommend: the half-life stays {_days(configured)}, since the events cannot be split by "
                            "time")  # fmt: skip
        return configured
    best = max(tried, key=lambda days: tried[days])
    chosen = best if tried[best] > (1 + TOLERANCE) * tried[configured] else configured
    report.details["half_life_days"] = chosen
    report.details["half_lives_tried"] = [{"days": days, "ndcg": round(value, 4)} for days, value in tried.items()]
    values = ", ".join(f"{_days(days)} {value:.4f}" for days, value in tried.items())
    report.notes.append(f"recommend: half-life of {_days(chosen)} chosen on real events (NDCG@{K}: {values})")
    return chosen


def _tried(context: Context, staged: Publication, events: DataFrame) -> dict[float | None, float]:
    """Return NDCG@20 by half-life, the configured one first; empty if the events cannot be split by time."""
    config, at, share = context.config, F.unix_micros("ts"), context.config.evaluate.time_fraction
    cuts = quantiles(events, {"ts": at}, [1 - 2 * share, 1 - share])["ts"]
    if len(cuts) < 2 or cuts[0] >= cuts[1]:
        return {}
    ids = {side: with_index(events.select(side.key).distinct(), side.key, side.index) for side in SIDES}
    ids = {side: staged.keep(f"half_life/{side.name}", table) for side, table in ids.items()}

    def pairs(part: DataFrame, days: float | None) -> DataFrame:
        added_up = with_indices(pair_statistics(part, config.events.weights, days), ids)
        return staged.keep("half_life/pairs", added_up.select("user_index", "item_index", "weight"))

    before = events.where(at < cuts[0])
    known, later = pairs(before, None), pairs(events.where((at >= cuts[0]) & (at < cuts[1])), None)
    drawn = of_share(asked_share(known), config.seed)
    drawn_events = before.join(ids[USERS].where(drawn).select("user_id"), on="user_id", how="left_semi")
    users, items = (ids[side].select(side.index) for side in (USERS, ITEMS))
    least = config.features.min_user_items, config.features.min_item_users
    split = time_split(known.where(drawn), later.where(drawn), users, items, *least)
    trial = Trial.of(staged, split)
    settings, blocks = als_settings(with_settings(context, {})), blocks_for(known.count())
    tried = dict[float | None, float]()
    for days in dict.fromkeys((config.events.half_life_days, *HALF_LIVES)):
        rows = known.where(drawn) if days is None else pairs(drawn_events, days)
        rated = rows.withColumn("rating", rating(F.col("weight"), median(rows, "weight") or 1.0))
        factors = fit_als(rated, settings, blocks)
        tried[days] = trial.ndcg(factors.users, factors.items)
    return tried


def _days(value: float | None) -> str:
    return "no decay" if value is None else f"{value:g} days"
