"""Distributions of number columns; they map numbers of any scale to comparable ranks between 0 and 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.likeness.tables import Columns, long_form

GRID = 1 << 16
"""Maximum number of distinct values for an exact distribution; beyond, it is kept at this many quantiles."""
MISSING_RANK = 2.0
"""Rank of a missing number: at least 1 away from every other rank; distances are clipped to 1."""

Floats = npt.NDArray[np.float64]


class Distribution(NamedTuple):
    """Present values of a number column, ascending, with the shares of rows below and up to each; shape (g,)."""

    values: Floats
    below: Floats
    through: Floats

    def ranks(self, x: Floats) -> npt.NDArray[np.float32]:
        """Return mid-ranks of `x`: share of smaller rows plus half the share of equal ones; MISSING_RANK for NaN."""
        if not len(self.values):
            return np.where(np.isnan(x), MISSING_RANK, 0.0).astype(np.float32)
        at = np.searchsorted(self.values, x)  # NaN sorts after the last value
        met = np.minimum(at, len(self.values) - 1)
        between = np.where(at > 0, self.through[at - 1], 0.0)
        found = np.where(self.values[met] == x, (self.below[met] + self.through[met]) / 2, between)
        return np.where(np.isnan(x), MISSING_RANK, found).astype(np.float32)

    def median(self) -> float:
        """Return the smallest value that at least half of the rows do not exceed; NaN if all are missing."""
        return float(self.values[np.searchsorted(self.through, 0.5)]) if len(self.values) else float("nan")


def distributions(table: DataFrame, columns: Columns) -> list[Distribution]:
    """Return the distribution of every number column; at most GRID + 1 values of each reach the driver."""
    if not columns.n:
        return []
    cells = long_form(table, columns.n, [F.col(n) for n in columns.n]).where(F.col("value").isNotNull())
    counts = cells.groupBy("column", "value").count()
    whole = Window.partitionBy("column")
    rising = whole.orderBy("value").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    summed = counts.select(
        "column",
        "value",
        "count",
        F.sum("count").over(rising).alias("through"),
        F.sum("count").over(whole).alias("all"),
    )
    below = F.col("through") - F.col("count")
    ranked = summed.select("column", "value", (below / F.col("all")).alias("below"),
                           (F.col("through") / F.col("all")).alias("through"),
                           F.count(F.lit(1)).over(whole).alias("distinct"))  # fmt: skip
    crossed = F.floor(F.col("through") * GRID) > F.floor(F.col("below") * GRID)
    kept = ranked.where((F.col("distinct") <= GRID) | crossed | (F.col("below") == 0))
    rows = kept.select("column", "value", "below", "through").toPandas().sort_values(["column", "value"])
    parts = [rows[rows["column"] == i] for i in range(len(columns.n))]
    return [Distribution(*(p[k].to_numpy(float) for k in ("value", "below", "through"))) for p in parts]
