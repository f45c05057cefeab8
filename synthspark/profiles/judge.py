"""The judge of profiles: trees that tell real rows from proposed ones, and the share of proposals they let through."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from synthspark.judging.judge import Judge
from synthspark.judging.trees import TreeSettings, fit_trees
from synthspark.profiles.proposals import density_ratio
from synthspark.profiles.tokens import Codes

MIN_ROWS = 200
"""Real rows below which there is no judge: it would learn those, not what makes a row real."""
BOUND = 0.95
"""The ratio at this quantile is accepted for sure; above it none can be accepted more often."""
MOST_TAKEN = 0.45
"""Share of the proposals that is taken at most: with less to choose from, counts cannot be mended."""
SETTINGS = TreeSettings(
    trees=250, learning_rate=0.1, leaves=31, features=1.0, rows=1.0, held_out=10, rising=(), whole=False
)


class Judged(NamedTuple):
    """A judge, and the share of proposals to take."""

    judge: Judge
    rate: float


def fit_judge(real: Codes, proposed: Codes, names: list[str], seed: int) -> Judged | None:
    """Learn from as many real rows (R, K) as proposed ones; None where there are too few to learn from.

    One row in ten is held out to stop by, so that it does not learn the rows themselves.
    """
    size = min(len(real), len(proposed))
    if size < MIN_ROWS:
        return None
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(real)[:size], rng.permutation(proposed)[:size]])
    labels = np.arange(2 * size) < size
    order = rng.permutation(2 * size)
    numbers = np.arange(2 * size, dtype=np.int32)
    features = rows[order].astype(np.float32)
    judge = fit_trees(features, labels[order], numbers, names, replace(SETTINGS, seed=seed))
    if judge is None:
        return None
    ratio = density_ratio(judge, proposed[:20_000])
    return Judged(judge, min(MOST_TAKEN, float(np.minimum(ratio / np.quantile(ratio, BOUND), 1.0).mean())))
