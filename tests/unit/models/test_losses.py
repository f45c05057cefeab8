from __future__ import annotations

import math

import pytest
import torch

from synthspark_models.losses import (
    critic_generator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    minimax_discriminator_loss,
    minimax_generator_loss,
    mutual_information_bound,
    ranking_loss,
    wasserstein_critic_loss,
)


def test_minimax_losses_by_hand() -> None:
    real, fake = torch.tensor([0.0, math.log(3)]), torch.tensor([0.0, -math.log(3)])  # D = 1/2, 3/4 and 1/2, 1/4
    expected = -(math.log(0.5) + math.log(0.75)) / 2 - (math.log(0.5) + math.log(0.75)) / 2
    assert minimax_discriminator_loss(real, fake).item() == pytest.approx(expected, rel=1e-5)
    assert minimax_generator_loss(fake).item() == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2, rel=1e-5)


def test_label_smoothing_punishes_certainty() -> None:
    sure, fake = torch.full((4,), 20.0), torch.full((4,), -20.0)
    assert minimax_discriminator_loss(sure, fake, smoothing=0.1) > minimax_discriminator_loss(sure, fake) + 1


def test_hinge_and_wasserstein_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-2.0, 0.5])
    assert hinge_discriminator_loss(real, fake).item() == pytest.approx(0.25 + 0.75)
    assert wasserstein_critic_loss(real, fake).item() == pytest.approx(-0.75 - 1.25)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits_stay_finite(size: float) -> None:
    logits = torch.full((3,), size)
    for loss in (minimax_discriminator_loss(logits, logits), minimax_generator_loss(logits)):
        assert torch.isfinite(loss)


def test_gradient_penalty_of_a_linear_critic() -> None:
    slope = torch.tensor([3.0, 4.0])  # norm 5: (5 - 1)^2 x 10
    penalty = gradient_penalty(lambda x: x @ slope, torch.randn(8, 2), torch.randn(8, 2))
    assert penalty.item() == pytest.approx(160.0, rel=1e-4)


def test_gradient_penalty_has_a_weight_and_only_wants_a_slope_of_one() -> None:
    slope = torch.tensor([0.6, 0.8])
    assert gradient_penalty(lambda x: x @ slope, torch.randn(8, 2), torch.randn(8, 2)).item() < 1e-10
    steep = gradient_penalty(lambda x: x @ (3 * slope), torch.randn(8, 2), torch.randn(8, 2), weight=2.0)
    assert steep.item() == pytest.approx(8.0, rel=1e-4)
    assert critic_generator_loss(torch.tensor([1.0, 2.0])).item() == -1.5


def test_mutual_information_bound_by_hand() -> None:
    none = torch.zeros(2, 0)
    codes = torch.tensor([[0], [1]])
    guess = torch.tensor([[[math.log(3), 0.0]], [[math.log(3), 0.0]]])  # Q = 3/4 of the first code, 1/4 of the second
    bound = mutual_information_bound(guess, codes, none, none, none)
    assert bound.item() == pytest.approx(math.log(2) + (math.log(0.75) + math.log(0.25)) / 2, rel=1e-5)
    # A normal density of mean 0 and variance 1 at 1 and at 0, against H = log 2 of a uniform in [-1, 1].
    nothing, at = torch.zeros(2, 0, 3), torch.tensor([[1.0], [0.0]])
    bound = mutual_information_bound(nothing, torch.zeros(2, 0).long(), torch.zeros(2, 1), torch.zeros(2, 1), at)
    assert bound.item() == pytest.approx(math.log(2) - 0.5 * math.log(2 * math.pi) - 0.25, rel=1e-5)


def test_mutual_information_adds_up_over_codes_and_is_at_most_their_entropy() -> None:
    codes = torch.randint(0, 4, (50, 2))
    sure = torch.nn.functional.one_hot(codes, 4) * 1e4
    none = torch.zeros(50, 0)
    assert mutual_information_bound(sure, codes, none, none, none).item() == pytest.approx(2 * math.log(4), rel=1e-5)
    blind = mutual_information_bound(torch.zeros(50, 2, 4), codes, none, none, none)
    assert blind.item() == pytest.approx(0.0, abs=1e-5)


def test_ranking_loss_with_every_counterpart_is_the_full_softmax() -> None:
    torch.manual_seed(0)
    query, others = torch.randn(2, 3), torch.randn(50, 3)
    positives = torch.stack([others[[4, 7]], others[[9, 9]]])
    mask = torch.tensor([[True, True], [True, False]])
    uniform = torch.full((50,), -math.log(50))
    log_softmax = torch.log_softmax(query @ others.T, dim=1)
    # The positive is among the negatives, so it counts twice in the sampled sum: a few percent with 50 of them.
    wanted = (-(log_softmax[0, 4] + log_softmax[0, 7]) / 2 - log_softmax[1, 9]) / 2
    assert ranking_loss(query, positives, mask, others, uniform).item() == pytest.approx(wanted.item(), rel=0.05)


def test_ranking_loss_corrects_for_how_negatives_are_drawn() -> None:
    torch.manual_seed(0)
    query, others = torch.randn(1, 3), torch.randn(40, 3)
    positive, mask = torch.randn(1, 1, 3), torch.tensor([[True]])
    full = ranking_loss(query, positive, mask, others, torch.full((40,), -math.log(40)))
    q = torch.linspace(1, 5, 40)
    q = q / q.sum()
    drawn = torch.multinomial(q, 40_000, replacement=True)
    sampled = ranking_loss(query, positive, mask, others[drawn], q[drawn].log())
    assert sampled.item() == pytest.approx(full.item(), rel=0.02)
    naive = ranking_loss(query, positive, mask, others[drawn], torch.full((40_000,), -math.log(40)))
    assert abs(naive.item() - full.item()) > abs(sampled.item() - full.item())


def test_a_row_without_positives_counts_for_nothing() -> None:
    query, negatives, log_q = torch.randn(2, 3), torch.randn(5, 3), torch.full((5,), -math.log(5))
    positives = torch.randn(2, 2, 3)
    both = ranking_loss(query, positives, torch.tensor([[True, False], [False, False]]), negatives, log_q)
    alone = ranking_loss(query[:1], positives[:1], torch.tensor([[True, False]]), negatives, log_q)
    assert both.item() == pytest.approx(alone.item())
