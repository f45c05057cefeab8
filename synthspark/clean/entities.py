"""Items and users to the contract: the key and the declared attributes, each read as its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark import schemas
from synthspark.clean.columns import ID_TYPES, ColumnSource, as_id, mapped, require_types
from synthspark.clean.timestamps import require_zone, to_utc
from synthspark.clean.verdicts import first_reason
from synthspark.errors import SourceError
from synthspark.schemas import quoted


@dataclass(frozen=True)
class EntityRules:
    """What the configuration declares about items or users."""

    key: str
    """`item_id` or `user_id`."""
    columns: Mapping[str, ColumnSource]
    """The key and every attribute."""
    attributes: Mapping[str, str]
    """Attribute -> categorical, numeric, datetime, text or multi."""
    filter: str | None = None
    timezone: str = "UTC"
    separator: str = "|"

    @property
    def table(self) -> str:
        """How errors name the table."""
        return f"source.{self.key.removesuffix('_id')}s"


def classify_entities(source: DataFrame, rules: EntityRules) -> DataFrame:
    """The key, the attributes, `reason` (null: kept) and `raw`; exactly one row per row of `source`.

    A value that cannot be read as its kind is null; `attribute_findings` counts them. Of several rows with one key the
    fullest is kept, the others are `duplicate` where they say the same and `duplicate_key` where they do not.
    """
    require_zone(rules.timezone, rules.table)
    met = _condition(source, rules)
    flagged = source.withColumn("_filtered", ~F.coalesce(met, F.lit(False)))
    columns = {**rules.columns, "_filtered": ColumnSource("_filtered")}
    declared = mapped(flagged, columns, rules.table)
    require_types(declared, {rules.key: ID_TYPES}, rules.table, "an id")
    named = [F.col(quoted(name)).alias(source.name or name) for name, source in rules.columns.items()]
    typed = declared.select(
        as_id(F.col(rules.key), declared.schema[rules.key].dataType).alias(rules.key),
        *[_attribute(declared, name, kind, rules).alias(name) for name, kind in rules.attributes.items()],
        *[F.col(quoted(name)).isNotNull().alias(f"_given_{name}") for name in rules.attributes],
        "_filtered",
        F.to_json(F.struct(*named)).alias("raw"),
    )
    key = F.col(rules.key)
    reserved = key.startswith(schemas.SYNTHETIC_ID_PREFIX)
    checks = [("null_key", key.isNull()), ("reserved_id", reserved), ("filtered", F.col("_filtered"))]
    checked = typed.withColumn("reason", first_reason(checks)).drop("_filtered")
    return _with_duplicates(checked, rules)


def attribute_findings(classified: DataFrame, attributes: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Per attribute, over the kept rows: `missing`, `unreadable` and `distinct` (approximate), in one aggregation."""
    if not attributes:
        return {}
    asked: list[Column] = []
    for i, name in enumerate(attributes):
        value, given = F.col(quoted(name)), F.col(quoted(f"_given_{name}"))
        asked += [
            F.count_if(value.isNull()).alias(f"missing_{i}"),
            F.count_if(value.isNull() & given).alias(f"unreadable_{i}"),
            F.approx_count_distinct(value).alias(f"distinct_{i}"),
        ]
    row: Any = classified.where(F.col("reason").isNull()).agg(*asked).collect()[0]
    words = ("missing", "unreadable", "distinct")
    return {name: {w: row[f"{w}_{i}"] for w in words} for i, name in enumerate(attributes)}


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
    if kind == "datetime":
        return to_utc(column, found, rules.timezone, None, where)
    if kind == "multi":
        return _members(column, found, rules.separator, where)
    if not isinstance(found, T.AtomicType | T.NullType):
        raise SourceError(f"{where} is {found.simpleString()}, which cannot be read as {kind}; map an {{expr: ...}}")
    if kind == "numeric":
        number = column.try_cast("double")
        return F.when(~F.isnan(number) & (F.abs(number) != float("inf")), number)
    return as_id(column, found)


def _members(column: Column, found: T.DataType, separator: str, where: str) -> Column:
    if isinstance(found, T.ArrayType):
        raw = column.cast("array<string>")
    elif isinstance(found, T.AtomicType | T.NullType):
        raw = F.split(column.cast("string"), F.lit("\\Q" + separator + "\\E"))
    else:
        raise SourceError(f"{where} is {found.simpleString()}, a multi attribute must be an array or a text")
    trimmed = F.transform(raw, lambda v: F.trim(v))
    members = F.array_sort(F.array_distinct(F.filter(trimmed, lambda v: v.isNotNull() & (v != ""))))
    return F.when(F.size(members) > 0, members)


def _with_duplicates(checked: DataFrame, rules: EntityRules) -> DataFrame:
    sound = F.col("reason").isNull()
    attributes = [F.col(quoted(name)) for name in rules.attributes]
    filled = sum((c.isNotNull().cast("int") for c in attributes), F.lit(0))
    content = F.xxhash64(*attributes) if attributes else F.lit(0)
    order = Window.partitionBy(rules.key, sound).orderBy(filled.desc(), content)
    place, kept = F.row_number().over(order), F.first(content).over(order)
    reason = F.when(sound & (place > 1), F.when(kept == content, "duplicate").otherwise("duplicate_key"))
    return checked.withColumn("reason", F.coalesce("reason", reason))
