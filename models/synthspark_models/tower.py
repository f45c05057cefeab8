"""Two-tower network of queries and items; scores are inner products.

Shapes: B batch, L terms of a text, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PADDING = 0
"""Id that means no term."""
MASKED = -1e4
"""Logit of pairs that are not used as negatives."""


class SearchTower(nn.Module):
    """Embeds bags of hashed terms by a shared table, followed by a linear layer for queries and one for items.

    The vectors of both have length 1 (Yi et al. 2019, doi:10.1145/3298689.3346996).
    """

    def __init__(self, vocabulary: int, dimensions: int = 96) -> None:
        super().__init__()
        self.terms = nn.Embedding(vocabulary + 1, dimensions, padding_idx=PADDING)
        nn.init.normal_(self.terms.weight, std=dimensions**-0.5)
        self.weights: Tensor
        self.register_buffer("weights", torch.ones(vocabulary + 1))
        self.query, self.item = nn.Linear(dimensions, dimensions), nn.Linear(dimensions, dimensions)
        for side in (self.query, self.item):
            nn.init.eye_(side.weight)
            nn.init.zeros_(side.bias)
        self.log_scale = nn.Parameter(torch.tensor(2.7))

    def weigh(self, weights: Tensor) -> None:
        """Set the weights of terms by id, shape (vocabulary + 1,); the weight of padding stays 0."""
        self.weights.copy_(weights)
        self.weights[PADDING] = 0.0

    def queries(self, terms: Tensor) -> Tensor:
        """Return the vectors (B, D) of queries. terms: int64 (B, L)."""
        return self._encoded(terms, self.query)

    def items(self, terms: Tensor) -> Tensor:
        """Return the vectors (B, D) of items. terms: int64 (B, L)."""
        return self._encoded(terms, self.item)

    def _encoded(self, terms: Tensor, side: nn.Linear) -> Tensor:
        bag = (self.terms(terms) * self.weights[terms].unsqueeze(2)).sum(dim=1)
        turned: Tensor = side(F.normalize(bag, dim=1))
        return F.normalize(turned, dim=1)


def tower_loss(network: SearchTower, queries: Tensor, items: Tensor, query: Tensor, item: Tensor) -> Tensor:
    """Compute the in-batch softmax loss in both directions.

    queries (B, L), items (B, L'): terms of the query and item of each click; query, item: their indices (B,). Clicks
    with the same query or the same item are not negatives of each other.
    """
    logits = network.queries(queries) @ network.items(items).T * network.log_scale.exp()
    same = (query[:, None] == query[None]) | (item[:, None] == item[None])
    same.fill_diagonal_(False)
    logits = logits.masked_fill(same, MASKED)
    own = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)
