"""What a judge is, whatever is inside, and who is held out while it learns."""

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
"""One item in this many is held out to stop by and to report on."""


@dataclass(frozen=True)
class Judge(ABC):
    """Tells real pairs from drawn ones; knows how it did on held-out items."""

    auc: float | None
    """On the held-out items, by a judge that did not learn from them; None where there were too few to say."""
    num_pairs: int
    """Labelled pairs, those of held-out items included."""
    prior: Prior | None = field(default=None, kw_only=True)
    """What moderates it, if it is a judge of the generator's pairs."""

    model: ClassVar[str]
    """Its name in the configuration."""
    file: ClassVar[str]
    """The name of the file that holds `to_bytes`."""

    @abstractmethod
    def probability(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """That a pair with these features (C, F) is real, against the negatives of its training; shape (C,).

        One thread computes it: the tasks of an executor are the parallelism.
        """

    def merit(self, features: npt.NDArray[np.float32], names: list[str]) -> npt.NDArray[np.float64]:
        """Its probability, moderated by its prior; features: (C, F), by `names`. Shape (C,)."""
        chance = self.probability(features)
        return chance if self.prior is None else self.prior.applied(chance, features, names)

    @abstractmethod
    def to_bytes(self) -> bytes:
        """What was learned; the same for the same training rows and seed."""

    @classmethod
    @abstractmethod
    def from_bytes(cls, data: bytes, meta: Mapping[str, Any]) -> Self:
        """The judge of `to_bytes`; meta: the data of its judge.json, `auc`, `num_pairs` and `settings` among them."""

    def settings(self) -> dict[str, Any]:
        """What `from_bytes` must know beside the bytes."""
        return {}


def held_out(items: npt.NDArray[np.int32], one_in: int = HELD_OUT) -> npt.NDArray[np.bool_]:
    """The rows, shape (n,), of the held-out items: whole items, since these are what the judge will meet anew.

    By users it would not be seen that of few items those are learned by heart (docs/decisions/006).
    """
    held: npt.NDArray[np.bool_] = items % one_in == one_in - 1
    return held


def both_kinds(labels: npt.NDArray[np.bool_]) -> bool:
    """Whether there are real pairs and drawn ones."""
    return bool(labels.any() and not labels.all())


def roc_auc(labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.floating[Any]]) -> float:
    """The chance that a real pair scores above a drawn one, ties counting half: Mann and Whitney's U.

    labels, scores: shape (n,); both kinds must be there.
    """
    distinct, place = np.unique(scores, return_inverse=True)
    positive, negative = (np.bincount(place[kind], minlength=len(distinct)) for kind in (labels, ~labels))
    return auc_of_counts(positive, negative)


def auc_of_counts(positive: npt.NDArray[np.integer[Any]], negative: npt.NDArray[np.integer[Any]]) -> float:
    """The same from how many positives and negatives have each distinct score, scores rising."""
    below = np.cumsum(negative) - negative
    total = float(positive.sum()) * float(negative.sum())
    return float((positive * (below + negative / 2)).sum() / total)
