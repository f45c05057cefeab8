"""Read JSON whose records may spell one field in two letter cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.errors import SourceError
from synthspark.names import distinct_names
from synthspark.schemas import MALFORMED, json_path, quoted
from synthspark.sources.files import LISTING, option, settings
from synthspark.spark_versions import try_cast

LINE = "value"


def read_json(spark: SparkSession, path: str, options: Mapping[str, str], where: str) -> DataFrame:
    """Read every record; `MALFORMED` has the text of unparsable records. `brand` and `Brand` are one field.

    If a record has both, they are two fields, and the alphabetically second one is called `brand_2`. Raises
    SourceError if such fields can neither be merged nor kept apart.
    """
    told = {**options, "columnNameOfCorruptRecord": MALFORMED}
    with settings(spark, {"spark.sql.caseSensitive": "true"}):  # else Spark drops the second silently
        schema = spark.read.options(**told).json(path).schema
    variants = _variants(schema, where)
    if not variants:
        return spark.read.options(**told).schema(schema).json(path)
    if option(options, "multiLine", "false").lower() == "true":
        raise SourceError(f"{where}: fields {_words(variants)} differ by letter case only; write them the same")
    return _merged(spark, path, told, schema, variants, where)


@dataclass(frozen=True)
class _Variants:
    """Fields of one struct whose names differ by letter case only, in alphabetical order."""

    inside: tuple[str, ...]
    """Path of the struct; empty for the top level of the record."""
    fields: tuple[T.StructField, ...]

    def path(self, name: str) -> tuple[str, ...]:
        return (*self.inside, name)

    def __str__(self) -> str:
        names = " and ".join(repr(f.name) for f in self.fields)
        return f"{names} within {'.'.join(self.inside)!r}" if self.inside else names


def _variants(schema: T.StructType, where: str, inside: tuple[str, ...] = (), listed: bool = False) -> list[_Variants]:
    """Find fields that differ by letter case only, in the schema and its structs.

    listed: whether the struct is an element of a list, where fields cannot be looked up by name; raises SourceError
    then.
    """
    same: dict[str, list[T.StructField]] = defaultdict(list)
    for field in schema.fields:
        same[field.name.lower()].append(field)
    found = [_Variants(inside, tuple(fields)) for fields in same.values() if len(fields) > 1]
    if found and listed:
        raise SourceError(f"{where}: in a list the fields {_words(found)} differ by letter case only; "
                          "write them the same")  # fmt: skip
    taken = {f.name for variants in found for f in variants.fields}
    for field in schema.fields:
        is_list = isinstance(field.dataType, T.ArrayType)
        kind = field.dataType.elementType if isinstance(field.dataType, T.ArrayType) else field.dataType
        if isinstance(kind, T.StructType) and field.name not in taken:
            found += _variants(kind, where, (*inside, field.name), listed or is_list)
    return found


def _merged(
    spark: SparkSession, path: str, options: Mapping[str, str], schema: T.StructType, variants: Sequence[_Variants],
    where: str,
) -> DataFrame:  # fmt: skip
    """Parse records by the first spelling and look up the other spellings in the text.

    Spark's column names cannot distinguish the spellings.
    """
    listing = {k: v for k, v in options.items() if k.lower() in LISTING}
    lines = spark.read.options(**listing).text(path)
    others = {v.path(f.name) for v in variants for f in v.fields[1:]}
    partitions = [c for c in lines.columns if c != LINE]
    kept = _without(schema, {*others, *((c,) for c in partitions)})
    told = {k: v for k, v in options.items() if k.lower() not in LISTING}
    record = F.col("record")
    for each, apart in zip(variants, _stand_together(lines, variants), strict=True):
        for name, value in _as_columns(each) if apart else _as_one(each, where):
            record = record.withField(".".join(quoted(part) for part in each.path(name)), value)
    parsed = lines.withColumn("record", F.from_json(F.col(LINE), kept, told)).where(F.trim(F.col(LINE)) != "")
    return parsed.withColumn("record", record).select("record.*", *[F.col(quoted(c)) for c in partitions])


def _without(schema: T.StructType, paths: set[tuple[str, ...]], inside: tuple[str, ...] = ()) -> T.StructType:
    kept = []
    for field in schema.fields:
        path, kind = (*inside, field.name), field.dataType
        if path not in paths:
            deeper = _without(kind, paths, path) if isinstance(kind, T.StructType) else kind
            kept.append(T.StructField(field.name, deeper))
    return T.StructType(kept)


def _as_columns(variants: _Variants) -> list[tuple[str, Column]]:
    """Return all variants but the first as columns with distinct names."""
    names = distinct_names([f.name for f in variants.fields])
    return [
        (name, _looked_up(variants.path(field.name), field.dataType))
        for name, field in zip(names[1:], variants.fields[1:], strict=True)
    ]


def _as_one(variants: _Variants, where: str) -> list[tuple[str, Column]]:
    """Return one column with the variant that a record has, as text if types differ.

    Raises SourceError for lists and structs.
    """
    kinds = {f.dataType.simpleString(): f.dataType for f in variants.fields}
    if not all(isinstance(kind, T.AtomicType) for kind in kinds.values()):
        raise SourceError(f"{where}: fields {variants} differ by letter case only, and are "
                          f"{' and '.join(sorted(kinds))}; write them the same")  # fmt: skip
    kind = next(iter(kinds.values())) if len(kinds) == 1 else T.StringType()
    return [(variants.fields[0].name, F.coalesce(*[_looked_up(variants.path(f.name), kind) for f in variants.fields]))]


def _looked_up(path: Sequence[str], kind: T.DataType) -> Column:
    """Return a field by its exact name in a record's text."""
    text = _text(path)
    return try_cast(text, kind) if isinstance(kind, T.AtomicType) else F.from_json(text, kind)  # type: ignore[arg-type]


def _text(path: Sequence[str]) -> Column:
    return F.get_json_object(LINE, json_path(path))


def _stand_together(lines: DataFrame, variants: Sequence[_Variants]) -> list[bool]:
    """Return, per variants, whether any record has two of the spellings; they are separate fields then."""

    def together(of: _Variants) -> Column:
        found = [_text(of.path(f.name)).isNotNull().cast("int") for f in of.fields]
        return F.max(sum(found[1:], found[0]) > 1)

    seen = lines.select(*[together(of).alias(str(place)) for place, of in enumerate(variants)]).first()
    return [bool(found) for found in seen or ()]


def _words(variants: Sequence[_Variants]) -> str:
    return ", ".join(str(v) for v in variants)
