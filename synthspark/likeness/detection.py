"""Detection AUC: can a classifier distinguish synthetic rows from real ones? The best value is 0.5."""

from __future__ import annotations

import lightgbm
import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.judging import judge
from synthspark.likeness.tables import Columns, Tables, code, indexed, long_form

DETECTION_ROWS = 50_000
"""Maximum number of rows per table for the classifier, sampled by hash and collected on the driver."""
MIN_ROWS = 10
"""Minimum number of rows in each table; with fewer there is no AUC."""
FOLDS = 5
REPEATS = 4
SMALL = 3_000
"""Below this many rows the AUC is the mean over REPEATS partitions into folds: a single one varies by hundredths."""
TREES = 80
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_data_in_leaf": 20,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}

Floats = npt.NDArray[np.float64]


def detection_auc(tables: Tables, counts: dict[str, int], seed: int) -> float | None:
    """Return the out-of-fold ROC AUC of LightGBM on equally many train and synthetic rows; None for too few rows.

    Numbers are used unchanged, categories by their frequency rank in the real tables (-1: in no real row).
    """
    size = min(counts["train"], counts["synthetic"], DETECTION_ROWS)
    if size < MIN_ROWS:
        return None
    samples = [
        indexed(getattr(tables, name), tables.columns, seed, f"detection {name}").where(F.col("row") < size).persist()
        for name in ("train", "synthetic")
    ]
    try:
        ranks = _ranks(tables, samples[0].unionByName(samples[1]))
        features = np.concatenate([_features(sample, tables.columns, ranks) for sample in samples])
    finally:
        for sample in samples:
            sample.unpersist()
    labels = np.repeat([0, 1], size)
    aucs = [_out_of_fold(features, labels, seed + r) for r in range(REPEATS if size < SMALL else 1)]
    return float(np.mean(aucs))


def _ranks(tables: Tables, sample: DataFrame) -> list[dict[int, int]]:
    """Return per category column: code -> frequency rank in train and holdout, for values in the sample."""
    columns = tables.columns
    if not columns.c:
        return []
    real = tables.train.unionByName(tables.holdout)
    values = long_form(real, columns.c, [F.col(c) for c in columns.c]).groupBy("column", "value").count()
    # Ties are broken by value, so that the rank of a rare value does not reveal its table.
    order = Window.partitionBy("column").orderBy(F.col("count").desc(), F.col("value").asc_nulls_first())
    ranked = values.select("column", code("value").alias("value"), F.row_number().over(order).alias("rank"))
    asked = long_form(sample, columns.c, [F.col(c) for c in columns.c]).distinct()
    found: list[dict[int, int]] = [{} for _ in columns.c]
    for row in ranked.join(asked, on=["column", "value"], how="left_semi").collect():
        found[row["column"]][row["value"]] = row["rank"] - 1
    return found


def _features(sample: DataFrame, columns: Columns, ranks: list[dict[int, int]]) -> Floats:
    """Return numbers (NaN if missing) and ranks of the sample's rows in sampling order, shape (size, n + c)."""
    rows = sample.orderBy("row").toPandas()
    numbers = [rows[n].to_numpy(float) for n in columns.n]
    codes = [rows[c].map(known).fillna(-1).to_numpy(float) for c, known in zip(columns.c, ranks, strict=True)]
    return np.column_stack([*numbers, *codes])


def _out_of_fold(features: Floats, labels: npt.NDArray[np.int64], seed: int) -> float:
    rng = np.random.default_rng(seed)
    fold = np.empty(len(labels), int)
    for label in (0, 1):
        mine = np.flatnonzero(labels == label)
        fold[mine] = rng.permutation(len(mine)) % FOLDS
    scores = np.empty(len(labels))
    for held in range(FOLDS):
        train = lightgbm.Dataset(features[fold != held], labels[fold != held])
        # One thread: on a shared machine, threads that wait for each other are many times slower.
        booster = lightgbm.train({**PARAMETERS, "seed": seed, "num_threads": 1}, train, TREES)
        scores[fold == held] = booster.predict(features[fold == held])
    return judge.roc_auc(labels == 1, scores)
