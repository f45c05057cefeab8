"""Fidelity: how like the real table a synthetic one is, computed on all rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.likeness.detection import detection_auc
from synthspark.likeness.hierarchy import find_rules, valid_share
from synthspark.likeness.shapes import (
    category_shapes,
    extents,
    joint_counts,
    joint_pairs,
    joint_trends,
    number_shapes,
    number_trends,
)
from synthspark.likeness.tables import Columns, Tables, code, counted, kept, long_form, prepare, row_counts

DIGITS = 9
"""Figures are rounded to so many decimals: the order of floating-point sums, which partitions decide, is below that."""


@dataclass(frozen=True)
class Fidelity:
    """Figures between 0 and 1; None where a table has nothing to measure them by (say, no category column)."""

    rows: int
    """Synthetic rows: all of them count."""
    quality: float | None
    """Mean of the two next: SDMetrics' overall score."""
    column_shapes: float | None
    """Mean over the columns: 1 - Kolmogorov-Smirnov statistic of numbers, 1 - total variation of categories."""
    column_pair_trends: float | None
    """Mean over pairs of columns: correlation similarity of numbers, contingency similarity of all other pairs."""
    shape_by_column: Mapping[str, float | None]
    trend_by_pair: tuple[tuple[str, str, float | None], ...]
    """Column, column, similarity of how they go together."""
    detection_auc: float | None
    """AUC of a classifier that tells synthetic rows from train rows; 0.5 is best. See `detection`."""
    category_coverage: float | None
    """Share of a category column's values in train that the synthetic table has, mean over the columns."""
    coverage_by_column: Mapping[str, float]
    hierarchy_valid: float | None
    """Share of synthetic rows that break none of the rules. None: train shows no rule."""
    hierarchy_rules: tuple[str, ...]
    """Dependencies `A->B` between categories that train shows. See `hierarchy`."""

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


def fidelity(train: DataFrame, holdout: DataFrame, synthetic: DataFrame, seed: int = 0) -> Fidelity:
    """Compare `synthetic` with `train`; the holdout only says what else is real (hierarchies, ranks of categories).

    Text columns are categories with a missing value as one of their own; numbers, booleans, dates and timestamps are
    numbers. The columns of train are compared: identifiers should be dropped before. The holdout, passed as
    `synthetic`, gives the ceiling. seed: of the sample and the folds of `detection_auc`, the only figure that is drawn.
    Raises SourceError where a column is lacking or of another type than in train, or a table has no rows.
    """
    with kept(prepare(train, holdout, synthetic)) as tables:
        counts = row_counts(tables)
        columns = tables.columns
        values = _category_counts(tables).persist()
        extent = {name: extents(getattr(tables, name), columns) for name in ("train", "synthetic")}
        joint = joint_counts(tables, extent).persist()
        try:
            of_categories = category_shapes(values, columns, counts["train"], counts["synthetic"])
            shapes = {**of_categories, **number_shapes(tables, extent)}
            trends = {
                **joint_trends(joint, columns, counts["train"], counts["synthetic"]),
                **number_trends(tables, extent),
            }
            coverage, distinct = _coverage(values, columns)
            rules = find_rules(joint, distinct, joint_pairs(columns), counts["train"])
            valid = valid_share(tables, joint, rules, counts["synthetic"])
        finally:
            values.unpersist()
            joint.unpersist()
        auc = detection_auc(tables, counts, seed)
    names = columns.categories
    shape, trend = mean(shapes.values()), mean(trends.values())
    return Fidelity(
        rows=counts["synthetic"],
        quality=mean([shape, trend]),
        column_shapes=shape,
        column_pair_trends=trend,
        shape_by_column={name: rounded(shapes[name]) for name in train.columns},
        trend_by_pair=tuple((*pair, rounded(value)) for pair, value in trends.items()),
        detection_auc=rounded(auc),
        category_coverage=mean(coverage.values()),
        coverage_by_column={name: round(share, DIGITS) for name, share in coverage.items()},
        hierarchy_valid=rounded(valid),
        hierarchy_rules=tuple(f"{names[r.a]}->{names[r.b]}" for r in rules),
    )


def mean(values: Iterable[float | None]) -> float | None:
    """Rounded mean of those that are not None; None where all are."""
    known = [v for v in values if v is not None]
    return round(float(np.mean(known)), DIGITS) if known else None


def rounded(value: float | None) -> float | None:
    """`value` to DIGITS decimals."""
    return None if value is None else round(value, DIGITS)


def _category_counts(tables: Tables) -> DataFrame:
    columns = tables.columns.c
    empty = "array<struct<column:int,value:bigint>>"
    parts = {
        name: long_form(getattr(tables, name), columns, [code(c) for c in columns]) if columns
        else getattr(tables, name).select(F.explode(F.array().cast(empty)).alias("cell")).select("cell.*")
        for name in ("train", "synthetic")
    }  # fmt: skip
    return counted(parts, ["column", "value"])


def _coverage(values: DataFrame, columns: Columns) -> tuple[dict[str, float], list[int]]:
    """Per category column: the share of train's values that the synthetic table has, and how many values train has."""
    known = (F.col("train") > 0).cast("int")
    met = ((F.col("train") > 0) & (F.col("synthetic") > 0)).cast("int")
    rows = values.groupBy("column").agg(F.sum(known).alias("known"), F.sum(met).alias("met")).collect()
    found = {r["column"]: r for r in rows}
    shares = {name: found[i]["met"] / found[i]["known"] for i, name in enumerate(columns.categories)}
    return shares, [found[i]["known"] for i in range(len(columns.categories))]
