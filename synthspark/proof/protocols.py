"""The protocols: what is held out, which slices are asked, and how reports name them; one entry each in PROTOCOLS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.half_life import half_life
from synthspark.features.interactions import pair_statistics
from synthspark.features.published import indexed_interactions
from synthspark.indexing import with_indices
from synthspark.quantiles import median, quantiles
from synthspark.ranking.split import (
    ANYBODY,
    COLD,
    COLD_ITEMS,
    WARM,
    Shares,
    Slice,
    Split,
    check_split,
    entity_split,
    of_users,
    time_split,
    why_not_judged,
)
from synthspark.recommend import rating
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import EVENTS, clean, features
from synthspark.sides import ITEMS, SIDES, USERS

Splits = Callable[[Context, Publication, str, int, StageReport], dict[str, Split]]
"""Function that makes the splits of a protocol from its name and a seed."""


@dataclass(frozen=True)
class Protocol:
    """A way to hold interactions out and ask for them again."""

    slices: Mapping[str, Slice]
    """Slices that are asked; `cold` and `warm` decide the verdict."""
    who: str
    """Who or what is cold, in the words of the report's first sentence."""
    splits: Splits
    """Returns name -> split, kept in scratch; empty, with a note in the report, if the data do not allow it."""
    held_by: Mapping[str, str]
    """Slice -> key below `evaluate` that sets how much of it is held out."""
    drawn: bool = True
    """Whether its splits depend on a seed."""


def by_entities(items: bool, users: bool) -> Splits:
    """Return a function that makes splits by drawing cold items, cold users or both.

    If only users are drawn there is one split per number of events that they keep (`evaluate.events_left`), all with
    the same warm training rows. The function raises ContractError if a draw leaves nothing to judge; another seed or
    other shares may do.
    """

    def splits(context: Context, staged: Publication, name: str, seed: int, report: StageReport) -> dict[str, Split]:
        config, found = context.config.evaluate, {}
        lefts = _events_left(context, name, report, None if items else config.events_left) if users else [0]
        if not lefts:
            return {}
        tables = _tables(context, staged)
        for left in lefts:
            shares = Shares(
                items=config.cold_fraction if items else 0.0,
                users=config.cold_fraction if users else 0.0,
                holdout=config.warm_holdout,
                events_left=left,
            )
            called = f"{name}+{left}" if left else name
            split = _rated(entity_split(*tables, shares, config.part, seed))
            found[called] = keep_split(context, staged, split, called, report)
            check_split(found[called], called, shares, PROTOCOLS[name].slices, PROTOCOLS[name].held_by)
        return found

    return splits


def _rated(split: Split) -> Split:
    """Compute ratings by the median weight of the training rows, like a run on these rows alone."""
    unit = median(split.train, "weight") or 1.0
    return split._replace(train=split.train.withColumn("rating", rating(F.col("weight"), unit)).drop("weight"))


def keep_split(
    context: Context, staged: Publication, split: Split, name: str, report: StageReport, who: str = "users"
) -> Split:
    """Keep a split in scratch, and limit the users asked to `evaluate.max_users`. who: their name in the report."""
    found = Split(*[staged.keep(f"{name}/{field}", df) for field, df in split._asdict().items()])
    most, seed = context.config.evaluate.max_users, context.config.seed
    asked = found.test.select("user_index").distinct().count()
    if asked <= most:
        return found
    report.notes.append(f"{name}: {most:,} of {asked:,} {who} are asked (evaluate.max_users)")
    return found._replace(test=staged.keep(f"{name}/asked", of_users(found, most, seed)))


def _events_left(context: Context, protocol: str, report: StageReport, several: list[int] | None) -> list[int]:
    """Return how many events cold users keep: `several`, or 0; only numbers above 0 if users lack attributes."""
    wanted = sorted(several) if several is not None else [0]
    if _declared_users(context) is not None:
        return wanted
    report.notes.append(f"protocol {protocol}: users have no declared attributes, so that nothing is known of a user "
                        "without events; judged only with the numbers of evaluate.events_left above 0")  # fmt: skip
    return [n for n in wanted if n > 0]


def _declared_users(context: Context) -> DataFrame | None:
    return context.read(clean(USERS)).select("user_id") if context.config.source.attributes(USERS) else None


