"""Fidelity: similarity of a synthetic table to the real one, computed on all rows."""

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
from synthspark.likeness.tables import Columns, Tables, code, counted, long_form, persisted, prepare, row_counts

DIGITS = 9
"""Decimals of the figures; differences due to the order of floating-point sums across partitions are smaller."""


@dataclass(frozen=True)
class Fidelity:
    """Figures between 0 and 1; None if a figure cannot be computed (for example without category columns)."""

    rows: int
    """Number of synthetic rows; all are compared."""
    quality: float | None
    """Mean of column_shapes and column_pair_trends: SDMetrics' overall score."""
    column_shapes: float | None
    """Mean over the columns: 1 - Kolmogorov-Smirnov statistic of numbers, 1 - total variation of categories."""
    column_pair_trends: float | None
    """Mean over pairs of columns: correlation similarity of numbers, contingency similarity of all other pairs."""
    shape_by_column: Mapping[str, float | None]
    trend_by_pair: tuple[tuple[str, str, float | None], ...]
    """Column, column, similarity of their relation."""
    detection_auc: float | None
    """AUC of a classifier that separates synthetic rows from train rows; 0.5 is best. See `detection`."""
    category_coverage: float | None
    """Share of train's values of a category column that occur in the synthetic table, mean over the columns."""
    coverage_by_column: Mapping[str, float]
    hierarchy_valid: float | None
    """Share of synthetic rows that break none of the rules; None if no rule was found."""
    hierarchy_rules: tuple[str, ...]
    """Dependencies `A->B` between categories found in train. See `hierarchy`."""

    def to_json(self) -> dict[str, object]:
        """Return plain data."""
        return asdict(self)


def fidelity(train: DataFrame, holdout: DataFrame, synthetic: DataFrame, seed: int = 0) -> Fidelity:
    """Compare `synthetic` with `train`; the holdout is used only as further real rows (hierarchies, category ranks).

    Text columns are categories, and a missing value is a category of its own; numbers, booleans, dates and timestamps
    are numbers. All columns of train are compared, so drop identifiers first. Passing the holdout as `synthetic` gives
    the ceiling. seed: seed of the sample and folds of `detection_auc`, the only figure that is sampled. Raises
    SourceError if a column is missing or has another type than in train, or if a table has no rows.
    """
    with persisted(prepare(train, holdout, synthetic)) as tables:
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
    """Return the rounded mean of the values that are not None; None if all are."""
    known = [v for v in values if v is not None]
    return round(float(np.mean(known)), DIGITS) if known else None


def rounded(value: float | None) -> float | None:
    """Round `value` to DIGITS decimals."""
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
    """Return per category column the share of train's values in the synthetic table, and train's number of values."""
    known = (F.col("train") > 0).cast("int")
    met = ((F.col("train") > 0) & (F.col("synthetic") > 0)).cast("int")
    rows = values.groupBy("column").agg(F.sum(known).alias("known"), F.sum(met).alias("met")).collect()
    found = {r["column"]: r for r in rows}
    shares = {name: found[i]["met"] / found[i]["known"] for i, name in enumerate(columns.categories)}
    return shares, [found[i]["known"] for i in range(len(columns.categories))]
