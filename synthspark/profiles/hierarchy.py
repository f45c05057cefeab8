"""Hierarchies: a finer column whose value decides a coarser one (type -> department), learned or declared.

What real rows never pair is never drawn together, so a hierarchy cannot be broken, contradicted by data or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import torch
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.errors import ConfigError, did_you_mean
from synthspark.profiles.tokens import CategoryTokens, Hierarchy, TokenEncoding
from synthspark_models.autoregressive import Support
from synthspark_models.tabular import MISSING, RARE

MIN_SHARE = 0.98
"""Share of the rows whose coarse value is the most frequent one beside their fine value."""
MIN_REPEATED = 0.5
"""Share of the rows whose fine value occurs twice: of values seen once, anything seems to follow."""


def learn(
    tokens: DataFrame, encoding: TokenEncoding, declared: Sequence[Sequence[str]]
) -> tuple[TokenEncoding, list[str]]:
    """`encoding` with its hierarchies, and a note for each declared one that data contradict.

    tokens: the token columns of real rows; declared: chains of attributes, each from coarse to fine.
    """
    categories = [t for t in encoding.tokens if isinstance(t, CategoryTokens)]
    columns = {t.name: t.column for t in categories}
    wanted = _declared_pairs(declared, columns, encoding)
    cards = {t.name: t.cardinality for t in categories}
    possible = [(a, b) for a, b in permutations(columns, 2) if cards[a] > cards[b]]
    asked = list(dict.fromkeys([*possible, *wanted]))
    if not asked:
        return encoding, []
    counts = _pair_counts(tokens, [(columns[a], columns[b]) for a, b in asked]).cache()
    shares = _shares(counts)
    found, notes = [], []
    for number, (fine, coarse) in enumerate(asked):
        share, repeated, num_fine, num_coarse = shares.get(number, (0.0, 0.0, 0, 0))
        clear = share >= MIN_SHARE and repeated >= MIN_REPEATED and num_fine > num_coarse > 1
        if (fine, coarse) in wanted and share < 1:
            notes.append(f"hierarchy {coarse} > {fine}: {1 - share:.1%} of the rows contradict it; they are kept")
        if clear or (fine, coarse) in wanted:
            rows = counts.where(F.col("pair") == number).select("fine", "coarse").collect()
            pairs = tuple(sorted((r["fine"], r["coarse"]) for r in rows))
            found.append(Hierarchy(columns[fine], columns[coarse], pairs))
    counts.unpersist()
    return replace(encoding, hierarchies=tuple(found)), notes


def supports(encoding: TokenEncoding) -> tuple[Support, ...]:
    """The hierarchies as drawing takes them: from the coarse to the fine, and back."""
    place = {c: i for i, c in enumerate(encoding.columns)}
    sizes = encoding.cardinalities
    made = []
    for h in encoding.hierarchies:
        fine, coarse = place[h.fine], place[h.coarse]
        pairs = torch.tensor(h.pairs, dtype=torch.long)
        made.append(_support(fine, coarse, pairs[:, 0], pairs[:, 1], sizes[coarse]))
        made.append(_support(coarse, fine, pairs[:, 1], pairs[:, 0], sizes[fine]))
    return tuple(made)


def drawing_order(encoding: TokenEncoding, first: Sequence[int] = ()) -> tuple[int, ...]:
    """`first`, then categories from the coarse to the fine, so that a hierarchy is never in a corner, then numbers."""
    rest = [i for i in range(len(encoding.tokens)) if i not in first]
    sizes = encoding.cardinalities
    rest.sort(key=lambda i: (not isinstance(encoding.tokens[i], CategoryTokens), sizes[i], i))
    return (*first, *rest)


def _declared_pairs(
    chains: Sequence[Sequence[str]], columns: dict[str, str], encoding: TokenEncoding
) -> list[tuple[str, str]]:  # fmt: skip
    pairs = []
    for chain in chains:
        for name in chain:
            if encoding.kinds.get(name) != "categorical":
                raise ConfigError(f"hierarchies: {name!r} is not a categorical attribute."
                                  f"{did_you_mean(name, columns)} Known: {', '.join(columns)}.")  # fmt: skip
        known = [name for name in chain if name in columns]
        pairs += [(fine, coarse) for coarse, fine in zip(known, known[1:], strict=False)]
    return pairs


def _pair_counts(tokens: DataFrame, pairs: Sequence[tuple[str, str]]) -> DataFrame:
    """`pair`, `fine`, `coarse`, `rows`: one pass for all pairs. Rare fine values say nothing: they are many."""
    structs = [
        F.struct(F.lit(i).alias("pair"), F.col(a).alias("fine"), F.col(b).alias("coarse"))
        for i, (a, b) in enumerate(pairs)
    ]
    exploded = tokens.select(F.explode(F.array(*structs)).alias("p")).select("p.*")
    kept = exploded.where((F.col("fine") != RARE) & (F.col("coarse") != RARE))
    return kept.groupBy("pair", "fine", "coarse").agg(F.count(F.lit(1)).alias("rows"))


def _shares(counts: DataFrame) -> dict[int, tuple[float, float, int, int]]:
    """Pair -> share of rows with the usual coarse value, share of rows with a repeated fine one, distinct of each.

    Rows without a fine value say nothing of what it decides.
    """
    counts = counts.where(F.col("fine") != MISSING)
    fine = counts.groupBy("pair", "fine").agg(F.sum("rows").alias("rows"), F.max("rows").alias("usual"))
    by_pair = fine.groupBy("pair").agg(
        (F.sum("usual") / F.sum("rows")).alias("share"),
        (F.sum(F.when(F.col("rows") > 1, F.col("rows")).otherwise(0)) / F.sum("rows")).alias("repeated"),
        F.count(F.lit(1)).alias("num_fine"),
    )
    coarse = counts.groupBy("pair").agg(F.count_distinct("coarse").alias("num_coarse"))
    rows = by_pair.join(coarse, on="pair", how="inner").collect()
    return {r["pair"]: (r["share"], r["repeated"], r["num_fine"], r["num_coarse"]) for r in rows}


def _support(column: int, given: int, values: torch.Tensor, keys: torch.Tensor, size: int) -> Support:
    order = torch.argsort(keys * (int(values.max()) + 1) + values)
    offsets = torch.zeros(size + 1, dtype=torch.long)
    offsets[1:] = torch.cumsum(torch.bincount(keys, minlength=size), 0)
    return Support(column, given, offsets, values[order])
