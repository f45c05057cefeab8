"""The splits of a protocol, from what the run has published."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.features.interactions import pair_statistics
from synthspark.features.published import indexed_interactions
from synthspark.quantiles import median, quantiles
from synthspark.ranking.split import Shares, Split, check_split, entity_split, lacking, time_split
from synthspark.recommend import rating
from synthspark.runs.context import Context, StageReport
from synthspark.runs.lake import Publication
from synthspark.runs.tables import EVENTS, clean, features
from synthspark.sides import ITEMS, SIDES, USERS


def protocol_splits(
    context: Context, staged: Publication, protocol: str, seed: int, report: StageReport
) -> dict[str, Split]:
    """Name -> split, kept; several for cold users, by the events that they keep: their warm training rows are the same.

    Empty where the data cannot answer; the report says why. Raises ContractError for a draw that leaves nothing to be
    judged: another one, or other shares, could be judged, unlike another instant.
    """
    if protocol == "time":
        return _by_time(context, staged, report)
    lefts = [0] if protocol == "cold_item" else _events_left(context, protocol, report)
    if not lefts:
        return {}
    tables = _tables(context, staged)
    config, splits = context.config.evaluate, {}
    for left in lefts:
        shares = Shares(
            items=config.cold_fraction if "item" in protocol else 0.0,
            users=config.cold_fraction if "user" in protocol else 0.0,
            holdout=config.warm_holdout,
            events_left=left,
        )
        name = f"{protocol}+{left}" if left else protocol
        splits[name] = _kept(staged, _rated(entity_split(*tables, shares, config.part, seed), staged), name)
        check_split(splits[name], name, shares)
    return splits


def _rated(split: Split, staged: Publication) -> Split:
    """With ratings by the training rows' own median weight, as a run that had only these would have them."""
    train = staged.keep("train", split.train)
    unit = median(train, "weight")
    return split._replace(train=train.withColumn("rating", rating(F.col("weight"), unit or 1.0)).drop("weight"))


def _kept(staged: Publication, split: Split, name: str) -> Split:
    return Split(*[staged.keep(f"{name}/{field}", df) for field, df in split._asdict().items()])


def _events_left(context: Context, protocol: str, report: StageReport) -> list[int]:
    """How many events cold users keep. With nothing declared of users, one at least."""
    wanted = sorted(context.config.evaluate.events_left) if protocol == "cold_user" else [0]
    if _declared_users(context) is not None:
        return wanted
    report.notes.append(f"protocol {protocol}: users have no declared attributes, so that nothing is known of a user "
                        "without events; judged with the events left that are above 0")  # fmt: skip
    return [n for n in wanted if n > 0]


def _declared_users(context: Context) -> DataFrame | None:
    return context.read(clean(USERS)).select("user_id") if context.config.source.attributes(USERS) else None


def _tables(context: Context, staged: Publication) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Pairs, users and items of `entity_split`."""
    config, least = context.config.evaluate, context.config.features
    items = context.read(features(ITEMS)).where(F.col("breadth") >= least.min_item_users)
    pairs = indexed_interactions(context.read).withColumn("since", F.unix_micros("first_ts"))
    pairs = pairs.join(items.select("item_index"), on="item_index", how="left_semi")
    users = context.read(features(USERS))
    declared = _declared_users(context)
    if declared is not None:
        users = users.join(declared.withColumn("declared", F.lit(True)), on="user_id", how="left")
    known = F.coalesce("declared", F.lit(False)) if declared is not None else F.lit(True)
    enough = F.col("breadth") >= max(least.min_user_items, 1 + max(config.events_left, default=0))
    users = users.where(F.col("breadth") > 0).select("user_index", (known & enough).alias("eligible"))
    return (
        staged.keep("pairs", pairs.select("user_index", "item_index", "weight", "since")),
        staged.keep("users", users),
        staged.keep("items", items.select("item_index")),
    )


def _by_time(context: Context, staged: Publication, report: StageReport) -> dict[str, Split]:
    """What came before an instant against what came after: the same for every seed."""
    config, least = context.config, context.config.features
    events = context.read(EVENTS)
    if events.where(F.col("ts").isNotNull()).isEmpty():  # not collected: Python holds no year 10000
        report.notes.append("protocol time: events have no timestamps; not judged")
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
        report.notes.append("protocol time: no event is older than the newest ones that are judged; not judged. Lower "
                            "evaluate.time_fraction if not all events are of one instant")  # fmt: skip
        return {}
    before = staged.keep("before", pairs["before"].withColumn("rating", rating(F.col("weight"), unit)))
    after = staged.keep("after", pairs["after"])
    items = context.read(features(ITEMS)).where(F.col("breadth") >= least.min_item_users).select("item_index")
    users = context.read(features(USERS)).where(F.col("breadth") > 0).select("user_index")
    before = before.join(items, on="item_index", how="left_semi")
    split = time_split(before, after, users, items, least.min_user_items, least.min_item_users)
    kept, shares = _kept(staged, split, "time"), Shares(items=1.0)
    why = lacking(kept, "time", shares)
    if why is not None:
        report.notes.append(f"protocol time: not judged. {why}")
        return {}
    check_split(kept, "time", shares)
    return {"time": kept}


def _indexed_pairs(context: Context, events: DataFrame) -> DataFrame:
    config = context.config.events
    pairs = pair_statistics(events, config.weights, config.half_life_days)
    for side in SIDES:
        ids = context.read(features(side)).select(side.key, side.index)
        pairs = pairs.join(ids, on=side.key, how="inner")
    return pairs.select("user_index", "item_index", "weight", F.unix_micros("first_ts").alias("since"))
