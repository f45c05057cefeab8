"""The judge as gradient-boosted trees (LightGBM: Ke et al. 2017), stored as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import lightgbm
import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from synthspark.judging.features import OPINION
from synthspark.judging.judge import HELD_OUT, Judge, both_kinds, held_out
from synthspark.threads import num_threads

PATIENCE = 25
"""Number of trees without a gain on held-out items before training stops."""


@dataclass(frozen=True)
class TreeSettings:
    """Size and regularization of the judge."""

    trees: int = 600
    """Maximum number of trees."""
    learning_rate: float = 0.03
    leaves: int = 31
    seed: int = 0
    features: float = 0.5
    """Share of the features that a tree is grown from."""
    rows: float = 0.7
    """Share of the rows that a tree is grown from."""
    held_out: int = HELD_OUT
    """One item in this many is held out."""
    rising: tuple[str, ...] = OPINION
    """Features in which the probability never falls (monotone constraints)."""
    whole: bool = True
    """Whether the final judge grows the same number of trees from all pairs, including those of held-out items."""


@dataclass(frozen=True)
class TreeJudge(Judge):
    """Trained trees."""

    booster: lightgbm.Booster

    model: ClassVar[str] = "trees"
    file: ClassVar[str] = "model.txt"

    def probability(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """See `Judge.probability`."""
        if not len(features):
            return np.zeros(0)
        found: npt.NDArray[np.float64] = np.asarray(self.booster.predict(features, num_threads=1))
        return found

    def to_bytes(self) -> bytes:
        """Return LightGBM's text up to the best tree, with 1 as number of threads: the same bytes on every machine."""
        text: str = self.booster.model_to_string(num_iteration=self.booster.best_iteration or -1)
        return re.sub(r"\[num_threads: \d+\]", "[num_threads: 1]", text).encode()

    @classmethod
    def from_bytes(cls, data: bytes, meta: Mapping[str, Any]) -> Self:
        """See `Judge.from_bytes`."""
        return cls(meta["auc"], meta["num_pairs"], lightgbm.Booster(model_str=data.decode()))


def fit_trees(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.bool_],
    items: npt.NDArray[np.int32],
    names: list[str],
    settings: TreeSettings,
) -> TreeJudge | None:
    """Fit trees that tell real pairs from drawn ones; None unless there are both kinds.

    features: (n, F), named by `names`; labels, items: (n,). Held-out items determine the number of trees. The trees are
    the same with any number of threads (`deterministic` and `force_row_wise`). docs/decisions/006 measures the effect
    of each setting.
    """
    held = held_out(items, settings.held_out)
    if not both_kinds(labels[~held]):
        return None
    parameters = {
        "objective": "binary",
        "metric": ["binary_logloss", "auc"],
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": 20 + len(labels) // 2000,  # 20 is LightGBM's default; more data allows larger leaves
        "lambda_l2": 5.0,
        "feature_fraction": settings.features,
        "bagging_fraction": settings.rows,
        "bagging_freq": 1,
        "monotone_constraints": [int(name in settings.rising) for name in names] if settings.rising else None,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": num_threads(),
        "verbosity": -1,
    }
    auc, trees = None, settings.trees
    if both_kinds(labels[held]):
        train = lightgbm.Dataset(features[~held], labels[~held], feature_name=names)
        watched = lightgbm.Dataset(features[held], labels[held], reference=train)
        # Stop by the loss, not by the AUC: one tree may order perfectly, and its probabilities still be far off.
        stop = lightgbm.early_stopping(PATIENCE, first_metric_only=True, verbose=False)
        tried = lightgbm.train(parameters, train, trees, valid_sets=[watched], callbacks=[stop])
        auc, trees = float(tried.best_score["valid_0"]["auc"]), tried.best_iteration
        if not settings.whole:
            return TreeJudge(auc, len(labels), tried)
    every = lightgbm.Dataset(features, labels, feature_name=names)
    return TreeJudge(auc, len(labels), lightgbm.train(parameters, every, trees))
