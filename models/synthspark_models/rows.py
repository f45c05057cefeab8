"""Parts shared by all adversarial networks for profiles: relaxed rows, heads and embeddings.

Shapes: B batch, C categorical columns with K_j codes, N numeric columns, H hidden, L latent, E embedded row. No tensor
is larger than K_j times the batch, hidden or embedding size, so vocabularies of tens of thousands fit in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthspark_models.tabular import RARE, UNKNOWN, TableShape


class Sample(NamedTuple):
    """Generated rows with a gradient."""

    categories: list[Tensor]
    """Relaxed one-hot rows per categorical column, shape (B, K_j)."""
    numbers: Tensor
    """Numbers in [-1, 1], shape (B, N)."""

    def codes(self) -> Tensor:
        """Return the codes of the categories, int64, shape (B, C)."""
        if not self.categories:
            return torch.zeros(len(self.numbers), 0, dtype=torch.long, device=self.numbers.device)
        return torch.stack([c.argmax(dim=1) for c in self.categories], dim=1)


class RowGenerator(nn.Module):
    """Generator of rows from latent vectors."""

    latent_dim: int

    def latent(self, rows: int) -> Tensor:
        """Draw latent vectors from the standard normal prior, shape (rows, L)."""
        return torch.randn(rows, self.latent_dim, device=next(self.parameters()).device)

    def forward(self, latent: Tensor, temperature: float = 0.5) -> Sample:
        """Generate rows. latent: shape (B, L); temperature: temperature of the Gumbel softmax."""
        raise NotImplementedError


class RowHeads(nn.Module):
    """One head per column: Gumbel softmax for categories (Jang et al. 2017, arXiv:1611.01144), tanh for numbers.

    The codes UNKNOWN and RARE are never generated.
    """

    banned: Tensor

    def __init__(self, shape: TableShape, hidden: int) -> None:
        super().__init__()
        self.categories = nn.ModuleList(nn.Linear(hidden, k) for k in shape.cardinalities)
        self.numbers = nn.Linear(hidden, shape.num_numeric) if shape.num_numeric else None
        self.register_buffer("banned", torch.tensor([UNKNOWN, RARE]), persistent=False)

    def forward(self, seen: Tensor, temperature: float) -> Sample:
        """Generate rows. seen: input of each column's head, shape (B, C + N, H), categorical columns first."""
        categories = []
        for j, head in enumerate(self.categories):
            logits = head(seen[:, j]).index_fill(1, self.banned, -1e9)
            uniform = torch.rand_like(logits).clamp_(1e-9, 1 - 1e-7)
            categories.append(F.softmax((logits - torch.log(-torch.log(uniform))) / temperature, dim=1))
        if self.numbers is None:
            return Sample(categories, seen.new_zeros(len(seen), 0))
        own = seen[:, len(self.categories) :]
        return Sample(categories, torch.tanh((own * self.numbers.weight).sum(dim=2) + self.numbers.bias))


class RowEmbedding(nn.Module):
    """Embedding of real and generated rows in one space: real codes index tables, relaxed one-hots multiply them.

    unit: use the table rows scaled to length 1, so that the tables cannot inflate distances in this space.
    """

    def __init__(self, shape: TableShape, widths: Sequence[int], unit: bool = False) -> None:
        super().__init__()
        self.tables = nn.ParameterList(
            nn.Parameter(torch.randn(k, w) * 0.5) for k, w in zip(shape.cardinalities, widths, strict=True)
        )
        self.unit = unit
        self.width = sum(widths) + shape.num_numeric

    def real(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """Embed real rows, shape (B, E). codes: int64 (B, C); numbers: (B, N)."""
        looked_up = [self._scaled(table[codes[:, j]]) for j, table in enumerate(self.tables)]
        return torch.cat([*looked_up, numbers], dim=1)

    def relaxed(self, sample: Sample) -> Tensor:
        """Embed generated rows, shape (B, E)."""
        mixed = [c @ self._scaled(table) for c, table in zip(sample.categories, self.tables, strict=True)]
        return torch.cat([*mixed, sample.numbers], dim=1)

    def _scaled(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=1) if self.unit else vectors


class RowDiscriminator(nn.Module):
    """Discriminator (or critic) of rows; a score is the logit of real, or the critic's value."""

    embedding: RowEmbedding

    def real(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """Return the scores of real rows, shape (B,). codes: int64 (B, C); numbers: (B, N)."""
        return self.judge(self.embedding.real(codes, numbers))

    def forward(self, sample: Sample) -> Tensor:
        """Return the scores of generated rows, shape (B,)."""
        return self.judge(self.embedding.relaxed(sample))

    def judge(self, row: Tensor) -> Tensor:
        """Return the scores of embedded rows, shape (B,). row: (B, E)."""
        raise NotImplementedError
