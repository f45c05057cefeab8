"""Rows of the any-order network through which a gradient flows: what a discriminator may teach it.

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
    """Whole rows, one column after the other in one random order, by the straight-through Gumbel softmax.

    y = one_hot(argmax_v (l_v + g_v)), g Gumbel noise: forward these are exactly the rows that are drawn. Backward
    dy = d softmax((l + g) / temperature), so that the gradient reaches the head of each column and, through what later
    columns saw of it, those before (Jang et al. 2017, arXiv:1611.01144, section 2.2; GANs of discrete sequences by it:
    Kusner, Hernandez-Lobato 2016, arXiv:1611.04051). It is biased, and of low variance.

    The chain is run as a whole because a single pass gives the columns apart from each other: a discriminator would
    punish that, although it is no fault of the network. Dropout is off, as it is when rows are drawn; the mode of the
    network is left as it was found. Returns categories of shape (B, V_k) each, no numbers.
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
    """A draw from softmax(logits) as one-hot rows that pass gradients on, shape (B, V_k); UNKNOWN is never drawn."""
    unknown = torch.full((1,), UNKNOWN, device=logits.device)
    logits = logits.index_fill(1, unknown, NEVER)
    uniform = torch.rand_like(logits).clamp_(1e-9, 1 - 1e-7)
    soft = F.softmax((logits - torch.log(-torch.log(uniform))) / temperature, dim=1)
    hard = F.one_hot(soft.argmax(dim=1), logits.shape[1]).to(soft.dtype)
    return hard + (soft - soft.detach())  # the bracket is exactly 0, so that rows are exactly one-hot
