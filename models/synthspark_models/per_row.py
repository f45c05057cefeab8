"""Gradients of the any-order network row by row, as DP-SGD needs them (Abadi et al. 2016, arXiv:1607.00133).

Shapes: B rows, K columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import functional as F

from synthspark_models.autoregressive import AutoregressiveGenerator
from synthspark_models.tabular import UNKNOWN


class RowLoss(nn.Module):
    """`any_order_loss` of one row under a given mask, without a branch on its values, so that vmap can take it."""

    def __init__(self, network: AutoregressiveGenerator) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, known: Tensor) -> Tensor:
        """tokens: int64, known: bool, shape (K,) each, not all known. Returns a scalar."""
        state = self.network(tokens.where(known, UNKNOWN)[None])
        losses = [
            F.cross_entropy(self.network.logits(j, state), tokens[j : j + 1]) for j in range(len(self.network.biases))
        ]
        mean: Tensor = (torch.stack(losses) * ~known).sum() / (~known).sum()
        return mean


def per_row_gradients(
    network: AutoregressiveGenerator, tokens: Tensor, known: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """The gradient of each row's loss by name of the parameter, shape (B, *its own), and the losses, shape (B,).

    tokens: int64, known: bool, (B, K) each, B at least 1. An embedding that is its column's head too, and biases that
    belong to no layer, get theirs; hooks on layers would not see them. Each row has its own dropout.
    """
    loss = RowLoss(network)
    parameters = {f"network.{name}": p.detach() for name, p in network.named_parameters()}

    def of_row(given: dict[str, Tensor], row: Tensor, mask: Tensor) -> Tensor:
        value: Tensor = functional_call(loss, given, (row, mask))
        return value

    every = vmap(grad_and_value(of_row), in_dims=(None, 0, 0), randomness="different")
    gradients, losses = every(parameters, tokens, known)
    return {name.removeprefix("network."): g for name, g in gradients.items()}, losses
