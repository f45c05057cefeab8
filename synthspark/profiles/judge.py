"""Judge of profiles: trees that separate real from proposed rows, and the share of proposals to accept."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from synthspark.judging.judge import Judge
from synthspark.judging.trees import TreeSettings, fit_trees
from synthspark.profiles.proposals import density_ratio
from synthspark.profiles.tokens import Codes

MIN_ROWS = 200
"""Minimum number of real rows for a judge: with fewer it overfits to these rows."""
BOUND = 0.95
"""Quantile of the density ratio from which on proposals are accepted with probability 1."""
MAX_TAKEN = 0.45
"""Maximum share of proposals that is accepted; a larger share leaves no choice for correcting counts by raking."""
SETTINGS = TreeSettings(
    trees=250, learning_rate=0.1, leaves=31, features=1.0, rows=1.0, held_out=10, rising=(), whole=False
)


class Judged(NamedTuple):
    """A judge and the share of proposals to accept."""

    judge: Judge
    rate: float


def fit_judge(real: Codes, proposed: Codes, names: list[str], seed: int) -> Judged | None:
    """Fit a judge on equally many real and proposed rows (R, K); returns None if there are too few.

    One row in ten is held out for early stopping, which prevents overfitting to the rows.
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
    return Judged(judge, min(MAX_TAKEN, float(np.minimum(ratio / np.quantile(ratio, BOUND), 1.0).mean())))
