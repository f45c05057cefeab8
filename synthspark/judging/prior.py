"""Of few items a judge learns little: the linear regression's opinion counts beside it (shrinkage towards a prior)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

PRIOR_STRENGTH = 200.0
"""Items whose sales tell a judge as much as the regression knows without them: decisions/016."""
TRUSTED = "linear_score"
"""Whose opinion it is: the regression has learned from all the items that the judge did not."""
LEAST_CHANCE = 1e-6
"""Chances stay as far from 0 and 1, so that logits are finite."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What the judge's logit of a pair is on average, given the regression's score: a straight line (least squares).

    With n items among its pairs a pair's logit is (n x the judge's + s x the line's) / (n + s), s PRIOR_STRENGTH. A
    score of which the judge makes nothing, or thinks the worse the higher it is, gives a flat line: that tempers all
    chances and turns no order.
    """

    items: int
    scores: tuple[float, float]
    """Mean and standard deviation of that score over the pairs learned from."""
    logits: tuple[float, float]
    """Mean of the judge's logits of those pairs, and what one standard deviation of the score adds to it."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `asdict`, from JSON."""
        return cls(data["items"], tuple(data["scores"]), tuple(data["logits"]))

    @classmethod
    def of(cls, features: npt.NDArray[np.float32], names: list[str], items: npt.NDArray[np.int32], chance: Doubles
           ) -> Self:  # fmt: skip
        """From the pairs learned from: features (n, F) by `names`, items (n,), and what the judge says of them (n,)."""
        score, logit = _score(features, names), _logit(chance)
        mean, spread = float(score.mean()), float(score.std()) or 1.0
        slope = max(0.0, float(np.mean((score - mean) / spread * logit)))
        return cls(len(np.unique(items)), (mean, spread), (float(logit.mean()), slope))

    def applied(self, chance: Doubles, features: npt.NDArray[np.float32], names: list[str]) -> Doubles:
        """`chance`, shape (n,), as the judge says it of pairs with these features, moderated; in (0, 1)."""
        standard = (_score(features, names) - self.scores[0]) / self.scores[1]
        expected = self.logits[0] + self.logits[1] * standard
        logit = (self.items * _logit(chance) + PRIOR_STRENGTH * expected) / (self.items + PRIOR_STRENGTH)
        moderated: Doubles = 1 / (1 + np.exp(-logit))
        return np.clip(moderated, LEAST_CHANCE, 1 - LEAST_CHANCE)


def _score(features: npt.NDArray[np.float32], names: list[str]) -> Doubles:
    return features[:, names.index(TRUSTED)].astype(np.float64)


def _logit(chance: Doubles) -> Doubles:
    clipped = np.clip(chance, LEAST_CHANCE, 1 - LEAST_CHANCE)
    odds: Doubles = np.log(clipped / (1 - clipped))
    return odds
