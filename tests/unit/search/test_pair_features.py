from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from synthspark.search.corpus import matching, unpacked
from synthspark.search.features import HISTORY, NAMES, WORDS, matrix_of

IDF = [1.0, 2.0, 4.0]
"""Of terms 0, 1 and 2; the last is a number."""


def batch(history: bool = True) -> pa.RecordBatch:
    """A query of all three terms and an item that has the first two of them; and one of the last, against nothing."""
    queries = [
        {"terms": [0, 1, 2], "idf": IDF, "digit": [False, False, True], "last": 1, "vector": [1.0, 0.0]},
        {"terms": [2], "idf": [4.0], "digit": [True], "last": 2, "vector": [0.0, 1.0]},
    ]
    item = {"terms": [0, 1, 5], "bm25": [1.5, 2.5, 1.0], "tfidf": [0.6, 0.8, 0.0], "translated": [2, 5],
            "translated_weights": [0.5, 0.1], "length": 3, "vector": [0.6, 0.8]}  # fmt: skip
    past = {"terms": [0, 1], "weights": [0.0, 1.0], "direction": [0.0, 2.0], "clicks": 3.0, "usual_tower": 0.5,
            "usual_bm25": 1.0}  # fmt: skip
    q = pa.array(queries)
    i = pa.array([item, {**item, "translated": None, "translated_weights": None}])
    if not history:
        return pa.RecordBatch.from_arrays(
            [q, i, pa.nulls(2), pa.array([None, None], pa.float32())], ["q", "i", "h", "alike"]
        )
    h, alike = pa.array([past, None]), pa.array([2.0, None], pa.float32())
    return pa.RecordBatch.from_arrays([q, i, h, alike], ["q", "i", "h", "alike"])


def features(row: int, history: bool = True) -> dict[str, float]:
    return dict(zip(NAMES, matrix_of(batch(history))[row].tolist(), strict=True))


def test_features_of_words() -> None:
    found = features(0)
    expected = {
        "bm25": 4.0, "bm25_share": 4 / 7, "coverage": 3 / 7, "missing_terms": 1, "rarest_missing": 4, "query_terms": 3,
        "item_terms": 3, "missing_numbers": 1, "last_term": 1, "translated": 4 * 0.5 / 7, "least_translated": 0,
        "tower": 0.6,
    }  # fmt: skip
    assert {name: found[name] for name in WORDS} == pytest.approx(expected)
    other = features(1)
    assert other["bm25"] == 0 and other["coverage"] == 0 and other["rarest_missing"] == 4 and other["last_term"] == 0
    assert other["translated"] == 0 and other["tower"] == pytest.approx(0.8)


def test_features_of_what_was_clicked_before() -> None:
    found = features(0)
    expected = {"alike": 2.0, "alike_share": 1.0, "like_clicked": 0.8, "tower_like_clicked": 0.8, "clicks": 3.0,
                "tower_above_mean": 0.1, "bm25_above_mean": 3.0}  # fmt: skip
    assert {name: found[name] for name in HISTORY} == pytest.approx(expected)


def test_of_a_query_without_clicks_nothing_is_known_of_these() -> None:
    for found in (features(1), features(0, history=False)):
        assert all(np.isnan(found[name]) for name in HISTORY)
        assert not any(np.isnan(found[name]) for name in WORDS)


def test_packed_vectors_meet_by_their_terms() -> None:
    vectors = np.asarray([[3, 7, -1, 2.0, 0.5, 0.0], [7, -1, -1, 4.0, 0.0, 0.0]], np.float32)
    assert isinstance(unpacked(vectors), csr_matrix) and unpacked(vectors).shape == (2, 8)
    wider = np.asarray([[7, 9, -1, -1, 1.0, 1.0, 0.0, 0.0], [1, 2, 3, 4, 1.0, 1.0, 1.0, 1.0]], np.float32)
    assert matching(vectors, wider).tolist() == [[0.5, 2.0], [4.0, 0.0]]
    empty = np.full((1, 2), -1, np.float32)
    assert matching(empty, wider).tolist() == [[0.0, 0.0]]
