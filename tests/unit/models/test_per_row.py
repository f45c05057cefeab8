"""A row's own gradient is what its loss alone gives, and their mean is the gradient of the mean."""

from __future__ import annotations

import torch
from torch import Tensor

from synthspark_models import AutoregressiveGenerator
from synthspark_models.autoregressive import any_order_loss, random_masks
from synthspark_models.per_row import RowLoss, per_row_gradients

CARDS = (5, 6, 7)


def rows(count: int) -> Tensor:
    return torch.stack([torch.randint(1, k, (count,)) for k in CARDS], dim=1)


def test_the_mean_over_rows_is_the_gradient_of_the_any_order_loss() -> None:
    torch.manual_seed(0)
    network, tokens = AutoregressiveGenerator(CARDS, hidden=16, layers=2, dropout=0.0), rows(9)
    torch.manual_seed(1)
    loss = any_order_loss(network, tokens)
    loss.backward()
    torch.manual_seed(1)
    gradients, losses = per_row_gradients(network, tokens, random_masks(tokens))
    assert torch.allclose(losses.mean(), loss, atol=1e-5)
    assert set(gradients) == {name for name, _ in network.named_parameters()}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(gradients[name].mean(dim=0), parameter.grad, atol=1e-6), name


def test_a_row_has_the_gradient_that_it_has_alone() -> None:
    torch.manual_seed(0)
    network, tokens = AutoregressiveGenerator(CARDS, hidden=16, layers=1, dropout=0.0), rows(4)
    known = random_masks(tokens)
    gradients, _ = per_row_gradients(network, tokens, known)
    for i in range(4):
        network.zero_grad()
        RowLoss(network)(tokens[i], known[i]).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None
            assert torch.allclose(gradients[name][i], parameter.grad, atol=1e-6), name


def test_each_row_has_its_own_dropout() -> None:
    torch.manual_seed(0)
    network, tokens = AutoregressiveGenerator(CARDS, hidden=64, layers=2, dropout=0.5).train(), rows(1).expand(8, -1)
    known = torch.zeros(8, 3, dtype=torch.bool)
    assert len(per_row_gradients(network, tokens, known)[1].unique()) > 1
    assert len(per_row_gradients(network.eval(), tokens, known)[1].unique()) == 1
