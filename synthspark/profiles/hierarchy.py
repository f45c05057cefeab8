"""Hierarchies: a finer column whose value decides a coarser one (type -> department), learned or declared.

Columns that decide each other (an id and its name) are a hierarchy, too, in one direction only: its pairs bind both.
What real rows never pair is never drawn together, so a hierarchy cannot be broken, contradicted by data or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import permutations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.errors import ConfigError, did_you_mean
from synthspark.profiles.tokens import CategoryTokens, Codes, Hierarchy, TokenEncoding
from synthspark_models.autoregressive import Support
from synthspark_models.tabular import FIRST, MISSING, RARE, UNKNOWN

MIN_SHARE = 0.98
"""Share of the rows whose coarse value is the most frequent one beside their fine value."""
MIN_REPEATED = 0.5
"""Share of the rows whose fine value occurs twice: of values seen once, anything seems to follow."""
MIN_ALIKE = 0.9
"""The same share for columns that decide each other, one as the other: ids may share names and have several."""
MIN_PARTNERS = 0.5
"""Columns decide each other only if so many of their values are some other value's usual partner: of two columns that
nearly always have the same values, each seems to decide the other."""

SEEN, KNOWN, BACK = "seen", "known", "back"
"""See `_decides`."""


class _Decides(NamedTuple):
    """How far the values of one column decide those of another."""

    share: float = 0.0
    """Of the rows, those with the usual partner of their fine value."""
    repeated: float = 0.0
    """Of the rows, those whose fine value occurs twice."""
    num_fine: int = 0
    num_coarse: int = 0
    partners: int = 0
    """Different usual partners."""

    @property
    def is_clear(self) -> bool:
        """Whether fine values decide coarse ones, whichever are more."""
        return self.share >= MIN_SHARE and self.repeated >= MIN_REPEATED and min(self.num_fine, self.num_coarse) > 1

    @property
    def is_hierarchy(self) -> bool:
        """Whether many fine values decide fewer coarse ones."""
        return self.is_clear and self.num_fine > self.num_coarse


def learn(
    tokens: DataFrame, encoding: TokenEncoding, declared: Sequence[Sequence[str]]
) -> tuple[TokenEncoding, list[str]]:
    """`encoding` with its hierarchies, and a note for each declared one that data contradict.

    tokens: the token columns of real rows; declared: chains of attributes, each from coarse to fine.
    """
    categories = [t for t in encoding.tokens if isinstance(t, CategoryTokens)]
    columns = {t.name: t.column for t in categories}
    wanted = _declared_pairs(declared, columns, encoding)
    size = {t.name: (t.cardinality, place) for place, t in enumerate(categories)}
    possible = [(a, b) for a, b in permutations(columns, 2) if size[a] > size[b]]
    asked = list({frozenset(pair): pair for pair in [*possible, *reversed(wanted)]}.values())
    if not asked:
        return encoding, []
    counts = _pair_counts(tokens, [(columns[a], columns[b]) for a, b in asked]).cache()
    decides = _decides(counts)
    found, notes = [], []
    for number, (fine, coarse) in enumerate(asked):
        down, known_down, up = (decides.get((view, number), _Decides()) for view in (SEEN, KNOWN, BACK))
        alike = _one_to_one(known_down, up)
        if (fine, coarse) in wanted:
            if down.share < 1:
                notes.append(f"hierarchy {coarse} > {fine}: {1 - down.share:.1%} of the rows contradict it; they are "
                             "kept")  # fmt: skip
        elif not (alike or down.is_hierarchy or known_down.is_hierarchy or up.is_hierarchy):
            continue
        rows = counts.where(F.col("pair") == number).select("fine", "coarse").collect()
        pairs = {(int(r["fine"]), int(r["coarse"])) for r in rows}
        found.append(_hierarchy(encoding, columns[fine], columns[coarse], pairs, alike))
    counts.unpersist()
    return replace(encoding, hierarchies=tuple(found)), notes


def _one_to_one(there: _Decides, back: _Decides) -> bool:
    """Whether two columns name the same things, a few spellings and shared names apart.

    Either one decides the other clearly, or both nearly do; and most values of each are some value's usual partner.
    """
    values = max(there.num_fine, back.num_fine)
    repeated = min(there.repeated, back.repeated) >= MIN_REPEATED
    decided = there.is_clear or back.is_clear or min(there.share, back.share) >= MIN_ALIKE
    return repeated and decided and min(there.partners, back.partners) > max(1, MIN_PARTNERS * values)


def _hierarchy(
    encoding: TokenEncoding, fine: str, coarse: str, pairs: set[tuple[int, int]], alike: bool
) -> Hierarchy:  # fmt: skip
    """`pairs` of real rows, and what stands beside a value whose partners are all rare, and so not emitted: nothing.

    alike: the columns decide each other, so that what belongs to a rare fine value is none of the known ones.
    """
    if encoding.counts:
        counts = [encoding.counts[encoding.columns.index(column)] for column in (fine, coarse)]
        there = [{code for code, n in enumerate(of) if n and code not in (UNKNOWN, RARE)} for of in counts]
        alone = [codes - {pair[end] for pair in pairs} for end, codes in enumerate(there)]
        pairs = pairs | {(code, MISSING) for code in alone[0]} | {(MISSING, code) for code in alone[1]}
        pairs |= {(MISSING, RARE)} if counts[1][RARE] else set()
        pairs |= {(RARE, MISSING)} if counts[0][RARE] and alike else set()
    return Hierarchy(fine, coarse, tuple(sorted(pairs)))


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


@dataclass(frozen=True)
class Allowed:
    """The values of two columns that a hierarchy lets stand together."""

    fine: int
    """Place of the fine column."""
    coarse: int
    width: int
    """Codes of the coarse column."""
    keys: npt.NDArray[np.int64]
    """fine code * width + coarse code, sorted."""

    @classmethod
    def of(cls, encoding: TokenEncoding, hierarchy: Hierarchy) -> Allowed:
        """Of a hierarchy of `encoding`."""
        fine, coarse = (encoding.columns.index(c) for c in (hierarchy.fine, hierarchy.coarse))
        width = encoding.cardinalities[coarse]
        return cls(fine, coarse, width, np.unique([a * width + b for a, b in hierarchy.pairs]))

    def broken(self, codes: Codes) -> npt.NDArray[np.bool_]:
        """Which of the rows (B, K) pair two values that no real row pairs, shape (B,); no value is never alien."""
        fine, coarse = codes[:, self.fine], codes[:, self.coarse]
        together = np.isin(fine * self.width + coarse, self.keys)
        broken: npt.NDArray[np.bool_] = (fine >= FIRST) & (coarse >= FIRST) & ~together
        return broken


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
        pairs += [(fine, coarse) for coarse, fine in zip(known, known[1:], strict=False) if fine != coarse]
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


def _decides(counts: DataFrame) -> dict[tuple[str, int], _Decides]:
    """By view and pair; one job for all. Rows without a fine value say nothing of what it decides.

    SEEN: a missing coarse value is a value; KNOWN: rows without one are left out; BACK: of these, how far coarse values
    decide fine ones.
    """
    seen = counts.where(F.col("fine") != MISSING)
    known = seen.where(F.col("coarse") != MISSING)
    back = known.select("pair", F.col("coarse").alias("fine"), F.col("fine").alias("coarse"), "rows")
    views = [df.withColumn("view", F.lit(name)) for name, df in ((SEEN, seen), (KNOWN, known), (BACK, back))]
    rows = reduce(DataFrame.unionByName, views)
    usual = F.max(F.struct("rows", "coarse")).alias("usual")
    fine = rows.groupBy("view", "pair", "fine").agg(F.sum("rows").alias("rows"), usual)
    by_pair = fine.groupBy("view", "pair").agg(
        (F.sum("usual.rows") / F.sum("rows")).alias("share"),
        (F.sum(F.when(F.col("rows") > 1, F.col("rows")).otherwise(0)) / F.sum("rows")).alias("repeated"),
        F.count(F.lit(1)).alias("num_fine"),
        F.count_distinct("usual.coarse").alias("partners"),
    )
    coarse = rows.groupBy("view", "pair").agg(F.count_distinct("coarse").alias("num_coarse"))
    found = by_pair.join(coarse, on=["view", "pair"], how="inner").collect()
    return {(r["view"], r["pair"]): _Decides(*(r[name] for name in _Decides._fields)) for r in found}


def _support(column: int, given: int, values: torch.Tensor, keys: torch.Tensor, size: int) -> Support:
    order = torch.argsort(keys * (int(values.max()) + 1) + values)
    offsets = torch.zeros(size + 1, dtype=torch.long)
    offsets[1:] = torch.cumsum(torch.bincount(keys, minlength=size), 0)
    return Support(column, given, offsets, values[order])
