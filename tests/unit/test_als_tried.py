"""ALS chosen on real rows: what is tried, and what is taken."""

from __future__ import annotations

import pytest

from synthspark.config import Recommend
from synthspark.recommend import AlsSettings
from synthspark.recommend.choice import ALPHAS, RANKS, neighbours_of, smallest_good_settings


def test_a_smaller_rank_is_taken_within_the_noise_and_then_a_larger_alpha() -> None:
    small, large, sure = AlsSettings(32), AlsSettings(64), AlsSettings(32, alpha=4.0)
    assert smallest_good_settings({small: 0.199, large: 0.2}) == small
    assert smallest_good_settings({small: 0.19, large: 0.2}) == large
    assert smallest_good_settings({small: 0.2, sure: 0.197}) == sure
    assert smallest_good_settings({small: 0.2, sure: 0.19}) == small


def test_the_other_values_of_one_setting_are_tried() -> None:
    start = AlsSettings(48, 0.2, 2.0, seed=3)
    assert [s.rank for s in neighbours_of(start, "rank")] == list(RANKS)
    assert [s.alpha for s in neighbours_of(start, "alpha")] == [a for a in ALPHAS if a != 2.0]
    assert {(s.rank, s.seed) for s in neighbours_of(start, "regularization")} == {(48, 3)}


def test_one_word_of_configuration_asks_for_it() -> None:
    assert Recommend.model_validate("auto").auto and not Recommend().auto
    assert Recommend.model_validate({"auto": True, "rank": 64}).rank == 64
    with pytest.raises(ValueError):
        Recommend.model_validate("always")
