"""Describe what a run would do, and check what can be checked before expensive stages start."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from datetime import datetime, timezone

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.clean import classify_entities, classify_events, classify_searches, item_status, unreadable_values
from synthspark.clean.columns import mapped
from synthspark.clean.ids import as_text
from synthspark.clean.verdicts import malformed
from synthspark.config import Config
from synthspark.errors import SourceError, did_you_mean
from synthspark.runs.context import Context
from synthspark.session import task_slots
from synthspark.sides import ITEMS, SIDES, USERS, Side
from synthspark.stages.checks import Declared, blamed, examples_in_words, require_known, require_sound
from synthspark.stages.sources import STORAGE, entity_rules, event_rules, read_source, sample_of_users, search_rules

FIXED_SECONDS, SECONDS_PER_MILLION = 200.0, 350.0
"""Durations measured with the demo on 2 cores (1.47 million events, one split): fixed part, and part per million
events."""
MAX_TYPES = 20
MAX_LOOKED = 1_000_000
"""Maximum number of rows per table that are checked for rejects in advance."""
MAX_SHOWN = 160
"""Maximum number of characters of a rejected row that are shown."""


def plan(context: Context) -> Iterator[str]:
    """Yield lines that describe the run. Raises the errors that the run would raise for an unusable table or lake."""
    config = context.config
    context.lake.check_writable()
    read: dict[str, Declared] = {}
    try:
        with blamed(read):
            rows = yield from _sources(context, read)
    finally:
        context.spark.catalog.clearCache()
    yield from _without(config)
    yield from _written(config)
    yield _duration(context, rows)


def _sources(context: Context, read: dict[str, Declared]) -> Generator[str, None, int]:
    """Yield lines on each table and its rejects; returns the number of events that the run reads.

    read: filled with the tables opened.
    """
    config, classified = context.config, {}
    for side in SIDES:
        source = config.source.of(side)
        if source is None:
            yield f"{side.name}: no table; {side.name} have no attributes, and no new {side.name} are generated"
            continue
        rules = entity_rules(source, side)
        frame = read_source(context.spark, source, side.name)
        read[side.name] = Declared(frame, rules.columns, rules.filter)
        rows = frame.count()
        kinds = ", ".join(f"{name} ({kind})" for name, kind in source.attributes.items()) or "none"
        yield f"{side.name}: {rows:,} rows of {source.path or source.table}; attributes: {kinds}"
        classified[side] = looked = classify_entities(frame.limit(MAX_LOOKED), rules).persist(STORAGE)
        yield from _lines_on_rejects(side.name, looked, rows)
        yield from _unreadable(looked, rules.attributes)
        if rows > MAX_LOOKED:
            classified[side] = classify_entities(frame, rules)
    events = read_source(context.spark, config.source.events, "events")
    asked = event_rules(config)
    read["events"] = Declared(events, asked.columns)
    rows = events.count()
    yield f"events: {rows:,} rows of {config.source.events.path or config.source.events.table}"
    status = item_status(classified[ITEMS]) if ITEMS in classified else None
    looked = classify_events(events.limit(MAX_LOOKED), status, asked, datetime.now(timezone.utc)).persist(STORAGE)
    yield from _types(config, events)
    yield from _lines_on_rejects("events", looked, rows)
    for side, entities in classified.items():
        yield from _lines_on_ids(looked, entities, side, config)
    yield from _searches(context, read, status)
    sample = sample_of_users(config, events)
    if sample is None:
        return rows
    yield f"{sample.words()}, with about {sample.share:.0%} of the events"
    return round(rows * sample.share)


def _searches(context: Context, read: dict[str, Declared], status: DataFrame | None) -> Iterator[str]:
    source = context.config.source.searches
    if source is None:
        if context.config.source.has_searches:
            yield "searches: events that have a query"
        return
    frame, asked = read_source(context.spark, source, "searches"), search_rules(source)
    read["searches"] = Declared(frame, asked.columns)
    rows = frame.count()
    yield f"searches: {rows:,} rows of {source.path or source.table}"
    looked = classify_searches(frame.limit(MAX_LOOKED), status, asked, datetime.now(timezone.utc)).persist(STORAGE)
    yield from _lines_on_rejects("searches", looked, rows)


def _lines_on_ids(events: DataFrame, entities: DataFrame, side: Side, config: Config) -> Iterator[str]:
    """Yield a line on how many ids of the events the side's table has. Raises SourceError if too few."""
    source = config.source.of(side)
    assert source is not None
    found = require_known(events, entities, side, source)
    lacking = f"; it lacks {examples_in_words(events, entities, side)}" if found.known < found.ids else ""
    yield f"{side.name}: the table has {found.known:,} of the {found.ids:,} ids in the events{lacking}"


