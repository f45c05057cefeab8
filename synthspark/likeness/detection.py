"""Can a classifier tell synthetic rows from real ones? An AUC of 0.5 is the best a synthetic table can get."""

from __future__ import annotations

import lightgbm
import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.judging import judge
from synthspark.likeness.tables import Columns, Tables, code, indexed, long_form

DETECTION_ROWS = 50_000
"""Rows of each table that come to the driver: the classifier learns from a sample of at most so many, drawn by hash."""
FEWEST_ROWS = 10
"""Below so many rows of either table there is no AUC."""
FOLDS = 5
REPEATS = 4
SMALL = 3_000
"""Tables with fewer rows are asked REPEATS times, in other folds each: one AUC would move by several hundredths."""
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
    """Out-of-fold ROC AUC of boosted trees (LightGBM) on as many train rows as synthetic rows; None for a few rows.

    Numbers are taken as they are, categories as their rank by frequency in the real tables (-1: in no real row).
    """
    size = min(counts["train"], counts["synthetic"], DETECTION_ROWS)
    if size < FEWEST_ROWS:
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
    """Per category column: code -> rank by frequency in train and holdout, of the values that the sample has."""
    columns = tables.columns
    if not columns.c:
        return []
    real = tables.train.unionByName(tables.holdout)
    values = long_form(real, columns.c, [F.col(c) for c in columns.c]).groupBy("column", "value").count()
    # Ties by name, so that the rank of a rare value does not tell which table it came from.
    order = Window.partitionBy("column").orderBy(F.col("count").desc(), F.col("value").asc_nulls_first())
    ranked = values.select("column", code("value").alias("value"), F.row_number().over(order).alias("rank"))
    asked = long_form(sample, columns.c, [F.col(c) for c in columns.c]).distinct()
    found: list[dict[int, int]] = [{} for _ in columns.c]
    for row in ranked.join(asked, on=["column", "value"], how="left_semi").collect():
        found[row["column"]][row["value"]] = row["rank"] - 1
    return found


def _features(sample: DataFrame, columns: Columns, ranks: list[dict[int, int]]) -> Floats:
    """Numbers (NaN where missing) and ranks of the sample's rows in their drawn order, shape (size, n + c)."""
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
        # One thread: on a shared machine those that wait for each other take many times as long.
        booster = lightgbm.train({**PARAMETERS, "seed": seed, "num_threads": 1}, train, TREES)
        scores[fold == held] = booster.predict(features[fold == held])
    return judge.roc_auc(labels == 1, scores)
