"""Hierarchies: the value of a finer column determines that of a coarser one (type -> department); learned or declared.

Columns that determine each other (an id and its name) form one hierarchy, whose pairs restrict both. Values that never
occur together in real rows are never drawn together, so new rows respect a hierarchy even if the data contradict it.
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
"""Minimum share of rows whose coarse value is the most frequent one for their fine value."""
MIN_REPEATED = 0.5
"""Minimum share of rows whose fine value is not unique; unique values trivially determine any other column."""
MIN_ALIKE = 0.9
"""Like MIN_SHARE, in both directions, for columns that determine each other; it is lower because ids may share names
and have several."""
MIN_PARTNERS = 0.5
"""Columns determine each other only if more than this share of their values is the usual partner of some other value;
excludes pairs of nearly constant columns, which seem to determine each other."""

SEEN, KNOWN, BACK = "seen", "known", "back"
"""Views of the rows, see `_decides`."""


class _Decides(NamedTuple):
    """Statistics on how far the values of one column (fine) determine those of another (coarse)."""

    share: float = 0.0
    """Share of rows with the usual partner of their fine value."""
    repeated: float = 0.0
    """Share of rows whose fine value occurs at least twice."""
    num_fine: int = 0
    """Number of distinct fine values."""
    num_coarse: int = 0
    """Number of distinct coarse values."""
    partners: int = 0
    """Number of distinct usual partners."""

    @property
    def is_clear(self) -> bool:
        """Whether fine values determine coarse ones, whichever column has more values."""
        return self.share >= MIN_SHARE and self.repeated >= MIN_REPEATED and min(self.num_fine, self.num_coarse) > 1

    @property
    def is_hierarchy(self) -> bool:
        """Whether fine values determine coarse ones, and there are more fine than coarse values."""
        return self.is_clear and self.num_fine > self.num_coarse


def learn(
    tokens: DataFrame, encoding: TokenEncoding, declared: Sequence[Sequence[str]]
) -> tuple[TokenEncoding, list[str]]:
    """Add declared and learned hierarchies to `encoding`; also return notes on declared ones that the data contradict.

    tokens: token columns of real rows; declared: chains of attributes, each from coarse to fine. Raises ConfigError
    for a declared attribute that is not categorical.
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
    """Return whether two columns name the same things, apart from a few spellings and shared names.

    One column determines the other clearly, or both nearly determine each other; and most values of each are the usual
    partner of some value.
    """
    values = max(there.num_fine, back.num_fine)
    repeated = min(there.repeated, back.repeated) >= MIN_REPEATED
    decided = there.is_clear or back.is_clear or min(there.share, back.share) >= MIN_ALIKE
    return repeated and decided and min(there.partners, back.partners) > max(1, MIN_PARTNERS * values)


def _hierarchy(
    encoding: TokenEncoding, fine: str, coarse: str, pairs: set[tuple[int, int]], alike: bool
) -> Hierarchy:  # fmt: skip
    """Create a hierarchy from the `pairs` of real rows; values all of whose partners are rare are paired with MISSING.

    alike: whether the columns determine each other; a rare fine value then has no known coarse value either.
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
    """Return the hierarchies as supports for drawing, in both directions."""
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
    """Pairs of values of two columns that a hierarchy allows."""

    fine: int
    """Position of the fine column."""
    coarse: int
    """Position of the coarse column."""
    width: int
    """Number of codes of the coarse column."""
    keys: npt.NDArray[np.int64]
    """fine code * width + coarse code, sorted."""

    @classmethod
    def of(cls, encoding: TokenEncoding, hierarchy: Hierarchy) -> Allowed:
        """Create from a hierarchy of `encoding`."""
        fine, coarse = (encoding.columns.index(c) for c in (hierarchy.fine, hierarchy.coarse))
        width = encoding.cardinalities[coarse]
        return cls(fine, coarse, width, np.unique([a * width + b for a, b in hierarchy.pairs]))

    def broken(self, codes: Codes) -> npt.NDArray[np.bool_]:
        """Return which rows (B, K) have a pair of values not found in real rows, shape (B,); missing values pass."""
        fine, coarse = codes[:, self.fine], codes[:, self.coarse]
        together = np.isin(fine * self.width + coarse, self.keys)
        broken: npt.NDArray[np.bool_] = (fine >= FIRST) & (coarse >= FIRST) & ~together
        return broken


def drawing_order(encoding: TokenEncoding, first: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the order to draw columns in: `first`, then categories from few to many codes, then the other columns.

    Coarse before fine leaves every hierarchy a possible value.
    """
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
    """Return `pair`, `fine`, `coarse`, `rows` for all pairs of columns in one pass.

    RARE is skipped, because it stands for many values.
    """
    structs = [
        F.struct(F.lit(i).alias("pair"), F.col(a).alias("fine"), F.col(b).alias("coarse"))
        for i, (a, b) in enumerate(pairs)
    ]
    exploded = tokens.select(F.explode(F.array(*structs)).alias("p")).select("p.*")
    kept = exploded.where((F.col("fine") != RARE) & (F.col("coarse") != RARE))
    return kept.groupBy("pair", "fine", "coarse").agg(F.count(F.lit(1)).alias("rows"))


def _decides(counts: DataFrame) -> dict[tuple[str, int], _Decides]:
    """Compute the statistics of every view and pair, in one job. Rows without a fine value are left out.

    SEEN: missing coarse values count as a value. KNOWN: rows without a coarse value are left out. BACK: like KNOWN,
    with fine and coarse exchanged.
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
