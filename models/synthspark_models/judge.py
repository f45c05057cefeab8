"""Judge as a network: discriminates real from drawn pairs of user and item.

Shapes: B batch, F features of a pair, H hidden.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FARTHEST = 8.0
"""Bound of standardised features, so that a count larger than in training does not dominate."""


def log_scaled(features: Tensor) -> Tensor:
    """Return sign(x) log(1 + |x|), elementwise; compresses heavy-tailed counts and hardly changes cosines."""
    return features.sign() * features.abs().log1p()


class PairDiscriminator(nn.Module):
    """Discriminator of pairs: an MLP of standardised features.

    With p the probability of real, p / (1 - p) estimates the density ratio of real to drawn pairs at these features,
    times the ratio of their numbers: the optimal discriminator of Goodfellow et al. 2014 (arXiv:1406.2661,
    proposition 1).

    `mean` and `std` are those of the `log_scaled` training features, shape (F,), and are saved with the weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, num_features: int, hidden: int = 128, dropout: float = 0.1) -> None:
        super().__init__()
        self.hidden = hidden
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("std", torch.ones(num_features))
        self.trunk = nn.Sequential(
            nn.Linear(num_features, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )

    def standardize_by(self, mean: Tensor, std: Tensor) -> None:
        """Set mean and standard deviation of the `log_scaled` features, shape (F,); std is 0 for constant features."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, torch.ones_like(std)))

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of real, shape (B,). features: unscaled, float, shape (B, F)."""
        standard = (log_scaled(features) - self.mean) / self.std
        logits: Tensor = self.trunk(standard.clamp(-FARTHEST, FARTHEST)).squeeze(1)
        return logits
