"""Sequence model with copying that writes queries for an item word by word, given its title.

Shapes: B batch, L words of a title, T words of a query, V words of the vocabulary, E embedding, H hidden.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from synthspark_models.writer import PADDING, STOP, UNKNOWN

TINY = 1e-9


class Written(NamedTuple):
    """Drawn queries."""

    words: Tensor
    """int64 (B, T), PADDING after the STOP."""
    log_likelihood: Tensor
    """Log likelihood of all drawn words, STOP included, float (B,)."""


class QueryWriter(nn.Module):
    """Recurrent encoder and decoder with attention (Luong et al. 2015, arXiv:1508.04025).

    Each word is drawn from the vocabulary or copied from the title (See et al. 2017, arXiv:1704.04368).
    """

    def __init__(self, vocabulary: int, embedding: int = 96, hidden: int = 160, dropout: float = 0.2) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, embedding, padding_idx=PADDING)
        nn.init.normal_(self.words.weight, 0.0, 0.1)
        self.encoder = nn.GRU(embedding, hidden // 2, batch_first=True, bidirectional=True)
        self.start = nn.Linear(hidden, hidden)
        self.decoder = nn.GRU(embedding, hidden, batch_first=True)
        self.attention = nn.Linear(hidden, hidden, bias=False)
        self.copying = nn.Linear(2 * hidden + embedding, 1)
        self.output = nn.Linear(2 * hidden, embedding)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.dropout = nn.Dropout(dropout)

    def forward(self, title: Tensor, query: Tensor) -> Tensor:
        """Return probabilities (B, T, V) of words given the words before. title: int64 (B, L); query: int64 (B, T)."""
        seen, state = self._read(title)
        before = torch.cat([query.new_full((len(query), 1), STOP), query[:, :-1]], dim=1)
        return self._step(before, title, seen, state)[0]

    def write(self, title: Tensor, uniform: Tensor, temperature: float = 0.9, nucleus: float = 0.95) -> Written:
        """Draw queries for titles (B, L), by the inverse distribution function at uniform numbers (B, T).

        Words are drawn from the nucleus: the most probable ones that together have probability `nucleus` (Holtzman et
        al. 2020, arXiv:1904.09751). No word is repeated, and a query has at least one word.
        """
        seen, state = self._read(title)
        word = title.new_full((len(title), 1), STOP)
        ended = torch.zeros(len(title), dtype=torch.bool, device=title.device)
        used = torch.zeros(len(title), len(self.bias), dtype=torch.bool, device=title.device)
        used[:, [PADDING, UNKNOWN]] = True
        drawn, total = [], torch.zeros(len(title), device=title.device)
        for place in range(uniform.shape[1]):
            chances, state = self._step(word, title, seen, state)
            allowed = chances[:, 0].masked_fill(used, 0.0)
            if place == 0:
                allowed[:, STOP] = 0.0
            found = _draw(allowed, uniform[:, place], temperature, nucleus).masked_fill(ended, PADDING)
            chance = chances[:, 0].gather(1, found[:, None]).squeeze(1).clamp_min(TINY)
            total = total + chance.log().masked_fill(ended, 0.0)
            ended = ended | (found == STOP)
            used = used.scatter(1, found[:, None], True)
            used[:, STOP] = False
            word = found[:, None]
            drawn.append(word)
        return Written(torch.cat(drawn, dim=1), total)

    def _read(self, title: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states of the title's words (B, L, H) and the initial state of the decoder."""
        seen, _ = self.encoder(self.dropout(self.words(title)))
        there = (title != PADDING).unsqueeze(2)
        mean = (seen * there).sum(dim=1) / there.sum(dim=1).clamp_min(1)
        return seen, torch.tanh(self.start(mean)).unsqueeze(0)

    def _step(self, before: Tensor, title: Tensor, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities (B, T, V) of the words after the words `before` (B, T), and the last state."""
        embedded = self.dropout(self.words(before))
        states, state = self.decoder(embedded, state)
        scores = states @ self.attention(seen).transpose(1, 2)
        attention = scores.masked_fill((title == PADDING).unsqueeze(1), -1e4).softmax(dim=2)
        both = torch.cat([states, attention @ seen], dim=2)
        logits = self.dropout(torch.tanh(self.output(both))) @ self.words.weight.T + self.bias
        own = torch.sigmoid(self.copying(torch.cat([both, embedded], dim=2)))
        chances = own * logits.softmax(dim=2)
        places = title.unsqueeze(1).expand(-1, before.shape[1], -1)
        return chances.scatter_add(2, places, (1 - own) * attention), state


def query_loss(network: QueryWriter, title: Tensor, query: Tensor) -> Tensor:
    """Compute the mean negative log likelihood of the queries' words, in nats, without padding and unknown words."""
    chances = network(title, query).gather(2, query.unsqueeze(2)).squeeze(2).clamp_min(TINY)
    counted = (query != PADDING) & (query != UNKNOWN)
    loss: Tensor = -(chances.log() * counted).sum() / counted.sum().clamp_min(1)
    return loss


def _draw(chances: Tensor, uniform: Tensor, temperature: float, nucleus: float) -> Tensor:
    """Draw one word (B,) from the nucleus of `chances` (B, V) at the temperature."""
    sharp = chances.clamp_min(0.0).double() ** (1 / temperature)
    ordered, words = sharp.sort(dim=1, descending=True, stable=True)
    share = ordered / ordered.sum(dim=1, keepdim=True).clamp_min(1e-30)
    before = share.cumsum(dim=1) - share
    kept = share.masked_fill(before >= nucleus, 0.0)
    cumulated = kept.cumsum(dim=1)
    place = torch.searchsorted(cumulated, uniform[:, None].double() * cumulated[:, -1:], right=True)
    return words.gather(1, place.clamp_max(chances.shape[1] - 1)).squeeze(1)
