"""Drawing is checked against the network's own chances, multiplied out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from synthspark_models import AutoregressiveGenerator
from synthspark_models.autoregressive import NEVER, Rules, Support, any_order_loss, complete

CARDS = (5, 4, 6)
VALUES = [range(1, k) for k in CARDS]
"""Code 0 is UNKNOWN and is ruled out below."""
ROWS = 60_000


@pytest.fixture(scope="module")
def network() -> AutoregressiveGenerator:
    torch.manual_seed(3)
    made = AutoregressiveGenerator(CARDS, hidden=16, layers=2).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    return made


def rules(order: tuple[int, ...] = (0, 1, 2), **more: object) -> Rules:
    never = tuple(torch.tensor([NEVER] + [0.0] * (k - 1)) for k in CARDS)
    return Rules(order, never, **more)  # type: ignore[arg-type]


def chances(network: AutoregressiveGenerator, order: tuple[int, ...]) -> dict[tuple[int, ...], float]:
    """The chance of every row, one conditional after the other."""
    found = {}
    with torch.no_grad():
        for row in itertools.product(*VALUES):
            known, chance = torch.zeros(1, 3, dtype=torch.long), 1.0
            for j in order:
                logits = network.logits(j, network(known))[0]
                logits[0] = NEVER
                chance *= float(torch.softmax(logits, 0)[row[j]])
                known[0, j] = row[j]
            found[row] = chance
    return found


def drawn(network: AutoregressiveGenerator, how: Rules, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    uniform = torch.rand(ROWS, 3, dtype=torch.float64)
    start = torch.zeros(ROWS, 3, dtype=torch.long) if start is None else start
    with torch.inference_mode():
        return complete(network, start, how, uniform)


def shares(rows: Tensor, weights: Tensor | None = None) -> dict[tuple[int, ...], float]:
    kinds, which = torch.unique(rows, dim=0, return_inverse=True)
    weights = torch.ones(len(rows), dtype=torch.float64) if weights is None else weights
    sums = torch.zeros(len(kinds), dtype=torch.float64).index_add_(0, which, weights) / weights.sum()
    return {tuple(k): float(s) for k, s in zip(kinds.tolist(), sums, strict=True)}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_rows_are_drawn_as_often_as_the_chain_rule_says(
    network: AutoregressiveGenerator, order: tuple[int, ...]
) -> None:
    rows, chance = drawn(network, rules(order))
    expected, got = chances(network, order), shares(rows)
    assert sum(expected.values()) == pytest.approx(1)
    for row, share in expected.items():
        assert got.get(row, 0.0) == pytest.approx(share, abs=4 * (share / ROWS) ** 0.5 + 1e-4)
    assert (chance == 0).all()


def test_shared_contexts_change_nothing(network: AutoregressiveGenerator) -> None:
    torch.manual_seed(1)
    uniform = torch.rand(64, 3, dtype=torch.float64)
    start = torch.zeros(64, 3, dtype=torch.long)
    with torch.inference_mode():
        together, _ = complete(network, start, rules(), uniform)
        alone = [complete(network, start[i : i + 1], rules(), uniform[i : i + 1])[0] for i in range(64)]
    assert torch.equal(together, torch.cat(alone))


def test_conditions_weighed_by_their_chance_give_the_exact_conditional(network: AutoregressiveGenerator) -> None:
    """P(row | column 0 is 1 or 2, column 1 is 3), although column 1 is drawn after column 0."""
    first = torch.tensor([NEVER, 0.0, 0.0, NEVER, NEVER])
    second = torch.tensor([NEVER, NEVER, NEVER, 0.0])
    rows, chance = drawn(network, rules(wanted=((0, first), (1, second))))
    assert set(rows[:, 0].tolist()) == {1, 2}
    assert set(rows[:, 1].tolist()) == {3}
    every = chances(network, (0, 1, 2))
    kept = {row: share for row, share in every.items() if row[0] in (1, 2) and row[1] == 3}
    got = shares(rows, torch.exp(chance))
    for row, share in kept.items():
        assert got.get(row, 0.0) == pytest.approx(share / sum(kept.values()), abs=0.012)


def test_what_is_known_stays_and_decides_the_rest(network: AutoregressiveGenerator) -> None:
    start = torch.zeros(ROWS, 3, dtype=torch.long)
    start[:, 2] = 4
    start[: ROWS // 2, 0] = 2
    rows, _ = drawn(network, rules(), start)
    assert (rows[:, 2] == 4).all()
    assert (rows[: ROWS // 2, 0] == 2).all()
    with torch.no_grad():
        logits = network.logits(1, network(torch.tensor([[2, 0, 4]])))[0]
    logits[0] = NEVER
    expected = torch.softmax(logits, 0)
    found = torch.bincount(rows[: ROWS // 2, 1], minlength=4) / (ROWS // 2)
    assert torch.allclose(found, expected, atol=0.012)


def test_a_hierarchy_is_kept_whichever_end_is_known(network: AutoregressiveGenerator) -> None:
    """Codes of column 2: 1 and 2 stand beside 1 of column 1, 3 beside 2, 4 and 5 beside 3."""
    down = Support(2, 1, torch.tensor([0, 0, 2, 3, 5]), torch.tensor([1, 2, 3, 4, 5]))
    up = Support(1, 2, torch.tensor([0, 0, 1, 2, 3, 4, 5]), torch.tensor([1, 1, 2, 3, 3]))
    allowed = {(1, 1), (1, 2), (2, 3), (3, 4), (3, 5)}
    for order in ((0, 1, 2), (2, 0, 1)):
        rows, _ = drawn(network, rules(order, supports=(down, up)))
        assert set(map(tuple, rows[:, 1:].tolist())) == allowed


def test_half_precision_draws_nearly_the_same(network: AutoregressiveGenerator) -> None:
    halved = AutoregressiveGenerator(CARDS, hidden=16, layers=2).eval()
    halved.load_state_dict(network.state_dict())
    exact, rough = shares(drawn(network, rules())[0]), shares(drawn(halved.halve(), rules())[0])
    assert sum(abs(exact.get(k, 0) - rough.get(k, 0)) for k in exact | rough) / 2 < 0.03


def test_every_parameter_learns_and_a_planted_dependence_is_learned() -> None:
    """Column 1 repeats column 0; column 2 is noise. The loss falls to what the noise leaves: ln 4 / 3 per column."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    first = rng.integers(1, 4, 512)
    tokens = torch.from_numpy(np.column_stack([first, first, rng.integers(1, 5, 512)]))
    made = AutoregressiveGenerator((4, 4, 5), hidden=32, layers=1, dropout=0.0)
    made.start_from_shares([torch.bincount(tokens[:, j], minlength=k) for j, k in enumerate((4, 4, 5))])
    optimizer = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(200):
        loss = any_order_loss(made, tokens)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in made.parameters())
        optimizer.step()
    with torch.no_grad():
        made.eval()
        settled = float(np.mean([float(any_order_loss(made, tokens)) for _ in range(20)]))
    # Of 3 columns one is 3 values, one follows from it, one is 4 values: (ln 3 + 0 + ln 4) / 3.
    assert settled == pytest.approx((np.log(3) + np.log(4)) / 3, abs=0.05)


def test_300_000_categories_fit_and_nothing_is_vocabulary_by_vocabulary() -> None:
    """Two hierarchical columns of 300,000 and 5,000: parameters grow with their sum, drawing holds a chunk."""
    many, few = 300_000, 5_000
    made = AutoregressiveGenerator((many, few), hidden=32, layers=1, max_embedding=16).eval()
    assert sum(p.numel() for p in made.parameters()) < 20 * (many + few) + 10_000
    parents = torch.arange(many) % (few - 3) + 3
    order = torch.argsort(parents, stable=True)
    offsets = torch.zeros(few + 1, dtype=torch.long)
    offsets[1:] = torch.cumsum(torch.bincount(parents, minlength=few), 0)
    how = Rules((1, 0), (torch.zeros(many), torch.zeros(few)), (Support(0, 1, offsets, order),))
    with torch.inference_mode():
        rows, _ = complete(made, torch.zeros(500, 2, dtype=torch.long), how, torch.rand(500, 2, dtype=torch.float64))
    beside_known = rows[:, 1] >= 3
    assert (parents[rows[beside_known, 0]] == rows[beside_known, 1]).all()
