"""Sequence model that writes titles and tags piece by piece, given the other attributes of a row.

Shapes: B batch, C categorical columns, N numeric columns, L pieces of a row, V pieces of the vocabulary, H hidden,
D embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthspark_models.tabular import TableShape, TabularEncoder

PADDING, STOP, UNKNOWN, FIRST_PIECE = 0, 1, 2, 3
"""Special pieces (no piece, end of an attribute, piece outside the vocabulary), and the first id of the vocabulary."""


class Writer(nn.Module):
    """Recurrent language model (GRU, Cho et al. 2014, arXiv:1406.1078) of pieces, given encoded attributes.

    Input and output share the embeddings of pieces (Press, Wolf 2017, arXiv:1608.05859).
    """

    def __init__(
        self, shape: TableShape, vocabulary: int, hidden: int = 256, embedding: int = 128, dropout: float = 0.4
    ) -> None:
        super().__init__()
        self.encoder = TabularEncoder(shape, attribute_dropout=0.05)
        self.condition = nn.Sequential(nn.Linear(self.encoder.width, hidden), nn.Tanh())
        self.pieces = nn.Embedding(vocabulary, embedding, padding_idx=PADDING)
        nn.init.normal_(self.pieces.weight, 0.0, 0.1)
        self.recurrent = nn.GRU(embedding + hidden, hidden, batch_first=True)
        self.project = nn.Linear(hidden, embedding)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.dropout = nn.Dropout(dropout)

    def forward(self, codes: Tensor, numbers: Tensor, pieces: Tensor) -> Tensor:
        """Return the logits of each piece, (B, L, V).

        codes: int64 (B, C); numbers: float (B, N); pieces: int64 (B, L).
        """
        before = torch.cat([pieces.new_full((len(pieces), 1), STOP), pieces[:, :-1]], dim=1)
        return self._step(before, self.condition(self.encoder(codes, numbers)), None)[0]

    def write(self, codes: Tensor, numbers: Tensor, uniform: Tensor, allowed: Tensor) -> Tensor:
        """Draw rows of pieces, int64 (B, L), by the inverse distribution function at uniform numbers (B, L).

        allowed: bool (A, V), pieces that the a-th attribute can have, STOP included; a row ends with its A-th STOP.
        """
        given = self.condition(self.encoder(codes, numbers))
        piece = codes.new_full((len(codes), 1), STOP)
        part, state, written = codes.new_zeros(len(codes)), None, []
        for place in range(uniform.shape[1]):
            logits, state = self._step(piece, given, state)
            ended = part == len(allowed)
            wanted = allowed[part.clamp_max(len(allowed) - 1)]
            chances = logits[:, 0].masked_fill(~wanted, -torch.inf).double().softmax(dim=1).cumsum(dim=1)
            # The last value can be below 1 after rounding; a larger number would give a piece that is not allowed.
            drawn = torch.searchsorted(chances, uniform[:, place, None].double() * chances[:, -1:], right=True)
            piece = drawn.clamp_max(chances.shape[1] - 1).masked_fill(ended[:, None], PADDING)
            part = part + (piece[:, 0] == STOP)
            written.append(piece)
        return torch.cat(written, dim=1)

    def _step(self, pieces: Tensor, given: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        repeated = given[:, None].expand(-1, pieces.shape[1], -1)
        seen, state = self.recurrent(torch.cat([self.dropout(self.pieces(pieces)), repeated], dim=2), state)
        return self.project(self.dropout(seen)) @ self.pieces.weight.T + self.bias, state


def writing_loss(network: Writer, codes: Tensor, numbers: Tensor, pieces: Tensor) -> Tensor:
    """Compute the mean negative log likelihood of the pieces of a batch, in nats, without padding."""
    logits = network(codes, numbers, pieces)
    return F.cross_entropy(logits.flatten(0, 1), pieces.flatten(), ignore_index=PADDING)
