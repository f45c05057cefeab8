"""Prior of the judge: with few items, its logits are shrunk towards those expected from the linear regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

PRIOR_STRENGTH = 200.0
"""Number of items from which the judge's own logit weighs as much as the prior (docs/decisions/016)."""
TRUSTED = "linear_score"
"""Feature that the prior reads: the regression has learned from all the items that the judge did not."""
MIN_CHANCE = 1e-6
"""Minimum distance of probabilities from 0 and 1, so that logits are finite."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """Expected logit of the judge given the regression's score: a straight line (least squares).

    With n items among the judge's pairs, a pair's logit becomes (n x the judge's + s x the line's) / (n + s), s being
    PRIOR_STRENGTH. If the judge's logit does not rise with the score, the line is flat: probabilities are tempered and
    keep their order.
    """

    items: int
    """Number of items among the judge's pairs."""
    scores: tuple[float, float]
    """Mean and standard deviation of the score over the training pairs."""
    logits: tuple[float, float]
    """Mean of the judge's logits of these pairs, and the increase per standard deviation of the score."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build from the JSON of `asdict`."""
        return cls(data["items"], tuple(data["scores"]), tuple(data["logits"]))

    @classmethod
    def of(cls, features: npt.NDArray[np.float32], names: list[str], items: npt.NDArray[np.int32], chance: Doubles
           ) -> Self:  # fmt: skip
        """Fit on training pairs: features (n, F) by `names`, items (n,), and `chance` (n,), the judge's output."""
        score, logit = _score(features, names), _logit(chance)
        mean, spread = float(score.mean()), float(score.std()) or 1.0
        slope = max(0.0, float(np.mean((score - mean) / spread * logit)))
        return cls(len(np.unique(items)), (mean, spread), (float(logit.mean()), slope))

    def applied(self, chance: Doubles, features: npt.NDArray[np.float32], names: list[str]) -> Doubles:
        """Moderate the judge's probabilities `chance` (n,) of pairs with these features (n, F); in (0, 1)."""
        standard = (_score(features, names) - self.scores[0]) / self.scores[1]
        expected = self.logits[0] + self.logits[1] * standard
        logit = (self.items * _logit(chance) + PRIOR_STRENGTH * expected) / (self.items + PRIOR_STRENGTH)
        moderated: Doubles = 1 / (1 + np.exp(-logit))
        return np.clip(moderated, MIN_CHANCE, 1 - MIN_CHANCE)


def _score(features: npt.NDArray[np.float32], names: list[str]) -> Doubles:
    return features[:, names.index(TRUSTED)].astype(np.float64)


def _logit(chance: Doubles) -> Doubles:
    clipped = np.clip(chance, MIN_CHANCE, 1 - MIN_CHANCE)
    odds: Doubles = np.log(clipped / (1 - clipped))
    return odds
