"""Initialisation of weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

INITIALISATIONS = ("uniform", "normal", "xavier", "orthogonal")


def initialise(network: nn.Module, how: str) -> None:
    """Initialise the weights of every linear and convolutional layer; biases become 0, embeddings are not changed.

    `uniform`: PyTorch's default, U(-1/sqrt(fan in), 1/sqrt(fan in)), also for biases; nothing is changed. `normal`:
    N(0, 0.02), batch normalisation N(1, 0.02) (Radford et al. 2015, arXiv:1511.06434). `xavier`: Glorot, Bengio 2010,
    PMLR 9:249. `orthogonal`: Saxe et al. 2013 (arXiv:1312.6120).
    """
    assert how in INITIALISATIONS
    if how == "uniform":
        return
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.ConvTranspose1d):
            _fill(_weight(module), how)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm1d) and how == "normal":
            nn.init.normal_(module.weight, 1.0, 0.02)


def _fill(weight: Tensor, how: str) -> None:
    with torch.no_grad():
        if how == "normal":
            nn.init.normal_(weight, 0.0, 0.02)
        elif how == "xavier":
            nn.init.xavier_uniform_(weight)
        else:
            nn.init.orthogonal_(weight)


def _weight(module: nn.Module) -> Tensor:
    """Return the weight parameter; with spectral norm, the one that `module.weight` is computed from."""
    weight = module.parametrizations.weight.original if parametrize.is_parametrized(module, "weight") else module.weight  # type: ignore[union-attr]
    assert isinstance(weight, Tensor)
    return weight
