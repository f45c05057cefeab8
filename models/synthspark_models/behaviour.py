"""Behaviour: attributes and noise to a vector in preference space and a level of activity.

Shapes: B batch, C categorical columns, N numeric columns, Z noise, R rank of the preference space.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from synthspark_models.tabular import TableShape, TabularEncoder


class Preference(NamedTuple):
    """What the generator says of an entity."""

    vector: Tensor
    """Place in preference space, in standard deviations of the real factors, shape (B, R)."""
    log_activity: Tensor
    """log(1 + number of counterparts), shape (B,)."""


class BehaviourGenerator(nn.Module):
    """Conditional generator of behaviour: encoded attributes and noise through an MLP.

    `log_scale` is the inverse temperature of the ranking softmax and `popularity_weight` what the log popularity of a
    counterpart adds to its score; both are learned. Trained anchored: see `losses`.
    """

    def __init__(
        self,
        shape: TableShape,
        rank: int,
        noise_dim: int = 16,
        hidden: int = 256,
        dropout: float = 0.2,
        attribute_dropout: float = 0.15,
    ) -> None:
        super().__init__()
        self.noise_dim, self.rank = noise_dim, rank
        self.encoder = TabularEncoder(shape, attribute_dropout=attribute_dropout)
        self.trunk = nn.Sequential(
            nn.Linear(self.encoder.width + noise_dim, hidden),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, rank + 1),
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(3.0)))
        self.popularity_weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, codes: Tensor, numbers: Tensor, noise: Tensor) -> Preference:
        """codes: int64 (B, C); numbers: float (B, N); noise: float (B, Z), standard normal."""
        out = self.trunk(torch.cat([self.encoder(codes, numbers), noise], dim=1))
        return Preference(out[:, : self.rank], out[:, self.rank])

    def query(self, vector: Tensor) -> Tensor:
        """(B, R) -> (B, R + 1): its inner product with a counterpart's [factor, log popularity] ranks it."""
        bias = self.popularity_weight.expand(len(vector), 1)
        return torch.cat([self.log_scale.exp() * vector, bias], dim=1)


class BehaviourDiscriminator(nn.Module):
    """Real or generated, given the attributes: conditional GAN, Mirza, Osindero 2014 (arXiv:1411.1784)."""

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

    def forward(self, codes: Tensor, numbers: Tensor, sample: Preference) -> Tensor:
        """Logits (or the critic's value under Wasserstein), shape (B,)."""
        inputs = [self.encoder(codes, numbers), sample.vector, sample.log_activity[:, None]]
        logits: Tensor = self.trunk(torch.cat(inputs, dim=1)).squeeze(1)
        return logits
