"""The tokens of a table, fitted and applied in Spark: a fixed number of passes, whatever the columns."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from pyspark.ml.feature import Bucketizer
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synthspark.features.encoding import categorical, datetime, multi, numeric
from synthspark.features.encoding.columns import encoded_name
from synthspark.profiles.tokens import (
    ABSENT,
    PRESENT,
    CategoryTokens,
    MemberTokens,
    NumberTokens,
    TokenEncoding,
    Tokens,
)  # fmt: skip
from synthspark.quantiles import quantiles
from synthspark.schemas import quoted
from synthspark_models.tabular import FIRST, MISSING, RARE, UNKNOWN

MOST_BINS, LEAST_BINS, BIN_ROWS = 100, 10, 50
"""A number has so many bins, or fewer where they would hold less rows than that: nothing is learned of a bin of few."""
MAX_SPIKES = 512
SPIKE_ROWS, SPIKE_SHARE = 20, 1 / 2000
"""A number that so many rows (and this share of them) have is a value of its own, not a place in a bin."""
STEPS = {"numeric": (1.0, 0.1, 0.01, 0.001, 0.0001), "datetime": (86400.0, 3600.0, 60.0, 1.0)}
UNIQUE_SHARE = 0.95
"""Categories of which this share are seen once are ids, whatever the declaration says."""


@dataclass(frozen=True)
class TokenLimits:
    """What bounds the tokens."""

    min_category_count: int = 1
    """Categories in fewer rows are never emitted."""
    max_categories: int = 50_000
    max_multi_values: int = 32


def fit(
    df: DataFrame, kinds: Mapping[str, str], limits: TokenLimits, written: Collection[str] = ()
) -> tuple[TokenEncoding, dict[str, str]]:
    """The tokens of every attribute of `df` (without hierarchies and counts), and why an attribute has none.

    written: attributes that a writer makes, piece by piece; they have no tokens here.
    """
    of = {kind: [a for a, k in kinds.items() if k == kind] for kind in ("categorical", "numeric", "datetime", "multi")}
    categories = categorical.analyze(df, of["categorical"], limits.max_categories)
    numbers = _numbers(df, kinds, [*of["numeric"], *of["datetime"]])
    sets = multi.analyze(df, of["multi"], limits.max_multi_values)
    tokens: list[Tokens] = []
    constants: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name, kind in kinds.items():
        column = encoded_name("token", len(tokens), name)
        if name in written:
            continue
        if kind == "categorical":
            counts = categories[name].counts
            kept = sorted((v for v, n in counts.items() if n >= limits.min_category_count),
                          key=lambda v: (-counts[v], v))  # fmt: skip
            once = sum(n == 1 for n in counts.values())
            known = min(categories[name].rows - categories[name].missing, limits.max_categories)
            if len(counts) > 1 and once >= UNIQUE_SHARE * known:
                left_out[name] = "nearly every value is unique (an id by mistake?)"
            elif len(counts) == 1 and not categories[name].missing and kept:
                constants[name] = kept[0]
            elif not kept:
                left_out[name] = f"no value occurs {limits.min_category_count} times" if counts else "all null"
            else:
                tokens.append(CategoryTokens(name, column, tuple(kept)))
        elif kind in ("numeric", "datetime"):
            found = numbers[name]
            if found is None:
                left_out[name] = "all null"
            else:
                tokens.append(replace(found, column=column))
        elif kind == "multi":
            values = sorted(v for v, n in sets[name].counts.items() if n >= limits.min_category_count)
            for value in values:
                tokens.append(MemberTokens(name, encoded_name("token", len(tokens), name), value))
            if not values:
                left_out[name] = "no value is frequent enough"
        else:
            left_out[name] = "train.texts.enabled is false"
    return TokenEncoding(dict(kinds), tuple(tokens), constants), left_out


def encode(df: DataFrame, encoding: TokenEncoding) -> DataFrame:
    """`df` with every token column as int; the attributes stay.

    A category outside the vocabulary is RARE where rows to learn from had such, else UNKNOWN.
    """
    numbers = [t for t in encoding.tokens if isinstance(t, NumberTokens)]
    for i, tokens in enumerate(encoding.tokens):
        if isinstance(tokens, CategoryTokens):
            encoder = categorical.CategoricalEncoder(tokens.name, tokens.column, tokens.vocabulary, True)
            df = categorical.encode(df, encoder)
            if not encoding.counts or encoding.counts[i][RARE]:
                code = F.col(tokens.column)
                df = df.withColumn(tokens.column, F.when(code == UNKNOWN, RARE).otherwise(code))
        elif isinstance(tokens, MemberTokens):
            value = F.col(quoted(tokens.name))
            member = F.when(F.array_contains(value, tokens.value), PRESENT).otherwise(ABSENT)
            df = df.withColumn(tokens.column, F.when(value.isNull(), MISSING).otherwise(member).cast("int"))
    return _bucketed(df, encoding, numbers)


def counted(tokens: DataFrame, encoding: TokenEncoding) -> TokenEncoding:
    """`encoding` with the rows per code of `tokens`, its token columns; one pass."""
    pairs = [F.struct(F.lit(i).alias("column"), F.col(c).alias("code")) for i, c in enumerate(encoding.columns)]
    if not pairs:
        return encoding
    rows = tokens.select(F.explode(F.array(*pairs)).alias("p")).groupBy("p.column", "p.code").count()
    counts = [[0] * k for k in encoding.cardinalities]
    for row in rows.withColumnRenamed("count", "n").toLocalIterator():
        counts[row["column"]][row["code"]] = row["n"]
    return replace(encoding, counts=tuple(tuple(c) for c in counts))


def number_column(name: str, kind: str) -> Column:
    """A numeric attribute, or a datetime's seconds, as a finite double; what is not finite is missing."""
    value = datetime.seconds(name) if kind == "datetime" else F.col(quoted(name)).cast("double")
    finite = ~F.isnan(value) & (F.abs(value) < float("inf"))
    return F.when(finite, value + F.lit(0.0))  # + 0: there is no negative zero


