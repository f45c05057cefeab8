"""JSON, whose records may write a field in two letter cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.errors import SourceError
from synthspark.schemas import MALFORMED, quoted
from synthspark.sources.files import LISTING, option, settings

LINE = "value"


def read_json(spark: SparkSession, path: str, options: Mapping[str, str], where: str) -> DataFrame:
    """Every record; `MALFORMED` has the text of what is no record. `brand` and `Brand` are one column.

    Raises SourceError where two such fields cannot be one.
    """
    told = {**options, "columnNameOfCorruptRecord": MALFORMED}
    with settings(spark, {"spark.sql.caseSensitive": "true"}):  # else Spark drops the second silently
        schema = spark.read.options(**told).json(path).schema
    variants = _variants(schema, where)
    if not variants:
        return spark.read.options(**told).schema(schema).json(path)
    if option(options, "multiLine", "false").lower() == "true":
        raise SourceError(f"{where}: fields {_pairs(variants)} differ by letter case only; write them the same")
    return _merged(spark, path, told, schema, variants, where)


def _variants(schema: T.StructType, where: str, inside: str = "") -> dict[str, list[str]]:
    """Field -> others that differ by letter case only. Raises SourceError if there are such within structs."""
    same: dict[str, list[str]] = defaultdict(list)
    for field in schema.fields:
        same[field.name.lower()].append(field.name)
        kind = field.dataType.elementType if isinstance(field.dataType, T.ArrayType) else field.dataType
        if isinstance(kind, T.StructType):
            _variants(kind, where, f"{inside}{field.name}.")
    found = {names[0]: names[1:] for names in same.values() if len(names) > 1}
    if found and inside:
        raise SourceError(f"{where}: within {inside[:-1]!r} the fields {_pairs(found)} differ by letter case only; "
                          "write them the same")  # fmt: skip
    return found


def _merged(
    spark: SparkSession, path: str, options: Mapping[str, str], schema: T.StructType, variants: dict[str, list[str]],
    where: str,
) -> DataFrame:  # fmt: skip
    """Records by one of the writings, the others looked up in the text: Spark's names cannot tell them apart."""
    others = {name for names in variants.values() for name in names}
    listing = {k: v for k, v in options.items() if k.lower() in LISTING}
    lines = spark.read.options(**listing).text(path)
    kept = T.StructType([f for f in schema.fields if f.name not in {*others, *lines.columns}])
    for name, names in variants.items():
        kinds = {schema[n].dataType.simpleString() for n in (name, *names)}
        if not isinstance(schema[name].dataType, T.AtomicType) or len(kinds) > 1:
            raise SourceError(f"{where}: fields {_pairs({name: names})} differ by letter case only, and are "
                              f"{' and '.join(sorted(kinds))}; write them the same")  # fmt: skip
    line = F.col(LINE)
    _require_either(lines, variants, where)
    told = {k: v for k, v in options.items() if k.lower() not in LISTING}
    parsed = lines.withColumn("record", F.from_json(line, kept, told)).where(F.trim(line) != "")

    def value(field: T.StructField) -> Column:
        own = F.col("record").getField(field.name)
        texts = [F.get_json_object(line, f"$['{n}']").try_cast(field.dataType) for n in variants.get(field.name, ())]
        return F.coalesce(own, *texts).alias(field.name)

    partitions = [F.col(quoted(c)) for c in lines.columns if c != LINE]
    return parsed.select(*[value(field) for field in kept.fields], *partitions)


def _require_either(lines: DataFrame, variants: Mapping[str, list[str]], where: str) -> None:
    """Raises SourceError where a record has both writings: then they are two columns, and not one."""
    for name, names in variants.items():
        found = [F.get_json_object(LINE, f"$['{n}']").isNotNull().cast("int") for n in (name, *names)]
        if lines.where(sum(found[1:], found[0]) > 1).take(1):
            raise SourceError(f"{where}: fields {_pairs({name: names})} stand in one record and differ by letter case "
                              "only, which Spark does not tell apart; rename one")  # fmt: skip


def _pairs(variants: Mapping[str, list[str]]) -> str:
    return ", ".join(" and ".join(repr(n) for n in (name, *names)) for name, names in variants.items())
