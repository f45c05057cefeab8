"""Encoded rows of mixed columns as one vector.

Shapes: B batch, C categorical columns, N numeric columns, T token columns of all bags, E width of the encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

UNKNOWN, MISSING, RARE, FIRST = 0, 1, 2, 3
"""Codes with a meaning of their own, the same in every categorical column; the vocabulary follows."""


@dataclass(frozen=True)
class BagShape:
    """What a network must know of a bag of tokens (a text, or a set)."""

    num_columns: int
    """Token columns: tokens of a row, at most."""
    vocabulary: int
    """Ids from 1 to this are tokens with an embedding of their own; 0 is none, what is above is hashed."""


@dataclass(frozen=True)
class TableShape:
    """What a network must know of a table."""

    cardinalities: tuple[int, ...]
    """Codes of each categorical column, those with a meaning of their own included."""
    num_numeric: int
    """Numeric columns, each in [-1, 1]."""
    bags: tuple[BagShape, ...] = ()
    """Texts and sets, whose token columns stand in this order."""


def embedding_width(cardinality: int, most: int) -> int:
    """round(1.6 x cardinality^0.56), between 4 and `most`: grows with the vocabulary, never as wide."""
    wanted: float = 1.6 * cardinality**0.56
    return min(most, max(4, round(wanted)))


class BagEmbedding(nn.Module):
    """A bag of tokens as one vector: sum of w_t e_t over its tokens, divided by the length of (w_t).

    w are weights of information that are given, e are learned. In training each token is withheld with chance
    `token_dropout`: titles that share only some words are to be near each other.
    """

    FOLDED = 256
    """Rows that hashed tokens share: something is learned of all that is rare, nothing of a single one."""

    weights: Tensor

    def __init__(self, shape: BagShape, max_embedding: int, token_dropout: float) -> None:
        super().__init__()
        self.vocabulary, self.token_dropout = shape.vocabulary, token_dropout
        size = 1 + shape.vocabulary + self.FOLDED
        self.width = embedding_width(size, max_embedding)
        self.table = nn.Embedding(size, self.width, padding_idx=0)
        with torch.no_grad():
            self.table.weight[1:].normal_(0.0, 0.05)
        self.register_buffer("weights", torch.ones(size).index_fill(0, torch.tensor([0]), 0.0))

    def weigh(self, weights: Tensor, hashed: float) -> None:
        """Take the weights of ids 0 to V, shape (1 + V,), and that of all hashed tokens."""
        self.weights[: len(weights)] = weights
        self.weights[len(weights) :] = hashed

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: int64, shape (B, columns). Returns shape (B, width); 0 for an empty bag."""
        above = (tokens - self.vocabulary - 1) % self.FOLDED + self.vocabulary + 1
        rows = torch.where(tokens > self.vocabulary, above, tokens)
        weights = self.weights[rows]
        if self.training and self.token_dropout > 0:
            weights = weights * (torch.rand(weights.shape, device=weights.device) >= self.token_dropout)
        length = weights.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-6)
        embedded: Tensor = self.table(rows)
        return (embedded * (weights / length)[:, :, None]).sum(dim=1)


class TabularEncoder(nn.Module):
    """Embeddings of the categorical columns beside the numeric ones and the bags of tokens.

    In training each attribute is withheld with chance `attribute_dropout` (the code becomes UNKNOWN, the number 0, the
    bag empty), so that a value never seen, or not known, has a meaning: dropout on inputs, Volkovs et al. 2017
    (DropoutNet).
    """

    def __init__(
        self, shape: TableShape, max_embedding: int = 32, attribute_dropout: float = 0.15, max_bag: int = 64,
        token_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [embedding_width(k, max_embedding) for k in shape.cardinalities]
        self.embeddings = nn.ModuleList(nn.Embedding(k, w) for k, w in zip(shape.cardinalities, widths, strict=True))
        for table in self.embeddings:
            nn.init.normal_(table.weight, 0.0, 0.05)  # type: ignore[arg-type]
        self.bags = nn.ModuleList(BagEmbedding(bag, max_bag, token_dropout) for bag in shape.bags)
        self.num_columns = [bag.num_columns for bag in shape.bags]
        self.attribute_dropout = attribute_dropout
        self.width = sum(widths) + shape.num_numeric + sum(bag.width for bag in self.bags)  # type: ignore[misc]

    def weigh(self, weights: Sequence[tuple[Tensor, float]]) -> None:
        """Per bag the weights of its tokens, as `BagEmbedding.weigh` takes them."""
        for bag, (known, hashed) in zip(self.bags, weights, strict=True):
            bag.weigh(known, hashed)  # type: ignore[operator]

    def forward(self, codes: Tensor, numbers: Tensor, tokens: Tensor | None = None) -> Tensor:
        """codes: int64, shape (B, C); numbers: float, shape (B, N); tokens: int64, shape (B, T). Returns (B, E)."""
        withheld = self.attribute_dropout if self.training else 0.0
        if withheld > 0:
            codes = codes * (torch.rand(codes.shape, device=codes.device) >= withheld)
            numbers = numbers * (torch.rand(numbers.shape, device=numbers.device) >= withheld)
        parts = [table(codes[:, i]) for i, table in enumerate(self.embeddings)]
        if self.bags:
            assert tokens is not None
            bags = [bag(own) for bag, own in zip(self.bags, torch.split(tokens, self.num_columns, dim=1), strict=True)]
            if withheld > 0:
                bags = [b * (torch.rand(len(b), 1, device=b.device) >= withheld) for b in bags]
            parts += bags
        return torch.cat([*parts, numbers], dim=1)
