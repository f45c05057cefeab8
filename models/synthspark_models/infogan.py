"""InfoGAN, Chen et al. 2016 (arXiv:1606.03657): some latent codes must be recoverable from the generated rows.

min_(G,Q) max_D V(D, G) - lambda L_I(G, Q), where L_I = E[log Q(c | x)] + H(c) <= I(c; G(z, c)). Q is a head on the
discriminator's features. c: uniform categorical codes, and continuous codes uniform in [-1, 1].

Shapes: B batch, Z noise, A categorical codes of M categories each, U continuous codes, H hidden, L = Z + A M + U.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthspark_models.gan import GanDiscriminator, GanGenerator
from synthspark_models.tabular import TableShape

LOG_VARIANCE = 4.0
"""Bound of Q's log variance; without it the information on a perfectly recovered code would be unbounded."""


@dataclass(frozen=True)
class CodeShape:
    """Numbers of latent codes."""

    categorical: int = 1
    """Number of categorical codes."""
    categories: int = 10
    """Number of values of each categorical code."""
    continuous: int = 2
    """Number of continuous codes."""

    @property
    def width(self) -> int:
        """Length of all codes in the latent vector."""
        return self.categorical * self.categories + self.continuous


class Codes(NamedTuple):
    """Codes of a batch."""

    categorical: Tensor
    """int64, shape (B, A)."""
    continuous: Tensor
    """In [-1, 1], shape (B, U)."""


class Recognition(NamedTuple):
    """Parameters of Q(c | x) for a batch."""

    logits: Tensor
    """Logits of the categorical codes, shape (B, A, M)."""
    mean: Tensor
    """Means of the continuous codes, shape (B, U)."""
    log_variance: Tensor
    """Log variances of the continuous codes, in [-4, 4], shape (B, U)."""


class InfoGanGenerator(GanGenerator):
    """The generator of `gan`; its latent vector is noise, then one-hot categorical codes, then continuous codes."""

    def __init__(self, shape: TableShape, codes: CodeShape, noise_dim: int = 64, hidden: int = 256) -> None:
        super().__init__(shape, noise_dim + codes.width, hidden)
        self.code_shape, self.noise_dim = codes, noise_dim

    def latent(self, rows: int) -> Tensor:
        """Draw noise and codes from the prior, shape (rows, L)."""
        shape, device = self.code_shape, next(self.parameters()).device
        noise = torch.randn(rows, self.noise_dim, device=device)
        categorical = torch.randint(shape.categories, (rows, shape.categorical), device=device)
        return self.assemble(noise, Codes(categorical, torch.rand(rows, shape.continuous, device=device) * 2 - 1))

    def assemble(self, noise: Tensor, codes: Codes) -> Tensor:
        """Return the latent vector of given codes, shape (B, L). noise: shape (B, Z)."""
        one_hot = F.one_hot(codes.categorical, self.code_shape.categories).flatten(1).to(noise.dtype)
        return torch.cat([noise, one_hot, codes.continuous], dim=1)

    def codes(self, latent: Tensor) -> Codes:
        """Return the codes in a latent vector, the inverse of `assemble`."""
        shape = self.code_shape
        cut = latent.shape[1] - shape.continuous
        one_hot = latent[:, self.noise_dim : cut].reshape(len(latent), shape.categorical, shape.categories)
        return Codes(one_hot.argmax(dim=2), latent[:, cut:])


class InfoGanDiscriminator(GanDiscriminator):
    """The discriminator of `gan` with a second head, Q, on the same features."""

    def __init__(
        self, shape: TableShape, codes: CodeShape, hidden: int = 256, dropout: float = 0.2, spectral: bool = False
    ) -> None:
        super().__init__(shape, hidden, dropout, spectral=spectral)
        self.code_shape = codes
        self.recogniser = nn.Sequential(
            nn.Linear(hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, codes.width + codes.continuous)
        )

    def recognise(self, row: Tensor) -> Recognition:
        """Return Q of embedded rows. row: (B, E)."""
        shape = self.code_shape
        sizes = [shape.categorical * shape.categories, shape.continuous, shape.continuous]
        logits, mean, log_variance = self.recogniser(self.features(row)).split(sizes, dim=1)
        bounded = LOG_VARIANCE * torch.tanh(log_variance / LOG_VARIANCE)
        return Recognition(logits.view(len(row), shape.categorical, shape.categories), mean, bounded)