def _tables(context: Context, staged: Publication) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Return the arguments `pairs`, `users` and `items` of `entity_split`, kept in scratch."""
    config, least = context.config.evaluate, context.config.features
    items = context.read(features(ITEMS)).where(F.col("breadth") >= least.min_item_users)
    pairs = indexed_interactions(context.read).withColumns(_times())
    pairs = pairs.join(items.select("item_index"), on="item_index", how="left_semi")
    users = context.read(features(USERS))
    declared = _declared_users(context)
    if declared is not None:
        users = users.join(declared.withColumn("declared", F.lit(True)), on="user_id", how="left")
    known = F.coalesce("declared", F.lit(False)) if declared is not None else F.lit(True)
    enough = F.col("breadth") >= max(least.min_user_items, 1 + max(config.events_left, default=0))
    users = users.where(F.col("breadth") > 0).select("user_index", (known & enough).alias("eligible"))
    return (
        staged.keep("pairs", pairs.select("user_index", "item_index", "weight", *_times())),
        staged.keep("users", users),
        staged.keep("items", items.select("item_index")),
    )


def by_time(context: Context, staged: Publication, name: str, _seed: int, report: StageReport) -> dict[str, Split]:
    """Split by time: events before an instant against those after it; the same for every seed."""
    config, least = context.config, context.config.features
    events = context.read(EVENTS)
    if events.where(F.col("ts").isNotNull()).isEmpty():  # not collected: Python dates end with the year 9999
        report.notes.append(f"protocol {name}: events have no timestamps; not judged")
        return {}
    share = config.evaluate.time_fraction
    ranks = [1 - 2 * share, 1 - share] if config.evaluate.part == "validation" else [1 - share]
    instants = quantiles(events, {"ts": F.unix_micros("ts")}, ranks)["ts"]
    start, end = instants[0], instants[1] if len(instants) > 1 else None
    at = F.unix_micros("ts")
    parts = {
        "before": events.where(at < start),
        "after": events.where((at >= start) & (at < end if end else F.lit(True))),
    }
    pairs = {n: _indexed_pairs(context, df) for n, df in parts.items()}
    unit = median(pairs["before"], "weight")
    if unit is None:
        report.notes.append(f"protocol {name}: no event is older than the newest ones that are judged; not judged. "
                            "Lower evaluate.time_fraction, unless all events are of one instant")  # fmt: skip
        return {}
    before = staged.keep("before", pairs["before"].withColumn("rating", rating(F.col("weight"), unit)))
    after = staged.keep("after", pairs["after"])
    items = context.read(features(ITEMS)).where(F.col("breadth") >= least.min_item_users).select("item_index")
    users = context.read(features(USERS)).where(F.col("breadth") > 0).select("user_index")
    before = before.join(items, on="item_index", how="left_semi")
    split = time_split(before, after, users, items, least.min_user_items, least.min_item_users)
    held, shares, of = keep_split(context, staged, split, name, report), Shares(items=1.0), PROTOCOLS[name]
    why = why_not_judged(held, name, shares, of.slices, of.held_by)
    if why is not None:
        report.notes.append(f"protocol {name}: not judged. {why}")
        return {}
    check_split(held, name, shares, of.slices, of.held_by)
    return {name: held}


def _indexed_pairs(context: Context, events: DataFrame) -> DataFrame:
    pairs = pair_statistics(events, context.config.events.weights, half_life(context))
    pairs = with_indices(pairs, {side: context.read(features(side)) for side in SIDES})
    return pairs.withColumns(_times()).select("user_index", "item_index", "weight", *_times())


def _times() -> dict[str, Column]:
    """Return the columns of training rows that hold the first and the last time of a pair, in microseconds."""
    return {"since": F.unix_micros("first_ts"), "until": F.unix_micros("last_ts")}


DRAWN = {"cold": "cold_fraction", "warm": "warm_holdout"}
PROTOCOLS: Mapping[str, Protocol] = {
    "cold_item": Protocol(COLD_ITEMS, "items that nobody has bought yet", by_entities(items=True, users=False), DRAWN),
    "cold_user": Protocol(
        {
            "cold": Slice((COLD,), (WARM,)),
            "warm": Slice((WARM,), (WARM,)),
            "all": Slice((WARM, COLD), (WARM,)),
        },
        "users of whom only the profile is known",
        by_entities(items=False, users=True),
        DRAWN,
    ),
    "cold_user_item": Protocol(
        {
            "cold": Slice((COLD,), (COLD,)),
            "warm": Slice((WARM,), (WARM,)),
            "all": Slice((WARM, COLD), (WARM, COLD)),
        },
        "new items for new users",
        by_entities(items=True, users=True),
        DRAWN,
    ),
    "time": Protocol(
        {
            "cold": Slice(ANYBODY, (COLD,)),
            "cold_user": Slice((COLD,), ANYBODY),
            "warm": Slice((WARM,), (WARM,)),
            "all": Slice(ANYBODY, ANYBODY),
        },
        "items that were new in the last period",
        by_time,
        {"cold": "time_fraction", "warm": "time_fraction"},
        drawn=False,
    ),
}
"""Protocols by their names in `evaluate.protocols`. In `time`, the slice *cold* asks about new items."""
