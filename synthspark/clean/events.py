"""Events to the contract: one scan, one shuffle by user, every row kept or given a reason."""

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
from synthspark.clean.verdicts import first_reason, malformed, owner, raw_row
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
"""In this order: a row is rejected for the first that applies."""

DAY, OWNER, INEXACT = INTERNAL + "day", INTERNAL + "owner", INTERNAL + "inexact"
SOURCE, BAD = INTERNAL + "source_", INTERNAL + "bad_"
"""Prefixes of the declared columns as they came, and of the marks on numbers that cannot be read."""
Limits = tuple[float | None, float | None]


@dataclass(frozen=True)
class EventRules:
    """What the configuration declares about the events."""

    columns: Mapping[str, ColumnSource]
    event_type: str | None = None
    """The type of every event, where there is no column for it."""
    timezone: str = "UTC"
    timestamp_format: str | None = None
    bounds: Mapping[str, Limits] = field(default_factory=lambda: {"value": (0.0, None), "price": (0.0, None)})
    """Smallest and largest value and price that are kept."""
    event_types: tuple[str, ...] | None = None
    """The types that have a weight; None keeps all."""
    null_values: tuple[str, ...] | None = None
    """Texts that stand for a missing value; None: `clean.ids.NULL_WORDS`, and of ids and numbers only."""
    keep_unknown_items: bool = False
    max_events_per_user_per_day: int | None = None


def classify_events(source: DataFrame, items: DataFrame | None, rules: EventRules, now: datetime) -> DataFrame:
    """The contract's columns, `reason` (null: kept) and `raw`; exactly one row per row of `source`.

    items: `item_id`, `filtered` boolean, one row per item; None where there is no items table. `now`, UTC: what is
    later is in the future. A value that its column's type cannot hold is null in the optional columns.
    Without timestamps repeated rows are repeated purchases: duplicates cannot be told, and none is rejected.
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
    # Rows rejected late show their cleaned values: carrying every row's source through the shuffle would double it.
    late = F.when(F.col("reason").isNotNull(), F.to_json(F.struct(*named)))
    return checked.select(*schemas.EVENTS.names, "reason", F.coalesce("raw", late).alias("raw"))


def _require_event_types(declared: DataFrame) -> None:
    require_types(declared, {"user_id": ID_TYPES, "item_id": ID_TYPES}, TABLE, "an id")
    require_types(declared, {"value": NUMBER_TYPES, "price": NUMBER_TYPES}, TABLE, "a number")
    words: tuple[type[T.DataType], ...] = (T.AtomicType,)
    require_types(declared, dict.fromkeys(("event_type", "query", "session_id"), words), TABLE, "a text")


def _typed(declared: DataFrame, rules: EventRules) -> DataFrame:
    """The contract's columns, the marks that `_row_rules` asks for, and the declared columns as they came."""
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
    """Whether there is a value, other than a word for nothing, that is no number."""
    if name not in has:
        return F.lit(False)
    bad = _number(name, has).isNull() & F.col(name).isNotNull()
    if isinstance(kinds[name], T.StringType):
        words = NULL_WORDS if rules.null_values is None else rules.null_values
        bad = bad & ~F.btrim(name, F.lit(BLANKS)).isin("", *words)
    return bad


def _row_rules(rules: EventRules, now: datetime) -> list[tuple[str, Column]]:
    """What a row shows by itself."""
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
    """One exchange for all windows: by user, and rows already rejected (null users, say) spread over everything."""
    # Not by `raw`: of rows that are rejected after the item's look-up it is still null.
    whose = owner("user_id", ("user_id", "item_id", "ts", "value", "price", "raw"))
    return checked.withColumn(OWNER, whose).repartition(OWNER).withColumn(DAY, F.to_date("ts"))


def _with_duplicates(checked: DataFrame) -> DataFrame:
    """Keep one row of each user, item, type and instant, chosen by content: partitions must not matter."""
    content = F.xxhash64("value", "price", "query", "session_id")
    # The day says nothing that the instant does not; named first, it spares `_with_robots` a sort of its own.
    key = Window.partitionBy(OWNER, DAY, "item_id", "event_type", "ts").orderBy(content)
    place, before = F.row_number().over(key), F.lag(content).over(key)
    reason = F.when(place > 1, F.when(before == content, "duplicate").otherwise("duplicate_event"))
    return checked.withColumn("reason", F.coalesce("reason", reason))


def _with_robots(checked: DataFrame, limit: int) -> DataFrame:
    sound = F.col("reason").isNull()
    day = Window.partitionBy(OWNER, DAY)
    too_many = F.count(F.when(sound, 1)).over(day) > limit
    return checked.withColumn("reason", F.coalesce("reason", F.when(sound & too_many, "robot")))
