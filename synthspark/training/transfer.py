"""Start from a model of another shop: copy the trunk, and match embeddings by column and value; the rest is new."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthspark.errors import ConfigError, LakeError
from synthspark.profiles.tokens import CategoryTokens, MemberTokens, NumberTokens, TokenEncoding, Tokens
from synthspark.training import storage
from synthspark.training.artifacts import TOKENS, load_generator, load_tokens
from synthspark_models.autoregressive import AutoregressiveGenerator
from synthspark_models.tabular import FIRST


def start_from(network: AutoregressiveGenerator, encoding: TokenEncoding, url: str) -> dict[str, float]:
    """Copy matching weights of the autoregressive model below `url`; returns attribute -> share of its codes matched.

    The biases of codes are not copied: they encode the frequencies of values, which differ between shops. Raises
    LakeError if there is no such model, ConfigError if its trunk has another size.
    """
    if not storage.exists(f"{url}/{TOKENS}"):
        raise LakeError(f"init_from {url}: there is no autoregressive model (model.json and tokens.json) there")
    source, _ = load_generator(url)
    assert isinstance(source, AutoregressiveGenerator)
    known = load_tokens(url)
    _copy_trunk(network, source, url)
    matched: dict[str, float] = {}
    for j, tokens in enumerate(encoding.tokens):
        found = next((i for i, other in enumerate(known.tokens) if _same(tokens, other)), None)
        if found is None:
            matched[tokens.name] = 0.0
            continue
        pairs = _matches(tokens, known.tokens[found])
        _copy_column(network, j, source, found, pairs)
        matched[tokens.name] = len(pairs) / tokens.cardinality
    return matched


def _copy_trunk(network: AutoregressiveGenerator, source: AutoregressiveGenerator, url: str) -> None:
    mine, theirs = network.layers.state_dict(), source.layers.state_dict()
    if {k: v.shape for k, v in mine.items()} != {k: v.shape for k, v in theirs.items()}:
        size = (source.input.out_features, len(source.layers))
        raise ConfigError(f"init_from {url}: its trunk has hidden {size[0]} and layers {size[1]}, this one "
                          f"{network.input.out_features} and {len(network.layers)}; set hyper.hidden and hyper.layers "
                          "to those")  # fmt: skip
    network.layers.load_state_dict(theirs)
    with torch.no_grad():
        network.input.bias.copy_(source.input.bias)


def _copy_column(
    network: AutoregressiveGenerator, mine: int, source: AutoregressiveGenerator, theirs: int,
    pairs: list[tuple[int, int]],
) -> None:  # fmt: skip
    """Copy the embeddings of the matched codes, the head, and the column's part of the first layer.

    If widths differ, the common part is copied.
    """
    table, other = _weight(network.embeddings[mine]), _weight(source.embeddings[theirs])
    width = min(table.shape[1], other.shape[1])
    here, there = torch.tensor([a for a, _ in pairs]), torch.tensor([b for _, b in pairs])
    with torch.no_grad():
        table[here, :width] = other[there, :width]
        start, origin = network.starts[mine], source.starts[theirs]
        network.input.weight[:, start : start + width] = source.input.weight[:, origin : origin + width]
        head, old = network.heads[mine], source.heads[theirs]
        assert isinstance(head, nn.Linear)
        assert isinstance(old, nn.Linear)
        head.weight[:width] = old.weight[:width]
        head.bias[:width] = old.bias[:width]


def _weight(table: nn.Module) -> Tensor:
    assert isinstance(table, nn.Embedding)
    return table.weight


def _same(tokens: Tokens, other: Tokens) -> bool:
    if type(tokens) is not type(other) or tokens.name != other.name:
        return False
    return not isinstance(tokens, MemberTokens) or tokens.value == getattr(other, "value", None)


def _matches(tokens: Tokens, other: Tokens) -> list[tuple[int, int]]:
    """Return pairs (code here, code there) of special codes, equal categories, and nearest intervals of numbers."""
    special = [(c, c) for c in range(FIRST)]
    if isinstance(tokens, CategoryTokens) and isinstance(other, CategoryTokens):
        place = {v: FIRST + i for i, v in enumerate(other.vocabulary)}
        return special + [(FIRST + i, place[v]) for i, v in enumerate(tokens.vocabulary) if v in place]
    if isinstance(tokens, NumberTokens) and isinstance(other, NumberTokens):
        middles = torch.tensor([(a + b) / 2 for a, b in zip(other.lows, other.highs, strict=True)])
        mine = torch.tensor([(a + b) / 2 for a, b in zip(tokens.lows, tokens.highs, strict=True)])
        nearest = (mine[:, None] - middles[None, :]).abs().argmin(dim=1).tolist()
        return special + [(FIRST + i, FIRST + n) for i, n in enumerate(nearest)]
    return special + [(FIRST, FIRST), (FIRST + 1, FIRST + 1)]
