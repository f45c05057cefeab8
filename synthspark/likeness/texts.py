"""Similarity of generated texts (or sets) to real ones."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from synthspark.features.encoding.bag import tokens_of
from synthspark.features.encoding.words import MAX_CHARACTERS
from synthspark.judging.judge import roc_auc
from synthspark.schemas import quoted
from synthspark.texts.fitting import comparably, rare

MAX_TEXTS = 5000
"""Maximum number of real and of generated texts that are compared; they are collected on the driver."""
FEATURES = 1 << 18
"""Number of hash buckets for words and word pairs."""
FOLDS = 5
PENALTY = 1e-4
"""L2 penalty relative to the mean loss per text; small, so that the classifier finds subtle differences."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TextLikeness:
    """Figures of one attribute."""

    detection_auc: float
    """Out-of-fold AUC of a logistic regression on words and word pairs that separates generated from real texts; 0.5
    is best."""
    distinct_words: float
    """Distinct words divided by all words (distinct-1: Li et al. 2016, arXiv:1510.03055)."""
    distinct_pairs: float
    """Distinct pairs of adjacent words divided by all pairs (distinct-2)."""
    real_distinct_words: float
    """`distinct_words` of equally many real texts."""
    real_distinct_pairs: float
    """`distinct_pairs` of equally many real texts."""
    distinct: float
    """Distinct texts divided by all texts."""
    copies_of_rare: float
    """Share of texts that occur in real rows, but in fewer than features.min_category_count of them."""

    def to_json(self) -> dict[str, float]:
        """Return plain data."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


def text_likeness(real: DataFrame, new: DataFrame, name: str, kind: str, least: int, seed: int) -> TextLikeness | None:
    """Compare a text attribute of new rows with that of real rows; return None if too few rows have it."""
    texts = [_drawn(df, name, seed) for df in (real, new)]
    size = min(map(len, texts))
    if size < 2 * FOLDS:
        return None
    genuine, written = ([tokens_of(kind, value) for value in part[:size]] for part in texts)
    copies = new.where(F.col(quoted(name)).isNotNull()).select(comparably(name).alias("text"))
    copied = copies.join(rare(real, name, least), on="text", how="left_semi").count()
    different = len({tuple(row) for row in written})
    return TextLikeness(
        detection_auc=detection_auc(genuine, written, seed),
        distinct_words=_distinct(written, 1),
        distinct_pairs=_distinct(written, 2),
        real_distinct_words=_distinct(genuine, 1),
        real_distinct_pairs=_distinct(genuine, 2),
        distinct=different / size,
        copies_of_rare=copied / copies.count(),
    )


def detection_auc(real: Sequence[list[str]], written: Sequence[list[str]], seed: int) -> float:
    """Return the AUC of a classifier on words and word pairs; 1 if it separates generated from real rows perfectly."""
    rows = _features([*real, *written])
    labels = np.arange(len(real) + len(written)) >= len(real)
    fold = np.random.default_rng(seed).permutation(len(labels)) % FOLDS
    scores = np.zeros(len(labels))
    for held in range(FOLDS):
        scores[fold == held] = rows[fold == held] @ _logistic(rows[fold != held], labels[fold != held])
    found: float = roc_auc(labels, scores)
    return found


def _drawn(df: DataFrame, name: str, seed: int) -> list[Any]:
    value = F.col(quoted(name))
    if dict(df.dtypes)[name] == "string":
        value = F.substring(value, 1, MAX_CHARACTERS)  # the encoder reads no more
    known = df.select(value.alias("value")).where(F.col("value").isNotNull())
    drawn = known.orderBy(F.xxhash64(F.lit(seed), "value"), "value").limit(MAX_TEXTS).collect()
    values = [row["value"] for row in drawn]
    np.random.default_rng(seed).shuffle(values)
    return values


def _grams(tokens: Sequence[str], count: int) -> list[str]:
    padded = ["", *tokens, ""] if count > 1 else list(tokens)
    return ["\n".join(padded[i : i + count]) for i in range(len(padded) - count + 1)]


def _distinct(rows: Sequence[list[str]], count: int) -> float:
    grams = [gram for row in rows for gram in _grams(row, count)]
    return len(set(grams)) / max(len(grams), 1)


def _features(rows: Sequence[list[str]]) -> Any:
    """Return indicator features of a row's hashed words and pairs, scaled to length 1, and a constant."""
    place = [np.unique([zlib.crc32(g.encode()) % FEATURES for n in (1, 2) for g in _grams(r, n)]) for r in rows]
    starts = np.cumsum([0, *(len(p) + 1 for p in place)])
    columns = np.concatenate([np.append(p, FEATURES) for p in place]).astype(np.int64)
    values = np.concatenate([np.append(np.full(len(p), 1 / np.sqrt(max(len(p), 1))), 1.0) for p in place])
    return csr_matrix((values, columns, starts), shape=(len(rows), FEATURES + 1))


def _logistic(rows: Any, labels: npt.NDArray[np.bool_]) -> Floats:
    """Fit a logistic regression by L-BFGS on the columns that occur, and return its weights."""
    used = np.unique(rows.indices)
    narrow, sign = rows[:, used], np.where(labels, 1.0, -1.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (narrow @ weights)
        slope = -sign / (1 + np.exp(np.clip(margin, -500, 500)))
        value = np.logaddexp(0, -margin).mean() + PENALTY * weights @ weights
        return float(value), narrow.T @ slope / len(sign) + 2 * PENALTY * weights

    solve: Callable[..., Any] = minimize
    found = np.zeros(rows.shape[1])
    found[used] = solve(loss, np.zeros(len(used)), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return found
