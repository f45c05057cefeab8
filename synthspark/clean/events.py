"""Convert events to the contract: one scan, one shuffle by user; every row is kept or rejected with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark import schemas
from synthspark.clean.columns import ID_TYPES, NUMBER_TYPES, ColumnSource, mapped, require_types
from synthspark.clean.ids import BLANKS, NULL_WORDS, as_id, as_text, is_inexact
from synthspark.clean.timestamps import instant_rules, require_pattern, require_zone, to_utc
from synthspark.clean.verdicts import first_reason, malformed, partition_key, raw_row
from synthspark.schemas import INTERNAL, MALFORMED
from synthspark.spark_versions import try_cast

TABLE = "source.events"
REASONS = (
    "malformed_row",
    "null_key",
    "inexact_id",
    "reserved_id",
    "unparsable_timestamp",
    "future_timestamp",
    "pre_epoch_timestamp",
    "value_not_finite",
    "price_not_finite",
    "value_below_min",
    "value_above_max",
    "price_below_min",
    "price_above_max",
    "unknown_event_type",
    "filtered_item",
    "unknown_item",
    "duplicate",
    "duplicate_event",
    "robot",
)
"""Reasons in order of precedence: a row is rejected for the first one that applies."""

DAY, OWNER, INEXACT = INTERNAL + "day", INTERNAL + "owner", INTERNAL + "inexact"
SOURCE, BAD = INTERNAL + "source_", INTERNAL + "bad_"
"""Prefixes of the declared columns with their source values, and of the flags for unreadable numbers."""
Limits = tuple[float | None, float | None]


@dataclass(frozen=True)
class EventRules:
    """Cleaning rules that the configuration declares for events."""

    columns: Mapping[str, ColumnSource]
    event_type: str | None = None
    """Type of every event if the source has no column for it."""
    timezone: str = "UTC"
    timestamp_format: str | None = None
    bounds: Mapping[str, Limits] = field(default_factory=lambda: {"value": (0.0, None), "price": (0.0, None)})
    """Smallest and largest valid value and price."""
    event_types: tuple[str, ...] | None = None
    """Event types that have a weight; events of other types are rejected. None keeps all."""
    null_values: tuple[str, ...] | None = None
    """Texts that mean a missing value; None: `clean.ids.NULL_WORDS`, applied to ids and numbers only."""
    keep_unknown_items: bool = False
    max_events_per_user_per_day: int | None = None


def classify_events(source: DataFrame, items: DataFrame | None, rules: EventRules, now: datetime) -> DataFrame:
    """Return the contract's columns, `reason` (null: kept) and `raw`; exactly one row per row of `source`.

    items: `item_id` and boolean `filtered`, one row per item; None if there is no items table. now: current time in
    UTC; later events are in the future. A value of an optional column that its type cannot represent becomes null.
    Without timestamps, duplicates cannot be distinguished from repeated purchases, so none is rejected.
    """
    require_zone(rules.timezone, TABLE)
    require_pattern(source, rules.timestamp_format, f"table {TABLE}")
    lines = source.withColumn(MALFORMED, malformed(source))
    declared = mapped(lines, rules.columns, TABLE, keep=(MALFORMED,))
    _require_event_types(declared)
    checked = _typed(declared, rules)
    checked = checked.withColumn("reason", first_reason(_row_rules(rules, now)))
    sources = [F.col(SOURCE + name).alias(source.name or name) for name, source in rules.columns.items()]
    raw = F.when(F.col("reason").isNotNull(), raw_row(sources))
    checked = checked.withColumn("raw", raw).drop(MALFORMED, *[SOURCE + name for name in rules.columns])
    if items is not None:
        checked = _with_item_reason(checked, items, rules)
    if "ts" in rules.columns:
        checked = _with_duplicates(_by_owner(checked))
        if rules.max_events_per_user_per_day is not None:
            checked = _with_robots(checked, rules.max_events_per_user_per_day)
    named = [F.col(name).alias(source.name or name) for name, source in rules.columns.items()]
    # Rows rejected after the shuffle show their cleaned values: shuffling every row's source would double its size.
    late = F.when(F.col("reason").isNotNull(), F.to_json(F.struct(*named)))
    return checked.select(*schemas.EVENTS.names, "reason", F.coalesce("raw", late).alias("raw"))


def _require_event_types(declared: DataFrame) -> None:
    require_types(declared, {"user_id": ID_TYPES, "item_id": ID_TYPES}, TABLE, "an id")
    require_types(declared, {"value": NUMBER_TYPES, "price": NUMBER_TYPES}, TABLE, "a number")
    words: tuple[type[T.DataType], ...] = (T.AtomicType,)
    require_types(declared, dict.fromkeys(("event_type", "query", "session_id"), words), TABLE, "a text")


def _typed(declared: DataFrame, rules: EventRules) -> DataFrame:
    """Return the contract's columns, the flags that `_row_rules` reads, and the declared columns as in the source."""
    has = set(declared.columns)
    kinds = {f.name: f.dataType for f in declared.schema.fields}
    words = rules.null_values or ()
    nothing = F.lit(None)
    kind = as_text(F.col("event_type"), kinds["event_type"]) if "event_type" in has else F.lit(rules.event_type)
    instant = nothing.cast("timestamp")
    if "ts" in has:
        instant = to_utc(
            F.col("ts"), kinds["ts"], rules.timezone, rules.timestamp_format, f"table {TABLE}: column 'ts'"
        )
    ids = {c: F.col(c) for c in ("user_id", "item_id")}
    texts = {c: as_text(F.col(c), kinds[c], words) if c in has else nothing for c in ("query", "session_id")}
    inexact = is_inexact(ids["user_id"], kinds["user_id"]) | is_inexact(ids["item_id"], kinds["item_id"])
    return declared.select(
        *[as_id(column, kinds[c], rules.null_values).alias(c) for c, column in ids.items()],
        kind.cast("string").alias("event_type"),
        instant.alias("ts"),
        *[_number(c, has).alias(c) for c in ("value", "price")],
        *[column.cast("string").alias(c) for c, column in texts.items()],
        *[_unreadable(c, has, kinds, rules).alias(BAD + c) for c in ("value", "price")],
        inexact.alias(INEXACT),
        MALFORMED,
        *[F.col(name).alias(SOURCE + name) for name in rules.columns],
    )


