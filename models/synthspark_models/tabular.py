"""Encoder from rows of mixed columns to one vector.

Shapes: B batch, C categorical columns, N numeric columns, T token columns of all bags, E width of the encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

UNKNOWN, MISSING, RARE, FIRST = 0, 1, 2, 3
"""Special codes, the same in every categorical column, and the first code of the vocabulary."""


@dataclass(frozen=True)
class BagShape:
    """Shape of a bag of tokens (a text or a set)."""

    num_columns: int
    """Number of token columns, i.e. maximum number of tokens per row."""
    vocabulary: int
    """Number of tokens with an own embedding, whose ids are 1 to this; 0 means no token, larger ids are hashed."""


@dataclass(frozen=True)
class TableShape:
    """Shape of an encoded table."""

    cardinalities: tuple[int, ...]
    """Number of codes of each categorical column, special codes included."""
    num_numeric: int
    """Number of numeric columns, each in [-1, 1]."""
    bags: tuple[BagShape, ...] = ()
    """Texts and sets, in the order of their token columns."""


def embedding_width(cardinality: int, most: int) -> int:
    """Return round(1.6 x cardinality^0.56), clipped to the range from 4 to `most`."""
    wanted: float = 1.6 * cardinality**0.56
    return min(most, max(4, round(wanted)))


class BagEmbedding(nn.Module):
    """Embedding of a bag of tokens: sum of w_t e_t over its tokens, divided by the norm of (w_t).

    The weights w are given, the embeddings e are learned. In training each token is dropped with probability
    `token_dropout`, so that titles that share only some words are close to each other.
    """

    FOLDED = 256
    """Number of embeddings shared by hashed tokens; rare tokens have no embedding of their own."""

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
        """Set the weights of ids 0 to V, shape (1 + V,), and the weight of all hashed tokens."""
        self.weights[: len(weights)] = weights
        self.weights[len(weights) :] = hashed

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the embeddings, shape (B, width); 0 for an empty bag. tokens: int64, shape (B, columns)."""
        above = (tokens - self.vocabulary - 1) % self.FOLDED + self.vocabulary + 1
        rows = torch.where(tokens > self.vocabulary, above, tokens)
        weights = self.weights[rows]
        if self.training and self.token_dropout > 0:
            weights = weights * (torch.rand(weights.shape, device=weights.device) >= self.token_dropout)
        length = weights.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-6)
        embedded: Tensor = self.table(rows)
        return (embedded * (weights / length)[:, :, None]).sum(dim=1)


class TabularEncoder(nn.Module):
    """Concatenates embeddings of categorical columns, embeddings of bags, and numeric columns.

    In training each attribute is dropped with probability `attribute_dropout` (the code becomes UNKNOWN, the number 0,
    the bag empty), so that the network learns to handle unknown values: input dropout, Volkovs et al. 2017
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
        """Set the weights of tokens per bag, see `BagEmbedding.weigh`."""
        for bag, (known, hashed) in zip(self.bags, weights, strict=True):
            bag.weigh(known, hashed)  # type: ignore[operator]

    def forward(self, codes: Tensor, numbers: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Return encoded rows (B, E). codes: int64 (B, C); numbers: float (B, N); tokens: int64 (B, T)."""
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
