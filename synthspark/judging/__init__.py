"""The judge: of the pairs that the generator proposes, it says which are likely, and so what is published."""

from synthspark.judging.features import ItemStatistics, PairTable
from synthspark.judging.pairs import (
    MERIT,
    in_fold,
    item_statistics,
    judged,
    labelled_pairs,
    pair_rows,
    training_rows,
)  # fmt: skip
from synthspark.judging.trees import Judge, TreeSettings, fit_trees, load_judge, save_judge

__all__ = [
    "MERIT",
    "ItemStatistics",
    "Judge",
    "PairTable",
    "TreeSettings",
    "fit_trees",
    "in_fold",
    "item_statistics",
    "judged",
    "labelled_pairs",
    "load_judge",
    "pair_rows",
    "save_judge",
    "training_rows",
]
