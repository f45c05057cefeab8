"""Interface of a judge, items held out while it is trained, and ROC AUC."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from synthspark.judging.prior import Prior

HELD_OUT = 5
"""One item in this many is held out, for early stopping and for the reported AUC."""


@dataclass(frozen=True)
class Judge(ABC):
    """A classifier of real and drawn pairs, with its accuracy on held-out items."""

    auc: float | None
    """ROC AUC on held-out items, of a judge that did not learn from them; None if there were too few."""
    num_pairs: int
    """Number of labelled pairs, including those of held-out items."""
    prior: Prior | None = field(default=None, kw_only=True)
    """Prior that moderates its probabilities; None for a judge of other pairs than the generator's."""

    model: ClassVar[str]
    """Name in the configuration (`judge.model`)."""
    file: ClassVar[str]
    """Name of the file that holds `to_bytes`."""

    @abstractmethod
    def probability(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probability that pairs with these features (C, F) are real, not negatives of training; shape (C,).

        It is computed by one thread: the tasks of an executor are the parallelism.
        """

    def merit(self, features: npt.NDArray[np.float32], names: list[str]) -> npt.NDArray[np.float64]:
        """Return the probability moderated by the prior, shape (C,). features: (C, F), named by `names`."""
        chance = self.probability(features)
        return chance if self.prior is None else self.prior.applied(chance, features, names)

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Return the learned parameters; the same bytes for the same training rows and seed."""

    @classmethod
    @abstractmethod
    def from_bytes(cls, data: bytes, meta: Mapping[str, Any]) -> Self:
        """Load a judge from `to_bytes`. meta: content of judge.json, including `auc`, `num_pairs` and `settings`."""

    def settings(self) -> dict[str, Any]:
        """Return the settings that `from_bytes` needs beside the bytes."""
        return {}


def held_out(items: npt.NDArray[np.int32], one_in: int = HELD_OUT) -> npt.NDArray[np.bool_]:
    """Return a mask (n,) of the rows of held-out items: whole items, since the judge will be asked about new items.

    A holdout by users would not show that few items are learned by heart (docs/decisions/006).
    """
    held: npt.NDArray[np.bool_] = items % one_in == one_in - 1
    return held


def both_kinds(labels: npt.NDArray[np.bool_]) -> bool:
    """Return whether there are both real and drawn pairs."""
    return bool(labels.any() and not labels.all())


def roc_auc(labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.floating[Any]]) -> float:
    """Return the probability that a real pair scores above a drawn one, ties counting half: Mann and Whitney's U.

    labels, scores: shape (n,); both labels must occur.
    """
    distinct, place = np.unique(scores, return_inverse=True)
    positive, negative = (np.bincount(place[kind], minlength=len(distinct)) for kind in (labels, ~labels))
    return auc_of_counts(positive, negative)


def auc_of_counts(positive: npt.NDArray[np.integer[Any]], negative: npt.NDArray[np.integer[Any]]) -> float:
    """Return `roc_auc` from the numbers of positives and negatives per distinct score, in rising order of scores."""
    below = np.cumsum(negative) - negative
    total = float(positive.sum()) * float(negative.sum())
    return float((positive * (below + negative / 2)).sum() / total)