def _number(name: str, has: set[str]) -> Column:
    return try_cast(F.col(name), "double") if name in has else F.lit(None).cast("double")


def _unreadable(name: str, has: set[str], kinds: Mapping[str, T.DataType], rules: EventRules) -> Column:
    """Return whether there is a value that is neither a number nor a text for a missing value."""
    if name not in has:
        return F.lit(False)
    bad = _number(name, has).isNull() & F.col(name).isNotNull()
    if isinstance(kinds[name], T.StringType):
        words = NULL_WORDS if rules.null_values is None else rules.null_values
        bad = bad & ~F.btrim(name, F.lit(BLANKS)).isin("", *words)
    return bad


def _row_rules(rules: EventRules, now: datetime) -> list[tuple[str, Column]]:
    """Return the rules that need only the row itself."""
    checks = [
        ("malformed_row", F.col(MALFORMED).isNotNull()),
        ("null_key", F.col("user_id").isNull() | F.col("item_id").isNull() | F.col("event_type").isNull()),
        ("inexact_id", F.col(INEXACT)),
    ]
    reserved = schemas.SYNTHETIC_ID_PREFIX
    checks.append(("reserved_id", F.col("user_id").startswith(reserved) | F.col("item_id").startswith(reserved)))
    if "ts" in rules.columns:
        checks += instant_rules(F.col("ts"), now)
    for name in ("value", "price"):
        number = F.col(name)
        checks.append((f"{name}_not_finite", F.isnan(number) | (F.abs(number) == float("inf")) | F.col(BAD + name)))
    for name in ("value", "price"):
        low, high = rules.bounds.get(name, (0.0, None))
        if low is not None:
            checks.append((f"{name}_below_min", F.col(name) < low))
        if high is not None:
            checks.append((f"{name}_above_max", F.col(name) > high))
    if rules.event_types is not None:
        checks.append(("unknown_event_type", ~F.col("event_type").isin(*rules.event_types)))
    return checks


def _with_item_reason(checked: DataFrame, items: DataFrame, rules: EventRules) -> DataFrame:
    known = items.select("item_id", "filtered")
    joined = checked.join(known, on="item_id", how="left")
    rule = [("filtered_item", F.col("filtered"))]
    if not rules.keep_unknown_items:
        rule.append(("unknown_item", F.col("filtered").isNull()))
    return joined.withColumn("reason", F.coalesce("reason", first_reason(rule))).drop("filtered")


def _by_owner(checked: DataFrame) -> DataFrame:
    """Repartition once for all windows: by user; rejected rows (e.g. null users) are spread over all partitions."""
    # `raw` alone would not spread them: it is still null in rows that were rejected by the item join.
    whose = partition_key("user_id", ("user_id", "item_id", "ts", "value", "price", "raw"))
    return checked.withColumn(OWNER, whose).repartition(OWNER).withColumn(DAY, F.to_date("ts"))


def _with_duplicates(checked: DataFrame) -> DataFrame:
    """Keep one row per user, item, type and instant, chosen by content so that partitioning has no effect."""
    content = F.xxhash64("value", "price", "query", "session_id")
    # The day is implied by the instant; with it first, `_with_robots` needs no sort of its own.
    key = Window.partitionBy(OWNER, DAY, "item_id", "event_type", "ts").orderBy(content)
    place, before = F.row_number().over(key), F.lag(content).over(key)
    reason = F.when(place > 1, F.when(before == content, "duplicate").otherwise("duplicate_event"))
    return checked.withColumn("reason", F.coalesce("reason", reason))


def _with_robots(checked: DataFrame, limit: int) -> DataFrame:
    sound = F.col("reason").isNull()
    day = Window.partitionBy(OWNER, DAY)
    too_many = F.count(F.when(sound, 1)).over(day) > limit
    return checked.withColumn("reason", F.coalesce("reason", F.when(sound & too_many, "robot")))
