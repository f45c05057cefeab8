"""Preparation of real and synthetic tables for comparison: column kinds, unified missing values, sampling order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.errors import SourceError, did_you_mean
from synthspark.indexing import with_index
from synthspark.schemas import quoted


class Columns(NamedTuple):
    """Names of the compared columns.

    A prepared table names categories `c0`, `c1`, ... and numbers `n0`, `n1`, ..., so that original names with dots,
    spaces or other scripts need no quoting.
    """

    categories: tuple[str, ...]
    """Text columns: each value is a category, and so is a missing value."""
    numbers: tuple[str, ...]
    """Numbers, booleans (0 and 1), dates and timestamps (seconds). NaN and infinities count as missing."""

    @property
    def c(self) -> list[str]:
        """Return the prepared names of the categories."""
        return [f"c{i}" for i in range(len(self.categories))]

    @property
    def n(self) -> list[str]:
        """Return the prepared names of the numbers."""
        return [f"n{i}" for i in range(len(self.numbers))]


class Tables(NamedTuple):
    """The three prepared tables: `c*` strings, `n*` doubles, null if missing."""

    columns: Columns
    train: DataFrame
    holdout: DataFrame
    synthetic: DataFrame


def prepare(train: DataFrame, holdout: DataFrame, synthetic: DataFrame) -> Tables:
    """Classify the columns of `train` and prepare all tables alike; columns that train lacks are ignored.

    Raises SourceError, which names the table and the column, if a column is missing or cannot be compared by its type.
    """
    kinds = {f.name: _kind("train", f) for f in train.schema.fields}
    if not kinds:
        raise SourceError("table train has no column to compare; select some")
    numbers = tuple(name for name, kind in kinds.items() if kind == "number")
    columns = Columns(tuple(name for name in kinds if name not in numbers), numbers)
    for label, table in (("holdout", holdout), ("synthetic", synthetic)):
        fields = {f.name: f for f in table.schema.fields}
        for name, kind in kinds.items():
            if name not in fields:
                raise SourceError(
                    f"table {label} lacks the column {name!r} of train; it has {', '.join(fields)}."
                    f"{did_you_mean(name, fields)} Add it, or drop it from train"
                )
            if (found := _kind(label, fields[name])) != kind:
                told = fields[name].dataType.simpleString()
                raise SourceError(f"table {label}: column {name!r} is a {found} ({told}), in train a {kind}; cast it")
    return Tables(columns, *(_prepared(t, columns) for t in (train, holdout, synthetic)))


def row_counts(tables: Tables) -> dict[str, int]:
    """Count the rows of each table; raise SourceError if one is empty."""
    counts = {name: getattr(tables, name).count() for name in ("train", "holdout", "synthetic")}
    for name, count in counts.items():
        if not count:
            raise SourceError(f"table {name} has no rows; nothing can be compared")
    return counts


@contextmanager
def persisted(tables: Tables) -> Iterator[Tables]:
    """Persist the tables during the block, because they are read many times."""
    held = tables.train, tables.holdout, tables.synthetic
    for table in held:
        table.persist()
    try:
        yield tables
    finally:
        for table in held:
            table.unpersist()


def code(column: str) -> Column:
    """Hash a category, null included, to 64 bits; among a million values the chance of a collision is below 1e-7."""
    return F.xxhash64(column)


def coded(table: DataFrame, columns: Columns) -> DataFrame:
    """Return `table` with each category replaced by its code."""
    return table.select(*[code(c).alias(c) for c in columns.c], *columns.n)


def indexed(table: DataFrame, columns: Columns, seed: int, salt: str) -> DataFrame:
    """Return `coded` with the int column `row`: 0, 1, ... in hash order, so that the first n rows are a sample of n.

    The order does not depend on partitions. salt: tables with different salts have unrelated orders, even if they share
    rows.
    """
    numbers = [F.coalesce(n, F.lit(float("nan"))) for n in columns.n]
    present: list[Column | str] = [*columns.c, *numbers]
    content = coded(table, columns).withColumn("_content", F.xxhash64(F.lit(seed), F.lit(salt), *present))
    # Number equal rows, or they would be sampled together; which of them gets which number does not matter.
    copy = F.row_number().over(Window.partitionBy("_content").orderBy("_content"))
    drawn = content.withColumn("_draw", F.xxhash64("_content", copy))
    return with_index(drawn, "_draw", "row").drop("_content", "_draw")


def long_form(table: DataFrame, names: Sequence[str], values: Sequence[Column]) -> DataFrame:
    """Return one row per row and column: `column` (index in `names`) and `value`."""
    cells = [F.struct(F.lit(i).alias("column"), v.alias("value")) for i, v in enumerate(values[: len(names)])]
    return table.select(F.explode(F.array(*cells)).alias("cell")).select("cell.column", "cell.value")


def counted(parts: dict[str, DataFrame], keys: Sequence[str]) -> DataFrame:
    """Return `keys` and, for each table of `parts`, its number of rows with these keys, in a column of its name."""
    marked = [
        part.select(*keys, *[F.lit(int(other == name)).cast("long").alias(other) for other in parts])
        for name, part in parts.items()
    ]
    union = reduce(DataFrame.unionByName, marked)
    return union.groupBy(*keys).agg(*[F.sum(name).alias(name) for name in parts])


def _prepared(table: DataFrame, columns: Columns) -> DataFrame:
    types = {f.name: f.dataType for f in table.schema.fields}
    categories = [F.col(quoted(name)).alias(c) for name, c in zip(columns.categories, columns.c, strict=True)]
    numbers = [_number(name, types[name]).alias(n) for name, n in zip(columns.numbers, columns.n, strict=True)]
    return table.select(*categories, *numbers)


def _number(name: str, kind: T.DataType) -> Column:
    column = F.col(quoted(name))
    if isinstance(kind, T.DateType):
        column = column.cast("timestamp")
    if isinstance(kind, T.TimestampNTZType):
        column = column.cast("timestamp")
    value = column.cast("double") + F.lit(0.0)  # -0.0 becomes 0.0
    return F.when(F.abs(value) < float("inf"), value)  # NaN is larger than infinity in Spark


def _kind(table: str, field: T.StructField) -> str:
    if isinstance(field.dataType, T.StringType):
        return "text"
    numbers = (T.NumericType, T.BooleanType, T.DateType, T.TimestampType, T.TimestampNTZType)
    if isinstance(field.dataType, numbers):
        return "number"
    raise SourceError(
        f"table {table}: column {field.name!r} is {field.dataType.simpleString()}, neither text nor a number; cast it, "
        "or leave it out"
    )
