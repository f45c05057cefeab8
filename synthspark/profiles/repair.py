"""Repair rows of networks that ignore hierarchies: the finest value is kept, coarser ones are adapted to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthspark.features.encoding import TableEncoding
from synthspark.features.encoding.categorical import CategoricalEncoder
from synthspark.profiles.hierarchy import Allowed
from synthspark.profiles.tokens import CategoryTokens, Codes, Hierarchy, TokenEncoding
from synthspark_models.tabular import FIRST, MISSING, RARE

PASSES = 2
"""Number of passes over all rules; a second one matters only if real rows contradict some rules."""


@dataclass(frozen=True)
class CodeRule:
    """A hierarchy between two code columns of a `TableEncoding`."""

    allowed: Allowed
    """Allowed pairs, in the codes of these columns."""
    usual: npt.NDArray[np.int64]
    """Most frequent coarse code for each fine code, MISSING if none is known, shape (V_fine,)."""


def code_rules(tokens: TokenEncoding, encoding: TableEncoding) -> list[CodeRule]:
    """Convert the hierarchies of `tokens` to codes of `encoding`, the finest first; columns not in it are skipped."""
    by_column = {t.column: t for t in tokens.tokens if isinstance(t, CategoryTokens)}
    encoders = {e.name: (place, e) for place, e in enumerate(encoding.categorical)}
    rules = []
    for hierarchy in tokens.hierarchies:
        fine, coarse = by_column[hierarchy.fine], by_column[hierarchy.coarse]
        if fine.name in encoders and coarse.name in encoders:
            frequency = dict(enumerate(tokens.counts[tokens.columns.index(hierarchy.coarse)])) if tokens.counts else {}
            rules.append(_rule(hierarchy, (fine, coarse), (encoders[fine.name], encoders[coarse.name]), frequency))
    return sorted(rules, key=lambda r: (-len(r.usual), -r.allowed.width))


def repaired(codes: Codes, rules: Sequence[CodeRule]) -> Codes:
    """Replace coarse codes in `codes` (B, C) that do not match the fine code by the usual one, else by MISSING."""
    codes = codes.copy()
    for rule in [*rules] * PASSES:
        broken, pair = rule.allowed.broken(codes), rule.allowed
        codes[broken, pair.coarse] = rule.usual[codes[broken, pair.fine]]
    for rule in rules:
        codes[rule.allowed.broken(codes), rule.allowed.coarse] = MISSING
    return codes


def _rule(
    hierarchy: Hierarchy, tokens: tuple[CategoryTokens, CategoryTokens],
    encoders: tuple[tuple[int, CategoricalEncoder], tuple[int, CategoricalEncoder]], frequency: dict[int, int],
) -> CodeRule:  # fmt: skip
    (fine, fine_encoder), (coarse, coarse_encoder) = encoders
    turned = [_turned(t, e) for t, (_, e) in zip(tokens, encoders, strict=True)]
    width = coarse_encoder.cardinality
    usual = np.full(fine_encoder.cardinality, MISSING, np.int64)
    keys = []
    # Sorted by frequency, so that the most frequent one is stored last.
    for a, b in sorted(hierarchy.pairs, key=lambda pair: (frequency.get(pair[1], 0), -pair[1])):
        one, other = int(turned[0][a]), int(turned[1][b])
        if one >= FIRST and other >= FIRST:
            keys.append(one * width + other)
            usual[one] = other
    return CodeRule(Allowed(fine, coarse, width, np.unique(np.array(keys, np.int64))), usual)


def _turned(tokens: CategoryTokens, encoder: CategoricalEncoder) -> npt.NDArray[np.int64]:
    """Return the encoder's code for each token code, shape (V,); RARE for values outside its vocabulary."""
    place = {value: FIRST + i for i, value in enumerate(encoder.vocabulary)}
    return np.array([*range(FIRST), *(place.get(value, RARE) for value in tokens.vocabulary)], np.int64)
