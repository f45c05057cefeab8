"""What the judge sees of a pair, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from synthspark.features.encoding import FIRST
from synthspark.features.encoding.bag import HASHED
from synthspark.judging.features import (
    NEAREST,
    Bag,
    Floats,
    Items,
    ItemStatistics,
    PairTable,
    Proposal,
    pair_features,
    similarity,
    sparse_products,
)

A, B = FIRST, FIRST + 1
TITLE = Bag(["word_0", "word_1"], np.array([0, 1, 2], np.float32), 3.0)
TABLE = PairTable(["brand", "kind"], [FIRST + 2, FIRST + 2], ["price"], [["tag_0", "tag_1"]], [TITLE])
# Ten warm items: brand A has 2 of them (bought by 8 users in all), B the other 8; kind A has 5, B has 5.
STATS = ItemStatistics.of(TABLE, [(0, A, 2, 8), (0, B, 8, 12), (1, A, 5, 10), (1, B, 5, 10)])


def items(*rows: tuple[int, int, float, float, float]) -> Items:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
    return Items(table[:, :2].astype(np.int32), table[:, 2:].astype(np.float32), np.zeros((len(rows), 2), np.int32))


def seen(history: Items, candidates: Items) -> dict[str, Floats]:
    ones = np.ones(len(candidates.codes), np.float32)
    found = pair_features(TABLE, STATS, history, candidates, Proposal(2 * ones, 4 * ones, 3 * ones, 4 * ones, ones))
    assert found.dtype == np.float32
    assert found.shape == (len(ones), len(TABLE.feature_names))
    return dict(zip(TABLE.feature_names, found.T, strict=True))


HISTORY = items((A, A, 1.0, 1, 0), (A, B, 3.0, 0, 1), (B, B, 5.0, -1, 0))


def test_attribute_features_by_hand() -> None:
    f = seen(HISTORY, items((A, B, 4.0, 0, 1), (0, B, 1.0, -1, 0)))
    assert f["cosine"].tolist() == [0.5, 0.5]
    assert f["linear_cosine"].tolist() == [0.75, 0.75]
    assert f["user_activity"] == pytest.approx(np.log(4.0))
    assert f["matches_brand"].tolist() == [2, 0]  # an unknown brand matches nothing, itself included
    assert f["share_brand"][0] == pytest.approx(2 / 3)
    assert f["lift_brand"][0] == pytest.approx(2 / (2 / 10 * 3 + 1))
    assert f["coverage_brand"][0] == pytest.approx(2 / 3)
    assert f["audience_brand"][0] == pytest.approx((8 + 5 * 2.0) / (2 + 5))
    assert f["distance_price"].tolist() == [1.0, 2.0]  # the mean of the history is 3


def test_similarity_is_the_information_of_what_is_shared() -> None:
    f = seen(HISTORY, items((A, B, 4.0, 0, 1)))
    brand, kind, tags = np.log(10 / 2), np.log(10 / 5), 0.5 * np.log(10)
    # The second item shares brand, kind and tags; the first the brand, the third the kind.
    similar = np.array([brand, brand + kind + tags, kind]) / (brand + kind + tags)
    assert f["max_similarity"] == pytest.approx(1.0)
    assert f["nearest_similarity"] == pytest.approx(similar.mean())
    assert f["sum_cubed_similarity"] == pytest.approx((similar**3).sum())
    assert f["same_items"].tolist() == [1]
    assert f["distance_to_nearest_price"] == pytest.approx(1.0)
    assert f["nearest_tag_0"] == pytest.approx(1.0)
    assert f["profile_tag_0"] == pytest.approx(1 / 3)


def test_without_history_or_attributes_everything_is_finite() -> None:
    for history in (items(), HISTORY):
        for candidates in (items(), items((0, 1, 0.0, -1, 0))):
            assert all(np.isfinite(column).all() for column in seen(history, candidates).values())
    bare = PairTable([], [], [], [])
    nothing = Items(np.zeros((2, 0), np.int32), np.zeros((2, 0), np.float32), np.zeros((2, 0), np.int32))
    ones = np.ones(2, np.float32)
    found = pair_features(bare, ItemStatistics([], [], 0), nothing, nothing, Proposal(ones, ones, ones, ones, ones))
    assert found.shape == (2, len(bare.feature_names))
    assert np.isfinite(found).all()


def words(*rows: tuple[int, int]) -> Items:
    ids = np.array(rows, np.int32).reshape(len(rows), 2)
    return Items(np.zeros((len(rows), 2), np.int32), np.zeros((len(rows), 3), np.float32), ids)


def test_texts_are_alike_by_the_words_they_share() -> None:
    """Words 1 and 2 of weights 1 and 2, any other of weight 3."""
    unseen = 3 + 17
    f = seen(words((1, 2), (1, 0), (0, 0)), words((1, 2), (2, unseen), (unseen, 0), (0, 0)))
    one, two = [1, 1 / 5**0.5, 0], [4 / (5**0.5 * 13**0.5), 0, 0]
    for row, cosines in enumerate((one, two, [0, 0, 0], [0, 0, 0])):
        assert f["nearest_word_0"][row] == pytest.approx(max(cosines), abs=1e-6)
        assert f["profile_word_0"][row] == pytest.approx(np.mean(cosines), abs=1e-6)
        assert f["squared_word_0"][row] == pytest.approx(np.sum(np.square(cosines)), abs=1e-6)
    assert f["max_similarity"][0] == pytest.approx(1.0)  # nothing else is known of these


@pytest.mark.parametrize("seed", range(5))
def test_sparse_products_are_those_of_dense_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bag = Bag([], rng.random(50, np.float32), 2.0)
    ids = [rng.choice(np.r_[np.zeros(9, int), 1:80], (n, 6)).astype(np.int32) for n in (7, 11)]
    left, right = (bag.matrix(np.array([[*set(row), *[0] * (6 - len(set(row)))] for row in part])) for part in ids)
    assert left.shape == (7, 50 + HASHED + 1)
    assert np.allclose(sparse_products(left, right), (left @ right.T).toarray(), atol=1e-6)
    assert np.allclose(left.multiply(left).sum(axis=1), 1)
    assert not sparse_products(left, bag.matrix(np.zeros((2, 6), np.int32))).any()


def test_features_of_a_large_shop_do_not_depend_on_the_version_of_numpy() -> None:
    # Above 65,535 items NumPy 1 divides as doubles and NumPy 2 as floats, unless told.
    counts = np.arange(1, 2000)
    many = ItemStatistics.of(TABLE, [(0, B, 70_000, 1_234_567)])
    assert many.audiences[0][A] == np.float32(1_234_567 / 70_000 * 5.0) / np.float32(5.0)
    of = ItemStatistics([np.concatenate([np.zeros(FIRST), counts]).astype(np.float32)], [], many.num_items)
    by_hand = np.array([np.log(many.num_items / count) for count in counts.tolist()]).astype(np.float32)
    np.testing.assert_array_equal(of.information(0)[FIRST:], by_hand)
    expected = [count / many.num_items * 300 for count in counts.tolist()]
    assert of.expected(0, np.arange(FIRST, FIRST + len(counts), dtype=np.int32), 300).tolist() == expected


def test_nearest_similarities_are_added_in_their_own_order() -> None:
    random = np.random.default_rng(0)
    table = PairTable([], [], [], [["a", "b", "c"]], [])
    nobody = ItemStatistics([], [], 50)

    def drawn(size: int) -> Items:
        numbers = random.normal(size=(size, 3)).astype(np.float32)
        return Items(np.zeros((size, 0), np.int32), numbers, np.zeros((size, 0), np.int32))

    history, candidates, ones = drawn(300), drawn(200), np.ones(200, np.float32)
    found = pair_features(table, nobody, history, candidates, Proposal(ones, ones, ones, ones, ones))
    alike, _ = similarity(table, nobody, history, candidates)
    ascending = np.sort(alike, axis=1)[:, -NEAREST:]
    np.testing.assert_array_equal(found[:, table.feature_names.index("nearest_similarity")], ascending.mean(axis=1))
