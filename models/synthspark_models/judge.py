"""The judge as a network: is a pair of user and item real, or drawn?

Shapes: B batch, F features of a pair, H hidden.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FARTHEST = 8.0
"""Standard deviations that a feature may be from its mean: a count never met in training does not carry the day."""


def log_scaled(features: Tensor) -> Tensor:
    """sign(x) log(1 + |x|), elementwise: counts have heavy tails, cosines hardly change."""
    return features.sign() * features.abs().log1p()


class PairDiscriminator(nn.Module):
    """A discriminator of pairs: an MLP over standardized features.

    With p the probability of real, p / (1 - p) estimates how much denser the real pairs are than the drawn ones at
    these features, times the ratio of their numbers: the optimal discriminator of Goodfellow et al. 2014
    (arXiv:1406.2661, proposition 1).

    `mean` and `std` are those of `log_scaled` training features, shape (F,), and travel with the weights.
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
        """Take mean and standard deviation of the `log_scaled` features, shape (F,); 0 stands for a constant one."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, torch.ones_like(std)))

    def forward(self, features: Tensor) -> Tensor:
        """features: as they are, float, shape (B, F). Returns logits of real, shape (B,)."""
        standard = (log_scaled(features) - self.mean) / self.std
        logits: Tensor = self.trunk(standard.clamp(-FARTHEST, FARTHEST)).squeeze(1)
        return logits
