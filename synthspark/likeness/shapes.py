"""Marginals and pair trends as defined by SDMetrics 0.32 (QualityReport), on all rows.

SDMetrics samples 50,000 rows for joint frequencies; here all rows are used. Otherwise the definitions are the same,
including these peculiarities: each table's numbers are cut into 10 bins between that table's own extremes, and missing
numbers fall into the bin of the maximum. https://docs.sdv.dev/sdmetrics
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.likeness.tables import Columns, Tables, coded, counted, long_form

BINS = 10
MIN_CORRELATION = 0.5
MIN_ASSOCIATION = 0.3
"""Pairs of columns with a correlation or association in train of at most this are left out, as in SDMetrics."""
DECIMALS = 1e14
"""Numbers are compared to 14 decimals, as in SDMetrics."""

Floats = npt.NDArray[np.float64]


class Extent(NamedTuple):
    """Summary of a number column: count of present values, extremes (None if there are none) and mean."""

    present: int
    low: float | None
    high: float | None
    mean: float


def extents(table: DataFrame, columns: Columns) -> list[Extent]:
    """Return the extent of every number column, computed in one pass."""
    if not columns.n:
        return []
    asked = [f(n).alias(f"{n}_{k}") for n in columns.n for k, f in
             enumerate((F.count, F.min, F.max, F.mean))]  # fmt: skip
    row = table.agg(*asked).collect()[0]
    return [Extent(row[f"{n}_0"], row[f"{n}_1"], row[f"{n}_2"], row[f"{n}_3"] or 0.0) for n in columns.n]


def category_shapes(values: DataFrame, columns: Columns, train: int, synthetic: int) -> dict[str, float]:
    """Return 1 - total variation distance of each category column.

    values: `column`, `value` and the counts `train`, `synthetic`; train, synthetic: number of rows of the tables.
    """
    found = _similarity(values, "column", train, synthetic)
    return {name: found[i] for i, name in enumerate(columns.categories)}


def number_shapes(tables: Tables, extent: dict[str, list[Extent]]) -> dict[str, float | None]:
    """Return 1 - Kolmogorov-Smirnov statistic of each number column over present values; None if there are none."""
    columns = tables.columns
    if not columns.n:
        return {}
    rounded = [F.rint(F.col(n) * DECIMALS) / DECIMALS for n in columns.n]
    parts = {name: long_form(getattr(tables, name), columns.n, rounded).where(F.col("value").isNotNull())
             for name in ("train", "synthetic")}  # fmt: skip
    below = Window.partitionBy("column").orderBy("value").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    summed = counted(parts, ["column", "value"]).select(
        "column", *[F.sum(name).over(below).alias(name) for name in parts]
    )
    sizes = {name: [max(e.present, 1) for e in extent[name]] for name in parts}
    shares = [F.col(name) / F.element_at(F.array(*map(F.lit, sizes[name])), F.col("column") + 1) for name in parts]
    rows = summed.groupBy("column").agg(F.max(F.abs(shares[0] - shares[1])).alias("ks")).collect()
    found = {r["column"]: 1 - float(r["ks"]) for r in rows}
    both = [min(a.present, b.present) > 0 for a, b in zip(extent["train"], extent["synthetic"], strict=True)]
    return {name: found[i] if both[i] else None for i, name in enumerate(columns.numbers)}


def joint_counts(tables: Tables, extent: dict[str, list[Extent]]) -> DataFrame:
    """Return `pair` (index in `joint_pairs`), the values `a`, `b`, and the counts `train`, `holdout`, `synthetic`.

    The holdout is counted for pairs of categories only; no other pair uses it.
    """
    columns = tables.columns
    pairs = joint_pairs(columns)
    parts = {}
    for name in ("train", "holdout", "synthetic"):
        asked = [(i, p) for i, p in enumerate(pairs) if name != "holdout" or max(p) < len(columns.c)]
        edges = [_edges(e) for e in extent[name]] if name != "holdout" else []
        cut = partial(_joint_values, columns=columns, edges=edges, pairs=asked)
        parts[name] = coded(getattr(tables, name), columns).mapInArrow(cut, "pair int, a long, b long")
    return counted(parts, ["pair", "a", "b"])


def joint_pairs(columns: Columns) -> list[tuple[int, int]]:
    """Return the column pairs with joint frequencies: all but pairs of numbers. Categories precede numbers."""
    width = len(columns.categories)
    return [p for p in combinations(range(width + len(columns.numbers)), 2) if p[0] < width]


def joint_trends(joint: DataFrame, columns: Columns, train: int, synthetic: int) -> dict[tuple[str, str], float | None]:
    """Return the contingency similarity of `joint_pairs`: 1 - total variation distance of the joint frequencies.

    None if the association of the two columns in train (Cramer's V) is too small; SDMetrics leaves such pairs out.
    """
    names = [*columns.categories, *columns.numbers]
    score, strength = _similarity(joint, "pair", train, synthetic), _associations(joint)
    return {
        (names[a], names[b]): score[i] if strength[i] > MIN_ASSOCIATION else None
        for i, (a, b) in enumerate(joint_pairs(columns))
    }


def number_trends(tables: Tables, extent: dict[str, list[Extent]]) -> dict[tuple[str, str], float | None]:
    """Return the correlation similarity 1 - |r - r'| / 2 of every pair of numbers.

    None if a correlation is undefined, or if train's is MIN_CORRELATION or less.
    """
    columns = tables.columns
    if len(columns.n) < 2:
        return {}
    real, made = (_correlations(getattr(tables, name), columns, extent[name]) for name in ("train", "synthetic"))
    score = np.where(np.abs(real) > MIN_CORRELATION, 1 - np.abs(real - made) / 2, np.nan)
    return {
        (columns.numbers[a], columns.numbers[b]): None if np.isnan(score[a, b]) else float(score[a, b])
        for a, b in combinations(range(len(columns.n)), 2)
    }


def _associations(joint: DataFrame) -> dict[int, float]:
    """Return Cramer's V per pair in train: sqrt((sum n_ij^2 / (n_i n_j) - 1) / (min values - 1)); 0 for one value."""
    kept = joint.where(F.col("train") > 0).select("pair", "a", "b", "train")
    totals = [F.sum("train").over(Window.partitionBy("pair", key)) for key in ("a", "b")]
    share = (F.col("train") / totals[0]) * (F.col("train") / totals[1])
    first = [(F.row_number().over(Window.partitionBy("pair", key).orderBy("train")) == 1).cast("int")
             for key in ("a", "b")]  # fmt: skip
    rows = kept.select("pair", share.alias("share"), first[0].alias("as"), first[1].alias("bs")).groupBy("pair").agg(
        (F.sum("share") - 1).alias("phi2"), F.least(F.sum("as"), F.sum("bs")).alias("values"))  # fmt: skip
    return {r["pair"]: (max(r["phi2"], 0.0) / max(r["values"] - 1, 1)) ** 0.5 for r in rows.collect()}


def _similarity(counts: DataFrame, key: str, train: int, synthetic: int) -> dict[int, float]:
    difference = F.abs(F.col("train") / train - F.col("synthetic") / synthetic)
    rows = counts.groupBy(key).agg((1 - F.sum(difference) / 2).alias("score")).collect()
    return {r[key]: float(r["score"]) for r in rows}


def _edges(extent: Extent) -> Floats:
    if extent.low is None or extent.high is None:
        return np.histogram_bin_edges(np.empty(0), BINS)
    ends = np.array([extent.low, extent.high], float)
    if not np.isfinite(extent.high - extent.low):  # the range overflows a double
        scaled: Floats = np.histogram_bin_edges(ends / 4, BINS) * 4.0
        return scaled
    return np.histogram_bin_edges(ends, BINS)


def _joint_values(
    batches: Iterable[pa.RecordBatch], columns: Columns, edges: list[Floats], pairs: list[tuple[int, tuple[int, int]]]
) -> Iterator[pa.RecordBatch]:
    """Yield one row per row and pair. In numpy: a single Spark expression would be too large for the JVM to compile."""
    for batch in batches:
        cells = [batch.column(c).to_numpy(zero_copy_only=False) for c in columns.c]
        # digitize puts NaN beyond the last edge, in the same bin as the maximum.
        cells += [np.digitize(x, e) for x, e in zip(_matrix(batch, columns.n[: len(edges)]).T, edges, strict=True)]
        if not pairs:
            continue
        pair = np.repeat(np.array([i for i, _ in pairs], np.int32), batch.num_rows)
        sides = [np.concatenate([cells[p[side]] for _, p in pairs]).astype(np.int64) for side in (0, 1)]
        yield pa.RecordBatch.from_arrays([pa.array(pair), *map(pa.array, sides)], names=["pair", "a", "b"])


def _correlations(table: DataFrame, columns: Columns, extent: list[Extent]) -> Floats:
    """Return Pearson correlations over rows where both are present, shape (n, n); NaN if undefined."""
    means = np.array([e.mean for e in extent])
    width = len(means)

    def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total = np.zeros((5, width, width))
        for batch in batches:
            total += _moments(_matrix(batch, columns.n) - means)
        flat = pa.array(total.ravel(), pa.float64())
        yield pa.RecordBatch.from_arrays([pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat)], ["s"])

    parts = [np.asarray(r["s"]) for r in table.select(*columns.n).mapInArrow(sums, "s array<double>").collect()]
    count, x, y, squares, products = np.sum(parts, axis=0).reshape(5, width, width)
    with np.errstate(all="ignore"):
        covariance = products - x * y / count
        spread = np.maximum(squares - x * x / count, 0)
        found: Floats = covariance / np.sqrt(spread * spread.T)
        constant = spread <= 1e-13 * squares
    found[constant | constant.T | (count < 2)] = np.nan
    single = np.array([e.low == e.high for e in extent])
    found[single | single[:, None]] = np.nan
    return np.clip(found, -1, 1)


def _moments(x: Floats) -> Floats:
    """Return per column pair, over rows with both present: count, both sums, squares of the first, products."""
    present = ~np.isnan(x)
    mask, value = present.astype(float), np.where(present, x, 0.0)
    sums = value.T @ mask
    return np.stack([mask.T @ mask, sums, sums.T, (value * value).T @ mask, value.T @ value])


def _matrix(batch: pa.RecordBatch, names: list[str]) -> Floats:
    """Return columns as doubles with null as NaN, shape (B, n)."""
    columns: list[Any] = [batch.column(n).to_numpy(zero_copy_only=False).astype(float) for n in names]
    return np.column_stack(columns) if columns else np.empty((batch.num_rows, 0))
