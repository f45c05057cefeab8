from __future__ import annotations

import numpy as np
import pytest

from synthspark.training.optimise import STEADY, WARM_UP, learning_rate_at, one_cycle

SHARES = np.linspace(0, 1, 101)


def test_one_cycle_rises_and_falls() -> None:
    rates = [one_cycle(share, 2.0) for share in SHARES]
    assert rates[0] == pytest.approx(2.0 / 25) and max(rates) == pytest.approx(2.0)
    assert SHARES[np.argmax(rates)] == pytest.approx(WARM_UP) and rates[-1] < 0.001


def test_a_settling_rate_is_steady_and_then_falls() -> None:
    rates = np.array([learning_rate_at(share, 2.0) for share in SHARES])
    assert (rates[SHARES <= STEADY] == 2.0).all()
    assert (np.diff(rates[SHARES >= STEADY]) < 0).all() and rates[-1] < 0.001
    assert learning_rate_at(1.5, 2.0) == pytest.approx(rates[-1])
