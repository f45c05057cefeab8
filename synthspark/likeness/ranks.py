"""Distributions of number columns: what makes numbers of any scale comparable, as ranks between 0 and 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.likeness.tables import Columns, long_form

GRID = 1 << 16
"""Distinct values of a column up to which its distribution is exact; beyond, it is known at so many quantiles."""
MISSING_RANK = 2.0
"""Rank of a missing number: at least 1 from every other, which distances cut to 1."""

Floats = npt.NDArray[np.float64]


class Distribution(NamedTuple):
    """The present values of a number column, ascending, with the shares of rows below and up to each: shape (g,)."""

    values: Floats
    below: Floats
    through: Floats

    def ranks(self, x: Floats) -> npt.NDArray[np.float32]:
        """Mid-ranks of `x`: the share of rows below plus half the share of equal ones; MISSING_RANK for NaN."""
        if not len(self.values):
            return np.where(np.isnan(x), MISSING_RANK, 0.0).astype(np.float32)
        at = np.searchsorted(self.values, x)  # NaN: behind the last
        met = np.minimum(at, len(self.values) - 1)
        between = np.where(at > 0, self.through[at - 1], 0.0)
        found = np.where(self.values[met] == x, (self.below[met] + self.through[met]) / 2, between)
        return np.where(np.isnan(x), MISSING_RANK, found).astype(np.float32)

    def median(self) -> float:
        """The smallest value with half of the rows up to it; NaN where all are missing."""
        return float(self.values[np.searchsorted(self.through, 0.5)]) if len(self.values) else float("nan")


def distributions(table: DataFrame, columns: Columns) -> list[Distribution]:
    """Distribution of every number column; at most GRID + 1 values of each come to the driver."""
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
