"""What tells written texts from real ones."""

from __future__ import annotations

import numpy as np

from synthspark.likeness.texts import detection_auc

WORDS = [f"w{i}" for i in range(40)]


def drawn(count: int, seed: int, pairs: bool) -> list[list[str]]:
    """Rows of four words; with `pairs` each second word follows from the one before."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        first, third = rng.integers(40, size=2)
        second, fourth = ((first + 7) % 40, (third + 7) % 40) if pairs else rng.integers(40, size=2)
        rows.append([WORDS[i] for i in (first, second, third, fourth)])
    return rows


def test_the_same_kind_of_rows_cannot_be_told_apart() -> None:
    assert 0.43 < detection_auc(drawn(400, 0, True), drawn(400, 1, True), 0) < 0.57


def test_words_of_other_pairs_are_told_apart_though_every_word_is_as_frequent() -> None:
    assert detection_auc(drawn(400, 0, True), drawn(400, 1, False), 0) > 0.9


def test_empty_rows_are_rows() -> None:
    assert detection_auc([["a", "b"]] * 50, [[]] * 50, 0) == 1.0
