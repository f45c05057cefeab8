"""Bootstrap intervals over users, paired between arms, in memory that does not grow with the users.

Users are hashed into groups once, and the sums of the groups are resampled. With fewer users than groups this is the
ordinary bootstrap over users; with more, it is a bootstrap over random groups, whose interval is the same in
expectation (Kleiner et al. 2014, doi:10.1111/rssb.12050, on bootstraps of reduced data).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

GROUPS = 8192


@dataclass(frozen=True)
class GroupSums:
    """Per group of users: the sum of each metric and the number of users. Shapes (groups, metrics) and (groups,)."""

    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]

    def means(self) -> npt.NDArray[np.float64]:
        """Mean over all users, shape (metrics,)."""
        means: npt.NDArray[np.float64] = self.sums.sum(axis=0) / max(self.counts.sum(), 1)
        return means


def group_sums(metrics: DataFrame, columns: Sequence[str], by: str) -> dict[str, GroupSums]:
    """Sum per-user `metrics` into groups, separately per value of `by`; at most GROUPS rows per value are collected."""
    group = F.pmod(F.xxhash64("user_index"), F.lit(GROUPS)).alias("group")
    summed = metrics.groupBy(by, group).agg(F.count(F.lit(1)).alias("count"), *[F.sum(c).alias(c) for c in columns])
    found: dict[str, GroupSums] = {}
    for row in summed.collect():
        sums = found.setdefault(row[by], GroupSums(np.zeros((GROUPS, len(columns))), np.zeros(GROUPS)))
        sums.sums[row["group"]] = [row[c] for c in columns]
        sums.counts[row["group"]] = row["count"]
    return found


def resampled_means(arms: Sequence[GroupSums], resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """Compute the means of every arm under the same resamples of the groups, shape (resamples, arms, metrics)."""
    rng = np.random.default_rng(seed)
    present = np.flatnonzero(np.any([arm.counts > 0 for arm in arms], axis=0))
    sums = np.stack([arm.sums[present] for arm in arms])  # arms, groups, metrics
    counts = np.stack([arm.counts[present] for arm in arms])
    chance = np.full(len(present), 1 / len(present))
    means = np.empty((resamples, len(arms), sums.shape[2]))
    for i in range(resamples):
        drawn = rng.multinomial(len(present), chance).astype(float)
        means[i] = np.einsum("g,agm->am", drawn, sums) / np.maximum(counts @ drawn, 1)[:, None]
    return means


def interval(samples: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the central 95 % interval of `samples`, shape (resamples,)."""
    low, high = np.quantile(samples, [0.025, 0.975])
    return float(low), float(high)
