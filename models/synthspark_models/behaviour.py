"""Networks of behaviour: attributes and noise give a vector in preference space and a level of activity.

Shapes: B batch, C categorical columns, N numeric columns, T token columns, Z noise, R rank of the preference space,
S positives.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from synthspark_models.tabular import TableShape, TabularEncoder


class Preference(NamedTuple):
    """Generated (or real) preference of entities."""

    vector: Tensor
    """Position in preference space, in standard deviations of the real factors, shape (B, R)."""
    log_activity: Tensor
    """log(1 + number of counterparts), shape (B,)."""


class BehaviourGenerator(nn.Module):
    """Conditional generator of behaviour: an MLP of encoded attributes, noise and known history.

    `log_scale` is the log inverse temperature of the ranking softmax, and `popularity_weight` the weight of a
    counterpart's log popularity in its score; both are learned. See `losses` for the losses.
    """

    def __init__(
        self,
        shape: TableShape,
        rank: int,
        noise_dim: int = 16,
        hidden: int = 256,
        dropout: float = 0.2,
        attribute_dropout: float = 0.15,
        max_history: int = 0,
        token_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.noise_dim, self.rank, self.max_history = noise_dim, rank, max_history
        self.history_dim = rank + 1 if max_history else 0
        self.encoder = TabularEncoder(shape, attribute_dropout=attribute_dropout, token_dropout=token_dropout)
        self.trunk = nn.Sequential(
            nn.Linear(self.encoder.width + noise_dim + self.history_dim, hidden),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, rank + 1),
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(3.0)))
        self.popularity_weight = nn.Parameter(torch.tensor(0.5))

    def forward(
        self, codes: Tensor, numbers: Tensor, noise: Tensor, history: Tensor | None = None, tokens: Tensor | None = None
    ) -> Preference:
        """Generate preferences.

        codes: int64 (B, C); numbers: float (B, N); noise: float (B, Z), standard normal; tokens: int64 (B, T).
        history: `summarised` counterparts, (B, R + 1), if the network has `max_history`; None for an empty history.
        """
        parts = [self.encoder(codes, numbers, tokens), noise]
        if self.history_dim:
            parts.append(noise.new_zeros(len(noise), self.history_dim) if history is None else history)
        out = self.trunk(torch.cat(parts, dim=1))
        return Preference(out[:, : self.rank], out[:, self.rank])

    def query(self, vector: Tensor) -> Tensor:
        """Convert vectors (B, R) to queries (B, R + 1); scores are inner products with [factor, log popularity]."""
        bias = self.popularity_weight.expand(len(vector), 1)
        return torch.cat([self.log_scale.exp() * vector, bias], dim=1)


PRIOR_COUNTERPARTS = 3.0
"""Pseudo-count of counterparts without direction; shrinks short histories."""


def summarised(vectors: Tensor, known: Tensor) -> Tensor:
    """Summarise known counterparts: sum of their directions / (k + 3), and log(1 + k).

    Directions are used because the length of a factor grows with popularity. vectors: (B, S, R); known: bool (B, S),
    true for k counterparts. Returns (B, R + 1).
    """
    directions = nn.functional.normalize(vectors, dim=2) * known[:, :, None]
    count = known.sum(dim=1, keepdim=True)
    return torch.cat([directions.sum(dim=1) / (count + PRIOR_COUNTERPARTS), torch.log1p(count.float())], dim=1)


class BehaviourDiscriminator(nn.Module):
    """Discriminator of real and generated preferences given the attributes (Mirza, Osindero 2014, arXiv:1411.1784)."""

    def __init__(self, shape: TableShape, rank: int, hidden: int = 256, spectral: bool = False) -> None:
        super().__init__()
        self.encoder = TabularEncoder(shape, max_embedding=16, attribute_dropout=0.0)
        layers: list[nn.Module] = [
            nn.Linear(self.encoder.width + rank + 1, hidden),
            nn.Linear(hidden, hidden),
            nn.Linear(hidden, 1),
        ]
        if spectral:
            layers = [spectral_norm(layer) for layer in layers]
        self.trunk = nn.Sequential(layers[0], nn.LeakyReLU(0.2), layers[1], nn.LeakyReLU(0.2), layers[2])

    def forward(self, codes: Tensor, numbers: Tensor, sample: Preference, tokens: Tensor | None = None) -> Tensor:
        """Return logits (values of the critic for the Wasserstein loss), shape (B,)."""
        inputs = [self.encoder(codes, numbers, tokens), sample.vector, sample.log_activity[:, None]]
        logits: Tensor = self.trunk(torch.cat(inputs, dim=1)).squeeze(1)
        return logits
