"""Convert searches (query and clicked item) to the contract; every row is kept or rejected with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark import schemas
from synthspark.clean.columns import ID_TYPES, ColumnSource, mapped, require_types
from synthspark.clean.ids import as_id, as_text, is_inexact
from synthspark.clean.queries import MAX_QUERY, normalised
from synthspark.clean.timestamps import instant_rules, require_pattern, require_zone, to_utc
from synthspark.clean.verdicts import first_reason, malformed, raw_row
from synthspark.frames import of_each
from synthspark.schemas import INTERNAL, MALFORMED
from synthspark.spark_versions import try_cast

TABLE = "source.searches"
SOURCE, INEXACT = INTERNAL + "source_", INTERNAL + "inexact"
TEXTS = ("query", "session_id", "filter")
NUMBERS = {"position": "int", "shown": "int"}


@dataclass(frozen=True)
class SearchRules:
    """Cleaning rules that the configuration declares for searches."""

    columns: Mapping[str, ColumnSource]
    timezone: str = "UTC"
    timestamp_format: str | None = None
    null_values: tuple[str, ...] | None = None
    keep_unknown_items: bool = False


def classify_searches(source: DataFrame, items: DataFrame | None, rules: SearchRules, now: datetime) -> DataFrame:
    """Return the contract's columns (`schemas.SEARCHES`), `reason` (null: kept) and `raw`, one row per source row.

    items: result of `item_status`; None if there is no items table. A row without an item is a search without a click.
    now: current time in UTC.
    """
    require_zone(rules.timezone, TABLE)
    require_pattern(source, rules.timestamp_format, f"table {TABLE}")
    declared = mapped(source.withColumn(MALFORMED, malformed(source)), rules.columns, TABLE, keep=(MALFORMED,))
    require_types(declared, {"user_id": ID_TYPES, "item_id": ID_TYPES}, TABLE, "an id")
    require_types(declared, dict.fromkeys(TEXTS, (T.AtomicType,)), TABLE, "a text")
    typed = _typed(declared, rules)
    if items is not None:
        typed = typed.join(items.select("item_id", "filtered"), on="item_id", how="left")
    else:
        typed = typed.withColumn("filtered", F.lit(False))
    sources = [F.col(SOURCE + name).alias(column.name or name) for name, column in rules.columns.items()]
    judged = typed.withColumn("reason", first_reason(_rules(rules, items is not None, now)))
    same = ("query", "item_id", "ts", "user_id", "session_id")
    if "ts" in rules.columns and {"user_id", "session_id"} & set(rules.columns):
        order = Window.partitionBy("reason", *same).orderBy(F.xxhash64("raw_query", "position", "shown", "filter"))
        twice = F.col("reason").isNull() & (F.row_number().over(order) > 1)
        judged = judged.withColumn("reason", F.when(twice, "duplicate").otherwise(F.col("reason")))
    raw = F.when(F.col("reason").isNotNull(), raw_row(sources))
    return judged.withColumn("raw", raw).select(*schemas.SEARCHES.names, "reason", "raw")


def searches_of(events: DataFrame) -> DataFrame:
    """Return the clean events that have a query as searches."""
    asked = events.where(F.col("query").isNotNull())
    nothing = F.lit(None)
    rows = asked.select(
        F.col("query").alias("raw_query"),
        of_each(normalised, F.substring("query", 1, MAX_QUERY), "string").alias("query"),
        "item_id", "ts", "user_id", "session_id", *[nothing.cast(kind).alias(n) for n, kind in NUMBERS.items()],
        nothing.cast("string").alias("filter"),
    )  # fmt: skip
    return rows.where(F.col("query").isNotNull()).select(schemas.SEARCHES.names)


def _typed(declared: DataFrame, rules: SearchRules) -> DataFrame:
    has = set(declared.columns)
    kinds = {f.name: f.dataType for f in declared.schema.fields}
    nothing, words = F.lit(None), rules.null_values or ()
    instant = nothing.cast("timestamp")
    if "ts" in has:
        instant = to_utc(
            F.col("ts"), kinds["ts"], rules.timezone, rules.timestamp_format, f"table {TABLE}: column 'ts'"
        )
    texts = {n: as_text(F.col(n), kinds[n], words) if n in has else nothing.cast("string") for n in TEXTS}
    ids = {n: as_id(F.col(n), kinds[n], rules.null_values) if n in has else nothing.cast("string")
           for n in ("item_id", "user_id")}  # fmt: skip
    lost = F.lit(False)
    for name in ids:
        lost = lost | F.coalesce(is_inexact(F.col(name), kinds[name]), F.lit(False)) if name in has else lost
    return declared.select(
        texts["query"].alias("raw_query"),
        of_each(normalised, F.substring(texts["query"], 1, MAX_QUERY), "string").alias("query"),
        *[column.alias(n) for n, column in ids.items()],
        instant.alias("ts"),
        texts["session_id"].alias("session_id"),
        *[(try_cast(F.col(n), kind) if n in has else nothing.cast(kind)).alias(n) for n, kind in NUMBERS.items()],
        texts["filter"].alias("filter"),
        lost.alias(INEXACT),
        MALFORMED,
        *[F.col(name).alias(SOURCE + name) for name in rules.columns],
    )  # fmt: skip


def _rules(rules: SearchRules, with_items: bool, now: datetime) -> list[tuple[str, Column]]:
    checks = [
        ("malformed_row", F.col(MALFORMED).isNotNull()),
        ("null_query", F.col("query").isNull()),
        ("query_too_long", F.length("raw_query") > MAX_QUERY),
        ("inexact_id", F.col(INEXACT)),
        ("reserved_id", F.col("item_id").startswith(schemas.SYNTHETIC_ID_PREFIX)),
    ]
    if "ts" in rules.columns:
        checks += instant_rules(F.col("ts"), now)
    if with_items:
        known = F.col("item_id").isNotNull()
        checks.append(("filtered_item", known & F.col("filtered")))
        if not rules.keep_unknown_items:
            checks.append(("unknown_item", known & F.col("filtered").isNull()))
    return checks