def _lines_on_rejects(side: str, classified: DataFrame, rows: int) -> Iterator[str]:
    """Yield reasons for rejection with an example row each. Raises SourceError if they are grave.

    classified: the first MAX_LOOKED rows; rows: number of all rows.
    """
    reasons = classified.where("reason is not null").groupBy("reason")
    found = reasons.agg(F.count(F.lit(1)).alias("n"), F.min("raw").alias("raw")).orderBy(F.desc("n"), "reason")
    among = f" of the first {MAX_LOOKED:,}" if rows > MAX_LOOKED else ""
    counted = found.collect()
    require_sound(side, min(rows, MAX_LOOKED), {row["reason"]: row["n"] for row in counted})
    for row in counted:
        raw = row["raw"] if len(row["raw"]) <= MAX_SHOWN else row["raw"][: MAX_SHOWN - 1] + "…"
        yield f"    rejected: {row['n']:,}{among}, {row['reason']}, e.g. {raw}"


def _unreadable(classified: DataFrame, attributes: Mapping[str, str]) -> Iterator[str]:
    for name, count in unreadable_values(classified, attributes).items():
        if count:
            yield f"    {name}: {count:,} values cannot be read as {attributes[name]}, and become null"


def _without(config: Config) -> Iterator[str]:
    columns = config.source.events.columns
    if "ts" not in columns:
        yield "events have no time: no decay, protocol time is not judged, synthetic events have no time"
    if not config.source.attributes(USERS):
        yield "users have no attributes: users without events get no virtual events; cold_user needs an event left"
    if not config.source.attributes(ITEMS):
        yield "items have no attributes: cold items cannot be told apart, and protocol cold_item shows no gain"


def _types(config: Config, events: DataFrame) -> Iterator[str]:
    """Yield a line per event type with its weight. Raises SourceError if all events would be rejected."""
    column, weights = config.source.events.columns.get("event_type"), config.events.weights
    if column is None:
        if config.source.events.event_type not in weights:
            raise SourceError(f"source.events.event_type {config.source.events.event_type!r} has no weight: all events "
                              f"would be rejected; add it to events.weights ({', '.join(weights)})")  # fmt: skip
        return
    sound = events.where(malformed(events).isNull())
    typed = mapped(sound, {"type": event_rules(config).columns["event_type"]}, "source.events")
    name_of = as_text(F.col("type"), typed.schema["type"].dataType)
    counts = typed.groupBy(name_of.alias("t")).count().orderBy(F.desc("count"), "t")
    found = [(str(r["t"]), int(r["count"])) for r in counts.limit(MAX_TYPES).collect()]
    for name, count in found:
        fate = f"weight {weights[name]:g}" if name in weights else "no weight: REJECTED; add it to events.weights"
        hint = "" if name in weights else did_you_mean(name, weights)
        yield f"events of type {name!r}: {count:,}, {fate}{hint}"
    if not any(name in weights for name, _ in found):
        raise SourceError(f"source.events: none of the types {', '.join(repr(n) for n, _ in found)} has a weight: all "
                          f"events would be rejected; add them to events.weights ({', '.join(weights)})")  # fmt: skip


def _written(config: Config) -> Iterator[str]:
    s = config.synthesize
    items, users = s.items if config.source.attributes(ITEMS) else 0, s.users if config.source.attributes(USERS) else 0
    yield f"written below {config.lake.root}: clean/, features/, models/, synthetic/, recommendations/, reports/<run>/"
    yield f"synthetic: {items:,} new items, {users:,} new users, events for them and for cold items and users"
    e = config.evaluate
    splits = ", ".join(map(str, e.seeds))
    yield f"evaluated: {', '.join(e.protocols)}; split seeds {splits}; {len(e.arms)} arms, {e.als_seeds} ALS seeds"


def _duration(context: Context, events: int) -> str:
    splits = len(context.config.evaluate.protocols) * len(context.config.evaluate.seeds)
    seconds = FIXED_SECONDS + SECONDS_PER_MILLION * events / 1e6 * 2 / task_slots(context.spark)
    minutes, cores = seconds * (1 + splits) / 2 / 60, task_slots(context.spark)
    least, most = max(1, round(minutes / 2)), max(2, round(minutes * 2))
    return (
        f"estimated duration: {least} to {most} minutes on {cores} otherwise idle cores (scaled from that of the demo)"
    )
