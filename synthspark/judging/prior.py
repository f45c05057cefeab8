"""Of few items a judge learns little: the generator's opinion counts beside it (shrinkage towards a prior)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from synthspark.judging.features import OPINION

PRIOR_STRENGTH = 50.0
"""Items whose sales tell a judge as much as the generator knows without them: decisions/006."""
LEAST_CHANCE = 1e-6
"""Chances stay as far from 0 and 1, so that logits are finite."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """The generator's score of a pair, put on the scale of the judge's logits.

    With n items among its pairs a pair's logit is (n x the judge's + s x the score's) / (n + s), s PRIOR_STRENGTH.
    """

    items: int
    scores: tuple[float, float]
    """Mean and standard deviation of the generator's scores of the pairs learned from."""
    logits: tuple[float, float]
    """The same of the judge's logits of those pairs."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `asdict`, from JSON."""
        return cls(data["items"], tuple(data["scores"]), tuple(data["logits"]))

    @classmethod
    def of(cls, features: npt.NDArray[np.float32], names: list[str], items: npt.NDArray[np.int32], chance: Doubles
           ) -> Self:  # fmt: skip
        """From the pairs learned from: features (n, F) by `names`, items (n,), and what the judge says of them (n,)."""
        return cls(len(np.unique(items)), _moments(_score(features, names)), _moments(_logit(chance)))

    def applied(self, chance: Doubles, features: npt.NDArray[np.float32], names: list[str]) -> Doubles:
        """`chance`, shape (n,), as the judge says it of pairs with these features, moderated; in (0, 1)."""
        standard = (_score(features, names) - self.scores[0]) / self.scores[1]
        expected = self.logits[0] + self.logits[1] * standard
        logit = (self.items * _logit(chance) + PRIOR_STRENGTH * expected) / (self.items + PRIOR_STRENGTH)
        moderated: Doubles = 1 / (1 + np.exp(-logit))
        return np.clip(moderated, LEAST_CHANCE, 1 - LEAST_CHANCE)


def _score(features: npt.NDArray[np.float32], names: list[str]) -> Doubles:
    return features[:, names.index(OPINION[0])].astype(np.float64)


def _logit(chance: Doubles) -> Doubles:
    clipped = np.clip(chance, LEAST_CHANCE, 1 - LEAST_CHANCE)
    odds: Doubles = np.log(clipped / (1 - clipped))
    return odds


def _moments(values: Doubles) -> tuple[float, float]:
    """Mean and standard deviation; 1 for the latter where all values are the same."""
    return float(values.mean()), float(values.std()) or 1.0
