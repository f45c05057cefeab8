"""Encoded rows of mixed columns as one vector.

Shapes: B batch, C categorical columns, N numeric columns, E width of the encoding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

UNKNOWN, MISSING, RARE, FIRST = 0, 1, 2, 3
"""Codes with a meaning of their own, the same in every categorical column; the vocabulary follows."""


@dataclass(frozen=True)
class TableShape:
    """What a network must know of a table."""

    cardinalities: tuple[int, ...]
    """Codes of each categorical column, those with a meaning of their own included."""
    num_numeric: int
    """Numeric columns, each in [-1, 1]."""


def embedding_width(cardinality: int, most: int) -> int:
    """round(1.6 x cardinality^0.56), between 4 and `most`: grows with the vocabulary, never as wide."""
    wanted: float = 1.6 * cardinality**0.56
    return min(most, max(4, round(wanted)))


class TabularEncoder(nn.Module):
    """Embeddings of the categorical columns beside the numeric ones.

    In training each attribute is withheld with chance `attribute_dropout` (the code becomes UNKNOWN, the number 0), so
    that a value never seen, or not known, has a meaning: dropout on inputs, Volkovs et al. 2017 (DropoutNet).
    """

    def __init__(self, shape: TableShape, max_embedding: int = 32, attribute_dropout: float = 0.15) -> None:
        super().__init__()
        widths = [embedding_width(k, max_embedding) for k in shape.cardinalities]
        self.embeddings = nn.ModuleList(nn.Embedding(k, w) for k, w in zip(shape.cardinalities, widths, strict=True))
        for table in self.embeddings:
            nn.init.normal_(table.weight, 0.0, 0.05)  # type: ignore[arg-type]
        self.attribute_dropout = attribute_dropout
        self.width = sum(widths) + shape.num_numeric

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """codes: int64, shape (B, C); numbers: float, shape (B, N). Returns shape (B, E)."""
        if self.training and self.attribute_dropout > 0:
            codes = codes * (torch.rand(codes.shape, device=codes.device) >= self.attribute_dropout)
            numbers = numbers * (torch.rand(numbers.shape, device=numbers.device) >= self.attribute_dropout)
        return torch.cat([table(codes[:, i]) for i, table in enumerate(self.embeddings)] + [numbers], dim=1)
