"""The judge: how likely the proposed pairs of user and item are real, which decides what is published."""

from synthspark.judging.artifacts import load_judge, save_judge
from synthspark.judging.features import ItemStatistics, PairTable
from synthspark.judging.judge import Judge
from synthspark.judging.network import NetworkJudge, NetworkSettings, fit_network
from synthspark.judging.pairs import (
    MERIT,
    SCORES,
    LabelledFeatures,
    in_fold,
    item_statistics,
    labelled_pairs,
    pair_rows,
    thinned,
    training_rows,
    with_merit,
)  # fmt: skip
from synthspark.judging.prior import Prior
from synthspark.judging.ridge import Ridge, fit_ridge, with_linear
from synthspark.judging.trees import TreeJudge, TreeSettings, fit_trees

__all__ = [
    "MERIT",
    "SCORES",
    "ItemStatistics",
    "Judge",
    "LabelledFeatures",
    "NetworkJudge",
    "NetworkSettings",
    "PairTable",
    "Prior",
    "Ridge",
    "TreeJudge",
    "TreeSettings",
    "fit_network",
    "fit_ridge",
    "fit_trees",
    "in_fold",
    "item_statistics",
    "with_merit",
    "labelled_pairs",
    "load_judge",
    "pair_rows",
    "save_judge",
    "thinned",
    "training_rows",
    "with_linear",
]
