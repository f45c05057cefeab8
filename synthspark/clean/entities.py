"""Convert items and users to the contract: the key and the declared attributes, each converted to its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark import schemas
from synthspark.clean.columns import ID_TYPES, ColumnSource, mapped, require_types
from synthspark.clean.ids import as_id, as_text, is_inexact
from synthspark.clean.members import is_empty_list, members
from synthspark.clean.timestamps import require_zone, to_day_or_utc
from synthspark.clean.verdicts import first_reason, malformed, partition_key, raw_row
from synthspark.errors import SourceError
from synthspark.schemas import INTERNAL, quoted
from synthspark.spark_versions import try_cast

FILTERED, INEXACT, GIVEN = INTERNAL + "filtered", INTERNAL + "inexact", INTERNAL + "given_"
Bound = float | datetime | None

OLDEST, NEWEST = datetime(1678, 1, 1), datetime(2262, 1, 1)
"""Range of valid datetimes, which is about what 64-bit nanoseconds can represent; others are read as missing."""
SENTINELS = (datetime(1900, 1, 1), datetime(1899, 12, 31), datetime(1899, 12, 30), datetime(1753, 1, 1))
"""Placeholders that databases and spreadsheets write for "no date"; missing values unless bounds are declared."""


@dataclass(frozen=True)
class EntityRules:
    """Cleaning rules that the configuration declares for items or users."""

    key: str
    """`item_id` or `user_id`."""
    columns: Mapping[str, ColumnSource]
    """Sources of the key and of every attribute."""
    attributes: Mapping[str, str]
    """Attribute -> kind: categorical, numeric, datetime, text or multi."""
    filter: str | None = None
    timezone: str = "UTC"
    separator: str = "|"
    separators: Mapping[str, str] = field(default_factory=dict)
    """Multi attribute -> its own separator."""
    null_values: tuple[str, ...] | None = None
    """Texts that mean a missing value; None: `clean.ids.NULL_WORDS`, applied to the key only."""
    bounds: Mapping[str, tuple[Bound, Bound]] = field(default_factory=dict)
    """Numeric or datetime attribute -> smallest and largest valid value; values outside become null."""

    @property
    def table(self) -> str:
        """Name of the table in errors."""
        return f"source.{self.key.removesuffix('_id')}s"


def classify_entities(source: DataFrame, rules: EntityRules) -> DataFrame:
    """Return the key, the attributes, `reason` (null: kept) and `raw`; exactly one row per row of `source`.

    A value that cannot be converted to its kind becomes null; `unreadable_values` counts these. Of several rows with
    the same key, the one with the most values is kept. The others get the reason `duplicate` if all their attributes
    are equal to it, else `duplicate_key`.
    """
    require_zone(rules.timezone, rules.table)
    met = F.coalesce(_condition(source, rules), F.lit(False))
    flagged = source.withColumn(FILTERED, ~met).withColumn(schemas.MALFORMED, malformed(source))
    declared = mapped(flagged, rules.columns, rules.table, keep=(FILTERED, schemas.MALFORMED))
    require_types(declared, {rules.key: ID_TYPES}, rules.table, "an id")
    key, found = F.col(rules.key), declared.schema[rules.key].dataType
    named = [F.col(quoted(name)).alias(source.name or name) for name, source in rules.columns.items()]
    typed = declared.select(
        as_id(key, found, rules.null_values).alias(rules.key),
        *[_attribute(declared, name, kind, rules).alias(name) for name, kind in rules.attributes.items()],
        *[_has_value(declared, name, kind, rules).alias(GIVEN + name) for name, kind in rules.attributes.items()],
        is_inexact(key, found).alias(INEXACT),
        FILTERED,
        schemas.MALFORMED,
        raw_row(named).alias("raw"),
    )
    checks = [
        ("malformed_row", F.col(schemas.MALFORMED).isNotNull()),
        ("null_key", key.isNull()),
        ("inexact_id", F.col(INEXACT)),
        ("reserved_id", key.startswith(schemas.SYNTHETIC_ID_PREFIX)),
        ("filtered", F.col(FILTERED)),
    ]
    checked = typed.withColumn("reason", first_reason(checks)).drop(FILTERED, INEXACT, schemas.MALFORMED)
    return _with_duplicates(checked, rules)


def item_status(classified: DataFrame) -> DataFrame:
    """Return `item_id` and `filtered`; an item is filtered if none of its rows was kept."""
    known = classified.where(F.col("item_id").isNotNull()).groupBy("item_id")
    return known.agg((~F.max(F.col("reason").isNull())).alias("filtered"))


def unreadable_values(classified: DataFrame, attributes: Mapping[str, str]) -> dict[str, int]:
    """Count, per attribute, the values of kept rows that cannot be converted to its kind, in one aggregation."""
    if not attributes:
        return {}
    names = enumerate(attributes)
    asked = [F.count_if(F.col(quoted(n)).isNull() & F.col(quoted(GIVEN + n))).alias(f"a{i}") for i, n in names]
    row: Any = classified.where(F.col("reason").isNull()).agg(*asked).collect()[0]
    return dict(zip(attributes, row, strict=True))


def _condition(source: DataFrame, rules: EntityRules) -> Column:
    if rules.filter is None:
        return F.lit(True)
    try:
        source.where(F.expr(rules.filter))
    except AnalysisException as error:
        raise SourceError(f"table {rules.table}: filter {rules.filter!r}: {str(error).splitlines()[0]}") from error
    return F.expr(rules.filter)


def _attribute(declared: DataFrame, name: str, kind: str, rules: EntityRules) -> Column:
    column, found = F.col(quoted(name)), declared.schema[name].dataType
    where = f"table {rules.table}: column {name!r}"
    words = rules.null_values or ()
    if kind == "multi":
        return members(column, found, rules.separators.get(name, rules.separator), words, where)
    if kind == "datetime":
        return _bounded_time(to_day_or_utc(column, found, rules.timezone, where), rules.bounds.get(name))
    if not isinstance(found, T.AtomicType | T.NullType):
        raise SourceError(
            f"{where} is {found.simpleString()}, which cannot be read as {kind}; name one of its fields by a path, "
            "map an {expr: ...}, or leave the attribute out"
        )
    if kind == "numeric":
        number = try_cast(column, "double")
        low, high = rules.bounds.get(name, (None, None))
        sound = ~F.isnan(number) & (F.abs(number) != float("inf"))
        return F.when(sound & _within(number, low, high), number)
    return as_text(column, found, words)


def _has_value(declared: DataFrame, name: str, kind: str, rules: EntityRules) -> Column:
    """Return whether the source has a value, readable or not."""
    column, found = F.col(quoted(name)), declared.schema[name].dataType
    if not isinstance(found, T.AtomicType | T.NullType | T.ArrayType):
        return column.isNotNull()
    there = column.isNotNull()
    if isinstance(found, T.StringType):
        there = as_text(column, found, rules.null_values or ()).isNotNull()
    return there & ~is_empty_list(column, found) if kind == "multi" else there


def _bounded_time(instant: Column, bounds: tuple[Bound, Bound] | None) -> Column:
    low, high = bounds or (None, None)
    sound = _within(instant, low or OLDEST, high or NEWEST)
    if bounds is None:
        sound = sound & ~instant.isin(*SENTINELS)
    return F.when(sound, instant)


def _within(column: Column, low: Bound, high: Bound) -> Column:
    inside = F.lit(True)
    if low is not None:
        inside = inside & (column >= F.lit(low))
    if high is not None:
        inside = inside & (column <= F.lit(high))
    return inside


def _with_duplicates(checked: DataFrame, rules: EntityRules) -> DataFrame:
    sound = F.col("reason").isNull()
    attributes = [F.col(quoted(name)) for name in rules.attributes]
    filled = sum((c.isNotNull().cast("int") for c in attributes), F.lit(0))
    content = F.xxhash64(*attributes) if attributes else F.lit(0)
    order = Window.partitionBy(partition_key(rules.key, ("raw",)), sound).orderBy(filled.desc(), content)
    place, kept = F.row_number().over(order), F.first(content).over(order)
    reason = F.when(sound & (place > 1), F.when(kept == content, "duplicate").otherwise("duplicate_key"))
    told = checked.withColumn("reason", F.coalesce("reason", reason))
    return told.withColumn("raw", F.when(F.col("reason").isNotNull(), F.col("raw")))  # not needed for kept rows
