"""Per-row gradients of the any-order network for DP-SGD (Abadi et al. 2016, arXiv:1607.00133).

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
    """`any_order_loss` of one row under a given mask; has no branches on values, as vmap requires."""

    def __init__(self, network: AutoregressiveGenerator) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, known: Tensor) -> Tensor:
        """Return the loss, a scalar. tokens: int64 (K,); known: bool (K,), not all true."""
        state = self.network(tokens.where(known, UNKNOWN)[None])
        losses = [
            F.cross_entropy(self.network.logits(j, state), tokens[j : j + 1]) for j in range(len(self.network.biases))
        ]
        mean: Tensor = (torch.stack(losses) * ~known).sum() / (~known).sum()
        return mean


def per_row_gradients(
    network: AutoregressiveGenerator, tokens: Tensor, known: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Return (parameter name -> per-row gradients, shape (B, *parameter shape); losses, shape (B,)).

    tokens: int64 (B, K); known: bool (B, K); B at least 1. Covers embeddings tied with heads and biases outside of
    layers, which hooks on layers would miss. Each row has its own dropout.
    """
    loss = RowLoss(network)
    parameters = {f"network.{name}": p.detach() for name, p in network.named_parameters()}

    def of_row(given: dict[str, Tensor], row: Tensor, mask: Tensor) -> Tensor:
        value: Tensor = functional_call(loss, given, (row, mask))
        return value

    every = vmap(grad_and_value(of_row), in_dims=(None, 0, 0), randomness="different")
    gradients, losses = every(parameters, tokens, known)
    return {name.removeprefix("network."): g for name, g in gradients.items()}, losses
