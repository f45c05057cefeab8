"""Any-order autoregressive model of rows of mixed columns, and drawing of rows.

One network learns every conditional p(column | any set of other columns): Uria, Murray, Larochelle 2014
(arXiv:1310.1757). It is trained under random masks as in Hoogeboom et al. 2022 (arXiv:2110.02037).

Shapes: B rows, K columns of V_k codes each, H hidden, G distinct contexts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthspark_models.tabular import UNKNOWN

NEVER = -1e9
"""Added to the logit of a code that must not be drawn. It is finite, so that rows without any allowed code can still be
drawn; their log probability marks them as impossible."""
CHUNK = 1 << 19
"""Maximum number of logits in memory at once while drawing."""


class AutoregressiveGenerator(nn.Module):
    """Predicts logits of each column given the known columns; unknown columns have the code UNKNOWN.

    The embedding of a column is tied with its head, so the vocabulary needs memory only once.
    """

    def __init__(
        self, cardinalities: Sequence[int], hidden: int = 256, layers: int = 2, dropout: float = 0.25,
        max_embedding: int = 64,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [min(max_embedding, max(8, int(2 * k**0.5))) for k in cardinalities]
        self.cardinalities = tuple(cardinalities)
        self.embeddings = nn.ModuleList(nn.Embedding(k, w) for k, w in zip(cardinalities, widths, strict=True))
        for table in self.embeddings:
            nn.init.normal_(table.weight, 0.0, 0.1)  # type: ignore[arg-type]
        self.input = nn.Linear(sum(widths), hidden)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.SiLU(), nn.Dropout(dropout))
            for _ in range(layers)
        )
        self.heads = nn.ModuleList(nn.Linear(hidden, w) for w in widths)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(k)) for k in cardinalities)
        self.starts = [sum(widths[:j]) for j in range(len(widths) + 1)]

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the state, shape (B, H). tokens: int64, shape (B, K), UNKNOWN for unknown columns."""
        state: Tensor = self.state(self.begin(tokens))
        return state

    def begin(self, tokens: Tensor) -> Tensor:
        """Apply the first layer to `tokens` (B, K); returns (B, H), a sum over columns that `extend` can update."""
        embedded = [table(tokens[:, j]) for j, table in enumerate(self.embeddings)]
        begun: Tensor = self.input(torch.cat(embedded, dim=1).to(self.input.weight.dtype)).float()
        return begun

    def extend(self, begun: Tensor, column: int, codes: Tensor) -> Tensor:
        """Update the result of `begin` for the same rows after the unknown `column` became `codes` (B,)."""
        embedded: Tensor = self.embeddings[column](codes)
        return self.extend_by(begun, column, embedded)

    def extend_by(self, begun: Tensor, column: int, embedded: Tensor) -> Tensor:
        """Update like `extend`, by embedded codes or mixtures of codes, shape (B, width of the column)."""
        unknown = torch.full((1,), UNKNOWN, device=embedded.device)
        new = (embedded - self.embeddings[column](unknown)).to(self.input.weight.dtype)
        return begun + F.linear(new, self.input.weight[:, self.starts[column] : self.starts[column + 1]]).float()

    def state(self, begun: Tensor) -> Tensor:
        """Apply the trunk to the result of `begin` (B, H)."""
        h = F.silu(begun.to(self.input.weight.dtype))
        for layer in self.layers:
            h = h + layer(h)
        return h

    def logits(self, column: int, state: Tensor, only: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """Return the logits of the codes of `column`, shape (B, V_k), or of the codes `only` (n,), shape (B, n).

        shift: added to the logits, shape (V_k,).
        """
        weight = self.table(column)
        bias: Tensor = self.biases[column]
        if shift is not None:
            bias = bias + shift
        if only is not None:
            weight, bias = weight[only], bias[only]
        # Factor 4: tied embeddings are initialised small, and confident predictions need large logits.
        asked = self.heads[column](state).to(weight.dtype) * 4
        return torch.addmm(bias, asked, weight.T)

    def table(self, column: int) -> Tensor:
        """Return the embeddings of a column, shape (V_k, width)."""
        found = self.embeddings[column].weight
        assert isinstance(found, Tensor)  # not an nn.Parameter when torch.func replaces it
        return found

    def halve(self) -> AutoregressiveGenerator:
        """Convert the trunk to bfloat16, which is four times as fast on CPUs that support it; logits stay float32.

        For drawing only; the judge must have been trained on rows drawn in this way.
        """
        for module in (self.input, self.layers, self.heads):
            module.to(torch.bfloat16)
        return self

    def start_from_shares(self, counts: Sequence[Tensor]) -> None:
        """Initialise each head's bias by the log shares of its codes. counts: rows per code, shape (V_k,) each."""
        with torch.no_grad():
            for bias, count in zip(self.biases, counts, strict=True):
                bias.copy_(torch.log(count.float() + 0.5) - torch.log(count.sum().float() + 1.0))


def random_masks(tokens: Tensor) -> Tensor:
    """Draw which columns of each row are known: r of them, r uniform in 0..K-1; bool, shape (B, K)."""
    rows, columns = tokens.shape
    known_count = torch.randint(0, columns, (rows, 1), device=tokens.device)
    place = torch.rand(rows, columns, device=tokens.device).argsort(dim=1).argsort(dim=1)
    return place < known_count


def any_order_loss(network: AutoregressiveGenerator, tokens: Tensor) -> Tensor:
    """Estimate -log p(row) per column with one mask per row; returns a scalar. tokens: (B, K).

    r columns are known (`random_masks`). The other K - r are predicted from them, and their mean loss is an unbiased
    estimate of the mean over the steps of a random order (Uria et al. 2014, eq. 6).
    """
    rows, columns = tokens.shape
    known = random_masks(tokens)
    state = network(tokens.where(known, UNKNOWN))
    share = ~known / (columns - known.sum(dim=1, keepdim=True))
    total = state.new_zeros(())
    for j in range(columns):
        # Known columns need no prediction. On a GPU, selecting the rows takes longer than predicting all of them.
        asked = slice(None) if tokens.is_cuda else torch.nonzero(~known[:, j]).squeeze(1)
        losses = F.cross_entropy(network.logits(j, state[asked]), tokens[asked, j], reduction="none")
        total = total + (losses * share[asked, j]).sum()
    mean: Tensor = total / rows
    return mean


@dataclass(frozen=True)
class Support:
    """Codes of `column` that are allowed with each code of `given`: one direction of a hierarchy."""

    column: int
    given: int
    offsets: Tensor
    """Code c of `given` allows values[offsets[c]:offsets[c + 1]]; shape (V_given + 1,)."""
    values: Tensor
    """Allowed codes of `column`, by code of `given`."""

    def of(self, code: int) -> Tensor | None:
        """Return the codes allowed with `code`, sorted; None if there is no information, so all are allowed."""
        found = self.values[int(self.offsets[code]) : int(self.offsets[code + 1])]
        return found if len(found) else None


@dataclass(frozen=True)
class Rules:
    """Rules for drawing rows."""

    order: tuple[int, ...]
    """Columns in the order in which they are drawn."""
    never: tuple[Tensor, ...]
    """Per column, 0 or NEVER for each code, shape (V_k,); codes with NEVER are not drawn."""
    supports: tuple[Support, ...] = ()
    """Hierarchies."""
    wanted: tuple[tuple[int, Tensor], ...] = ()
    """Conditions: (column, log of the share of each code that meets the condition; NEVER if none of it does)."""


def complete(network: AutoregressiveGenerator, tokens: Tensor, rules: Rules, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Draw the UNKNOWN codes in `tokens` (B, K) given the known ones, column by column.

    uniform: random numbers in [0, 1), shape (B, K), float64, the only source of randomness. Returns (rows, log of the
    probability of meeting `rules.wanted` per row, shape (B,), 0 without conditions). Rows weighted by this probability
    follow the conditional distribution exactly.

    Rows with equal known codes share one pass through the network; for the first few columns most rows do.
    """
    tokens = tokens.clone()
    chance = torch.zeros(len(tokens), dtype=torch.float64)
    first_rows, group = _distinct(tokens)
    begun = network.begin(tokens[first_rows])
    for j in rules.order:
        is_open = tokens[first_rows, j] == UNKNOWN
        if not bool(is_open.any()):
            continue
        _draw(network, tokens, begun, first_rows, group, is_open, j, rules, uniform[:, j], chance)
        key, new_group = torch.unique(group * network.cardinalities[j] + tokens[:, j], return_inverse=True)
        old = key.div(network.cardinalities[j], rounding_mode="floor")
        first_rows = torch.empty(len(key), dtype=torch.long).scatter_(0, new_group, torch.arange(len(tokens)))
        group = new_group
        extended = network.extend(begun[old], j, tokens[first_rows, j])
        begun = torch.where(is_open[old, None], extended, begun[old])
    return tokens, chance


def _distinct(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return (position of one row per distinct row (G,), position of each row's distinct row (B,))."""
    if not bool(tokens.any()):
        return torch.zeros(1, dtype=torch.long), torch.zeros(len(tokens), dtype=torch.long)
    kinds, group = torch.unique(tokens, dim=0, return_inverse=True)
    rows = torch.empty(len(kinds), dtype=torch.long).scatter_(0, group, torch.arange(len(tokens)))
    return rows, group


def _draw(
    network: AutoregressiveGenerator, tokens: Tensor, begun: Tensor, first_rows: Tensor, group: Tensor,
    is_open: Tensor, column: int, rules: Rules, uniform: Tensor, chance: Tensor,
) -> None:  # fmt: skip
    """Draw `tokens[:, column]` for rows of contexts where it is unknown, and add log probabilities to `chance`."""
    by_group = torch.argsort(group, stable=True)
    bounds = torch.searchsorted(group[by_group], torch.arange(len(first_rows) + 1))
    for contexts, only in _parts(tokens[first_rows], is_open, column, rules.supports):
        width = len(only) if only is not None else network.cardinalities[column]
        for chunk in torch.split(contexts, max(1, CHUNK // width)):
            logits = network.logits(column, network.state(begun[chunk]), only, rules.never[column])
            wanted = [share for k, share in rules.wanted if k == column]
            gain = torch.zeros(len(chunk), dtype=torch.float64)
            if wanted:
                share = wanted[0] if only is None else wanted[0][only]
                before = torch.logsumexp(logits, dim=1)
                logits = logits + share
                gain = (torch.logsumexp(logits, dim=1) - before).double()
            sizes = bounds[chunk + 1] - bounds[chunk]
            place = torch.repeat_interleave(torch.arange(len(chunk)), sizes)
            rows = by_group[_ranges(bounds[chunk], sizes)]
            drawn = _pick(logits, place, uniform[rows])
            tokens[rows, column] = drawn if only is None else only[drawn]
            chance[rows] += gain[place]


def _parts(
    known: Tensor, is_open: Tensor, column: int, supports: Sequence[Support]
) -> list[tuple[Tensor, Tensor | None]]:
    """Group the open contexts by the codes of `column` that the hierarchies allow.

    known: contexts (G, K). Returns (indices into `known`, allowed codes or None for all) per group.
    """
    contexts = torch.nonzero(is_open).squeeze(1)
    bound = [s for s in supports if s.column == column and bool(known[contexts, s.given].any())]
    if not bound:
        return [(contexts, None)]
    keys, which = torch.unique(known[contexts][:, [s.given for s in bound]], dim=0, return_inverse=True)
    ordered = contexts[torch.argsort(which, stable=True)]
    sizes = torch.bincount(which, minlength=len(keys)).tolist()
    return [
        (part, _intersection([s.of(code) for s, code in zip(bound, codes, strict=True) if code != UNKNOWN]))
        for part, codes in zip(torch.split(ordered, sizes), keys.tolist(), strict=True)
    ]


def _intersection(sets: Sequence[Tensor | None]) -> Tensor | None:
    """Intersect sorted code sets; None is the set of all codes.

    If sets contradict, the smaller one takes precedence: the name of an id is determined by the id, whatever else the
    row contains.
    """
    found: Tensor | None = None
    for codes in sorted((s for s in sets if s is not None), key=len):
        both = codes if found is None else found[torch.isin(found, codes)]
        found = both if len(both) or found is None else found
    return found


def _pick(logits: Tensor, place: Tensor, uniform: Tensor) -> Tensor:
    """Draw one code per row by the inverse of its context's distribution function.

    logits: (G, n); place: context of each row, sorted; uniform: (rows,). Returns indices below n, shape (rows,).
    """
    heights = torch.softmax(logits, dim=1).cumsum(dim=1)
    top = heights.shape[1] - 1
    if len(place) == len(logits):
        found = torch.searchsorted(heights, (uniform.float() * heights[:, -1])[:, None], right=True).squeeze(1)
        return found.clamp_(max=top)
    # Few contexts, many rows: concatenate all functions, each shifted by 2, to one ascending sequence.
    line = (heights + 2 * torch.arange(len(heights), dtype=torch.float64)[:, None]).reshape(-1)
    found = torch.searchsorted(line, uniform * heights[place, -1] + 2 * place, right=True) - place * heights.shape[1]
    return found.clamp_(0, top)


def _ranges(starts: Tensor, sizes: Tensor) -> Tensor:
    """Concatenate the ranges starts[i] .. starts[i] + sizes[i] - 1."""
    before = torch.cumsum(sizes, 0) - sizes
    return torch.arange(int(sizes.sum())) + torch.repeat_interleave(starts - before, sizes)
