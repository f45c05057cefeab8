"""The judge itself: gradient-boosted trees (LightGBM: Ke et al. 2017), kept as text and JSON."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from synthspark.errors import LakeError
from synthspark.judging.features import PairTable

HELD_OUT = 10
"""One user in this many is held out to stop by and to report on."""
PATIENCE = 25
"""Trees without a gain on the held-out users after which no more are grown."""


@dataclass(frozen=True)
class TreeSettings:
    """Size of the judge."""

    trees: int = 150
    learning_rate: float = 0.1
    leaves: int = 31
    seed: int = 0


@dataclass(frozen=True)
class Judge:
    """Trained trees and how they did on held-out users (`auc`; None where there were too few to say)."""

    booster: lightgbm.Booster
    auc: float | None
    num_pairs: int

    def probability(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """That a pair with these features (C, F) is real, against the negatives of its training; shape (C,)."""
        if not len(features):
            return np.zeros(0)
        found: npt.NDArray[np.float64] = np.asarray(self.booster.predict(features, num_threads=1))
        return found


def fit_trees(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.bool_],
    users: npt.NDArray[np.int32],
    names: list[str],
    settings: TreeSettings,
) -> Judge | None:
    """Trees that tell real pairs from drawn ones; None where there are not both kinds. Held out: whole users."""
    held = users % HELD_OUT == HELD_OUT - 1
    if not _both(labels[~held]):
        return None
    parameters = {
        "objective": "binary",
        "metric": ["binary_logloss", "auc"],
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": 20 + len(labels) // 2000,  # 20 is the library's own; more data bears larger leaves
        "lambda_l2": 5.0,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": len(os.sched_getaffinity(0)),
        "verbosity": -1,
    }
    train = lightgbm.Dataset(features[~held], labels[~held], feature_name=names)
    if not _both(labels[held]):
        booster = lightgbm.train(parameters, train, settings.trees)
        return Judge(booster, None, len(labels))
    watched = lightgbm.Dataset(features[held], labels[held], reference=train)
    # By the loss, not by the AUC: a perfect order after one tree says nothing of how sure the judge may be.
    stop = lightgbm.early_stopping(PATIENCE, first_metric_only=True, verbose=False)
    booster = lightgbm.train(parameters, train, settings.trees, valid_sets=[watched], callbacks=[stop])
    return Judge(booster, float(booster.best_score["valid_0"]["auc"]), len(labels))


def save_judge(judge: Judge, table: PairTable, write: Callable[[str, bytes], None]) -> dict[str, Any]:
    """Write model.txt and judge.json by `write(name, data)`; returns the latter's data."""
    text = judge.booster.model_to_string(num_iteration=judge.booster.best_iteration or -1).encode()
    meta = {
        "sha256": hashlib.sha256(text).hexdigest(),
        "table": table.to_json(),
        "auc": judge.auc,
        "num_pairs": judge.num_pairs,
        "lightgbm": lightgbm.__version__,
    }
    write("model.txt", text)
    write("judge.json", json.dumps(meta, indent=1).encode())
    return meta


@lru_cache(maxsize=4)
def load_judge(url: str, sha256: str, read: Callable[[str], bytes]) -> Judge:
    """The trees of `save_judge` below `url`, once per process. Raises LakeError if they are not those of `sha256`."""
    text = read(f"{url}/model.txt")
    if hashlib.sha256(text).hexdigest() != sha256:
        raise LakeError(f"judge {url}: model.txt is not what judge.json describes; train again")
    return Judge(lightgbm.Booster(model_str=text.decode()), None, 0)


def _both(labels: npt.NDArray[np.bool_]) -> bool:
    return bool(labels.any() and not labels.all())
