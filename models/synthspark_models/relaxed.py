"""Differentiable rows of the any-order network, through which a discriminator can train it.

Shapes: B rows, K columns of V_k codes each.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from synthspark_models.autoregressive import NEVER, AutoregressiveGenerator
from synthspark_models.rows import Sample
from synthspark_models.tabular import UNKNOWN


def relaxed_rows(network: AutoregressiveGenerator, rows: int, temperature: float) -> Sample:
    """Draw whole rows, column by column in one random order, by the straight-through Gumbel softmax.

    Forward, y = one_hot(argmax_v (l_v + g_v)) with Gumbel noise g, which is exactly how rows are drawn. Backward,
    dy = d softmax((l + g) / temperature), so that the gradient reaches the head of each column and, through the columns
    drawn from it, earlier columns (Jang et al. 2017, arXiv:1611.01144, section 2.2; for GANs of discrete sequences:
    Kusner, Hernandez-Lobato 2016, arXiv:1611.04051). The gradient is biased and has low variance.

    Columns are drawn one by one because a single pass would draw them independently, and a discriminator would penalise
    that although the network is not at fault. Dropout is off, as in generation; the mode of the network is restored.
    Returns categories of shape (B, V_k) each, no numbers.
    """
    device = network.input.weight.device
    columns = len(network.cardinalities)
    was_training = network.training
    network.eval()
    begun = network.begin(torch.full((rows, columns), UNKNOWN, device=device))
    drawn: dict[int, Tensor] = {}
    for j in torch.randperm(columns).tolist():
        drawn[j] = _straight_through(network.logits(j, network.state(begun)), temperature)
        begun = network.extend_by(begun, j, drawn[j] @ network.table(j))
    network.train(was_training)
    return Sample([drawn[j] for j in range(columns)], begun.new_zeros(rows, 0))


def _straight_through(logits: Tensor, temperature: float) -> Tensor:
    """Draw from softmax(logits) as one-hot rows with a gradient, shape (B, V_k); UNKNOWN is never drawn."""
    unknown = torch.full((1,), UNKNOWN, device=logits.device)
    logits = logits.index_fill(1, unknown, NEVER)
    uniform = torch.rand_like(logits).clamp_(1e-9, 1 - 1e-7)
    soft = F.softmax((logits - torch.log(-torch.log(uniform))) / temperature, dim=1)
    hard = F.one_hot(soft.argmax(dim=1), logits.shape[1]).to(soft.dtype)
    return hard + (soft - soft.detach())  # the bracket is exactly 0, so rows are exactly one-hot
