"""The classic GAN for profiles: an MLP pair, Goodfellow et al. 2014 (arXiv:1406.2661).

Shapes: B batch, C categorical columns with K_j codes, N numeric columns, Z noise.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from synthspark_models.tabular import RARE, UNKNOWN, TableShape, embedding_width


class Sample(NamedTuple):
    """Generated rows, still differentiable."""

    categories: list[Tensor]
    """Per categorical column a relaxed one-hot row, shape (B, K_j)."""
    numbers: Tensor
    """In [-1, 1], shape (B, N)."""

    def codes(self) -> Tensor:
        """The code of each category, int64, shape (B, C)."""
        if not self.categories:
            return torch.zeros(len(self.numbers), 0, dtype=torch.long, device=self.numbers.device)
        return torch.stack([c.argmax(dim=1) for c in self.categories], dim=1)


class GanGenerator(nn.Module):
    """Noise to a row: softmax heads relaxed by Gumbel noise (Jang et al. 2017, arXiv:1611.01144), tanh for numbers.

    Codes that stand for no value (UNKNOWN, RARE) are never generated.
    """

    def __init__(self, shape: TableShape, noise_dim: int = 64, hidden: int = 256) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.trunk = nn.Sequential(
            nn.Linear(noise_dim, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
        )
        self.heads = nn.ModuleList(nn.Linear(hidden, k) for k in shape.cardinalities)
        self.numbers = nn.Linear(hidden, shape.num_numeric) if shape.num_numeric else None
        for j, k in enumerate(shape.cardinalities):
            banned = torch.zeros(k)
            banned[[UNKNOWN, RARE]] = -1e9
            self.register_buffer(f"banned_{j}", banned)

    def forward(self, noise: Tensor, temperature: float = 0.5) -> Sample:
        """noise: standard normal, shape (B, Z); temperature of the Gumbel softmax."""
        h = self.trunk(noise)
        categories = []
        for j, head in enumerate(self.heads):
            logits = head(h) + self.get_buffer(f"banned_{j}")
            uniform = torch.rand_like(logits).clamp_(1e-9, 1 - 1e-7)
            categories.append(F.softmax((logits - torch.log(-torch.log(uniform))) / temperature, dim=1))
        numbers = torch.tanh(self.numbers(h)) if self.numbers is not None else h.new_zeros(len(h), 0)
        return Sample(categories, numbers)


class GanDiscriminator(nn.Module):
    """Row to logit. Real codes are looked up and relaxed one-hots multiplied with the same embedding table."""

    def __init__(
        self,
        shape: TableShape,
        hidden: int = 256,
        dropout: float = 0.2,
        max_embedding: int = 32,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        widths = [embedding_width(k, max_embedding) for k in shape.cardinalities]
        self.tables = nn.ParameterList(
            nn.Parameter(torch.randn(k, w) * 0.5) for k, w in zip(shape.cardinalities, widths, strict=True)
        )
        layers: list[nn.Module] = [
            nn.Linear(sum(widths) + shape.num_numeric, hidden),
            nn.Linear(hidden, hidden),
            nn.Linear(hidden, 1),
        ]
        if spectral:
            layers = [spectral_norm(layer) for layer in layers]
        first, second, last = layers
        rest = [nn.LeakyReLU(0.2), nn.Dropout(dropout), second, nn.LeakyReLU(0.2), nn.Dropout(dropout), last]
        self.trunk = nn.Sequential(first, *rest)

    def real(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """Logits of real rows, shape (B,); codes int64 (B, C), numbers (B, N)."""
        return self._judge([table[codes[:, j]] for j, table in enumerate(self.tables)], numbers)

    def forward(self, sample: Sample) -> Tensor:
        """Logits of generated rows, shape (B,)."""
        return self._judge([c @ table for c, table in zip(sample.categories, self.tables, strict=True)], sample.numbers)

    def _judge(self, embedded: list[Tensor], numbers: Tensor) -> Tensor:
        logits: Tensor = self.trunk(torch.cat([*embedded, numbers], dim=1)).squeeze(1)
        return logits