def _numbers(df: DataFrame, kinds: Mapping[str, str], names: Sequence[str]) -> dict[str, NumberTokens | None]:
    if not names:
        return {}
    columns = {f"n{i}": number_column(n, kinds[n]) for i, n in enumerate(names)}
    plain = df.select([value.alias(place) for place, value in columns.items()])
    total = plain.count()
    spikes, bins = _spikes(plain, total), min(MOST_BINS, max(LEAST_BINS, total // BIN_ROWS))
    aggregates: list[Column] = []
    ranks = [min(max(i / bins, numeric.TAIL), 1 - numeric.TAIL) for i in range(bins + 1)]
    rest = {n: F.when(~v.isin(spikes[i]), v) if spikes[i] else v for i, (n, v) in enumerate(columns.items())}
    edges = quantiles(df, rest, ranks)
    for i, name in enumerate(names):
        value = F.col(f"n{i}")
        for s, step in enumerate(STEPS[kinds[name]]):
            near = F.abs(value / step - F.round(value / step)) < 1e-6
            aggregates.append(F.bool_and(near).alias(f"s{i}_{s}"))
    row = plain.agg(*aggregates).collect()[0]
    return {
        name: _intervals(
            name, kinds[name], spikes[i], edges[f"n{i}"],
            next((step for s, step in enumerate(STEPS[kinds[name]]) if row[f"s{i}_{s}"]), None),
        )
        for i, name in enumerate(names)
    }  # fmt: skip


def _spikes(plain: DataFrame, total: int) -> list[list[float]]:
    """Per column the values that are frequent enough to stand for themselves, ascending."""
    pairs = [F.struct(F.lit(i).alias("column"), F.col(c).alias("value")) for i, c in enumerate(plain.columns)]
    counts = (
        plain.select(F.explode(F.array(*pairs)).alias("p"))
        .where("p.value is not null")
        .groupBy("p.column", "p.value")
        .count()
    )
    frequent = counts.where(F.col("count") >= max(SPIKE_ROWS, total * SPIKE_SHARE))
    order = F.row_number().over(Window.partitionBy("column").orderBy(F.col("count").desc(), "value"))
    top = frequent.withColumn("place", order).where(F.col("place") <= MAX_SPIKES)
    found: list[list[float]] = [[] for _ in plain.columns]
    for row in top.select("column", "value").collect():
        found[row["column"]].append(row["value"])
    return [sorted(values) for values in found]


def _intervals(
    name: str, kind: str, spikes: Sequence[float], edges: Sequence[float], step: float | None
) -> NumberTokens | None:  # fmt: skip
    """Spikes as points and, between them, the bins of the rest."""
    points = {v: True for v in spikes}
    inner = sorted(set(edges))
    if not points and not inner:
        return None
    if len(inner) == 1:  # a single value: a point, though a rare one
        points.setdefault(inner[0], True)
    cuts = sorted(set(inner) | set(points))
    lows, highs = [], []
    for i, cut in enumerate(cuts):
        after = cuts[i + 1] if i + 1 < len(cuts) else None
        if cut in points:
            lows.append(cut)
            highs.append(cut)
        if after is None or not inner or not inner[0] <= cut < inner[-1]:
            continue
        low = cut
        if cut in points:
            low = math.nextafter(cut, math.inf) if step is None else cut + step / 2
        closed = after == inner[-1] and after not in points
        high = after + (step or 0.0) / 2 if closed else after
        if step is None or math.ceil(high / step - 1e-6) > math.ceil(low / step - 1e-6):  # else it holds no value
            lows.append(low)
            highs.append(high)
    return NumberTokens(name, "", tuple(lows), tuple(highs), step, kind == "datetime")


def _bucketed(df: DataFrame, encoding: TokenEncoding, numbers: Sequence[NumberTokens]) -> DataFrame:
    """Binary search in the JVM; a value between tokens goes to the one below, beyond the ends to the nearer end."""
    wide = [t for t in numbers if len(t.lows) > 1]
    inputs = {t.column: number_column(t.name, encoding.kinds[t.name]) for t in numbers}
    for column, value in inputs.items():
        df = df.withColumn(f"{column}_raw", value)
    if wide:
        splits = [[-math.inf, *t.lows[1:], math.inf] for t in wide]
        df = Bucketizer(
            splitsArray=splits, inputCols=[f"{t.column}_raw" for t in wide],
            outputCols=[f"{t.column}_bucket" for t in wide], handleInvalid="keep",
        ).transform(df)  # fmt: skip
    drop = []
    for t in numbers:
        bucket = F.col(f"{t.column}_bucket") if t in wide else F.lit(0)
        code = F.when(F.col(f"{t.column}_raw").isNull(), MISSING).otherwise(FIRST + bucket)
        df = df.withColumn(t.column, code.cast("int"))
        drop += [f"{t.column}_raw", f"{t.column}_bucket"]
    return reduce(DataFrame.drop, drop, df) if drop else df
