"""Which proposals are taken: in proportion, never twice, with every category's number within one."""

from __future__ import annotations

import numpy as np
import pytest

from synthspark.profiles.judge import fit_judge
from synthspark.profiles.proposals import RAKING_LIMIT, density_ratio, draw_rows, rake


def test_the_wanted_number_of_different_rows_is_taken_in_proportion() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 8, (5000, 3))
    weights = np.where(codes[:, 0] < 4, 3.0, 1.0)
    times = np.zeros(len(codes))
    for seed in range(40):
        rows = draw_rows(codes, weights, 1000, np.random.default_rng(seed))
        assert len(rows) == len(set(rows.tolist())) == 1000
        times[rows] += 1
    assert times[codes[:, 0] < 4].mean() / times[codes[:, 0] >= 4].mean() == pytest.approx(3, rel=0.03)


def test_every_code_of_the_widest_column_gets_its_number_within_one() -> None:
    rng = np.random.default_rng(1)
    codes = np.column_stack([rng.integers(0, 50, 4000), rng.integers(0, 3, 4000)])
    rows = draw_rows(codes, np.ones(4000), 1000, rng)
    expected = np.bincount(codes[:, 0], minlength=50) / 4
    assert np.abs(np.bincount(codes[rows, 0], minlength=50) - expected).max() <= 1


@pytest.mark.parametrize("count", [1, 7, 100])
def test_a_weight_that_outweighs_all_others_is_taken_once(count: int) -> None:
    codes = np.arange(100)[:, None]
    weights = np.ones(100)
    weights[3] = 1e9
    rows = draw_rows(codes, weights, count, np.random.default_rng(0))
    assert 3 in rows
    assert len(set(rows.tolist())) == count


def test_rows_without_a_weight_are_not_taken() -> None:
    weights = np.zeros(100)
    weights[:10] = 1.0
    rows = draw_rows(np.zeros((100, 1), np.int64), weights, 20, np.random.default_rng(0))
    assert sorted(rows.tolist()) == list(range(10))


def test_raking_brings_counts_nearer_and_moves_no_weight_far() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (20_000, 2))
    real = [[100, 120, 80, 100], [90, 110, 100, 100]]
    weights = rake(codes, np.ones(len(codes)), real, [np.zeros(4, bool)] * 2)
    for j in range(2):
        sums = np.bincount(codes[:, j], weights=weights)
        assert sums == pytest.approx(np.array(real[j]) / sum(real[j]), abs=0.01)
    assert weights.sum() == pytest.approx(1)
    assert weights.max() / weights.min() <= RAKING_LIMIT**2 * 1.01
    assert rake(codes, np.zeros(len(codes)), real, [np.zeros(4, bool)] * 2).sum() == pytest.approx(1)


def test_the_judge_mends_a_dependence_that_the_proposals_lack() -> None:
    """Real: the second column repeats the first. Proposed: it does so in half of the rows only."""
    rng = np.random.default_rng(0)

    def rows(count: int, share: float) -> np.ndarray:
        first = rng.integers(3, 9, count)
        return np.column_stack([first, np.where(rng.random(count) < share, first, rng.integers(3, 9, count))])

    found = fit_judge(rows(3000, 1.0), rows(3000, 0.5), ["a", "b"], 0)
    assert found is not None
    assert found.judge.auc is not None
    assert found.judge.auc > 0.65
    fresh = rows(6000, 0.5)
    chosen = fresh[draw_rows(fresh, density_ratio(found.judge, fresh), int(6000 * found.rate), rng)]
    assert np.mean(fresh[:, 0] == fresh[:, 1]) < 0.65
    assert np.mean(chosen[:, 0] == chosen[:, 1]) > 0.97
    assert fit_judge(rows(50, 1.0), rows(50, 0.5), ["a", "b"], 0) is None
