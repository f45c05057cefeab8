"""Behaviour: attributes and noise to a vector in preference space and a level of activity.

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
    """What the generator says of an entity."""

    vector: Tensor
    """Place in preference space, in standard deviations of the real factors, shape (B, R)."""
    log_activity: Tensor
    """log(1 + number of counterparts), shape (B,)."""


class BehaviourGenerator(nn.Module):
    """Conditional generator of behaviour: encoded attributes, noise and what the entity did through an MLP.

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
        """codes: int64 (B, C); numbers: float (B, N); noise: float (B, Z), standard normal; tokens: int64 (B, T).

        history: `summarised` counterparts, (B, R + 1), of a network with `max_history`; None is an empty one.
        """
        parts = [self.encoder(codes, numbers, tokens), noise]
        if self.history_dim:
            parts.append(noise.new_zeros(len(noise), self.history_dim) if history is None else history)
        out = self.trunk(torch.cat(parts, dim=1))
        return Preference(out[:, : self.rank], out[:, self.rank])

    def query(self, vector: Tensor) -> Tensor:
        """(B, R) -> (B, R + 1): its inner product with a counterpart's [factor, log popularity] ranks it."""
        bias = self.popularity_weight.expand(len(vector), 1)
        return torch.cat([self.log_scale.exp() * vector, bias], dim=1)


PRIOR_COUNTERPARTS = 3.0
"""Counterparts of no direction that shrink a short history."""


def summarised(vectors: Tensor, known: Tensor) -> Tensor:
    """What an entity did, as an input: sum of the directions of its counterparts / (k + 3), and log(1 + k).

    Directions, not factors: a factor is as long as its entity is popular. vectors: (B, S, R); known: bool (B, S), of
    which k are true. Returns (B, R + 1).
    """
    directions = nn.functional.normalize(vectors, dim=2) * known[:, :, None]
    count = known.sum(dim=1, keepdim=True)
    return torch.cat([directions.sum(dim=1) / (count + PRIOR_COUNTERPARTS), torch.log1p(count.float())], dim=1)


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

    def forward(self, codes: Tensor, numbers: Tensor, sample: Preference, tokens: Tensor | None = None) -> Tensor:
        """Logits (or the critic's value under Wasserstein), shape (B,)."""
        inputs = [self.encoder(codes, numbers, tokens), sample.vector, sample.log_activity[:, None]]
        logits: Tensor = self.trunk(torch.cat(inputs, dim=1)).squeeze(1)
        return logits
