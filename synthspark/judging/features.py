"""What the judge sees of a pair: only what is known of an item before anybody has bought it.

Two families. By attribute: how much of the user's own history, and of the value's items, meets the candidate's value.
By item: how alike the candidate and the single items of the history are (content neighbours, seen from the user),
which keeps what an average over the history loses. And the generator's own opinion.

Shapes: C candidates of one user, H items of the user's history, J code columns, N number columns, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synthspark.features.encoding import FIRST, TableEncoding

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

NEAREST = 5
"""Items of the history that "the nearest" averages."""
NEAR, SAME = 0.6, 0.8
"""Similarities from which an item of the history counts as near, and as all but the same."""
OPINION = ("score", "cosine")
"""Features that are the generator's opinion of a pair."""
PRIOR_ITEMS = 5.0
"""Pseudo-items of average audience that shrink a value's mean audience."""


@dataclass(frozen=True)
class PairTable:
    """Which encoded columns of the items there are, and which numbers belong together."""

    codes: list[str]
    cardinalities: list[int]
    scalars: list[str]
    """Number columns that mean something alone."""
    groups: list[list[str]]
    """Number columns that only mean something together: the buckets of a text, the members of a set."""

    @classmethod
    def of(cls, encoding: TableEncoding) -> PairTable:
        """The columns of an encoding."""
        return cls(encoding.code_columns, encoding.cardinalities, encoding.scalar_columns, encoding.column_groups)

    @property
    def numbers(self) -> list[str]:
        """All number columns in the order in which they travel: scalars, then the groups."""
        return [*self.scalars, *(c for group in self.groups for c in group)]

    @property
    def spans(self) -> list[slice]:
        """Where each group stands among `numbers`."""
        starts = np.cumsum([len(self.scalars), *map(len, self.groups)]).tolist()
        return [slice(a, b) for a, b in zip(starts, starts[1:], strict=False)]

    @property
    def feature_names(self) -> list[str]:
        """Names of the F features, in order."""
        names = [*OPINION, "generated_activity", "user_activity"]
        for column in self.codes:
            names += [f"{what}_{column}" for what in ("matches", "share", "lift", "coverage", "audience", "items")]
        for column in self.scalars:
            names += [f"{what}_{column}" for what in ("value", "distance", "distance_to_nearest")]
        names += [f"{what}_{group[0]}" for group in self.groups for what in ("nearest", "profile")]
        return [*names, "max_similarity", "nearest_similarity", "sum_cubed_similarity", "near_items", "same_items"]

    def to_json(self) -> dict[str, Any]:
        """Plain data; the inverse is the constructor."""
        return asdict(self)


@dataclass(frozen=True)
class ItemStatistics:
    """Per code column and code, over the warm items: how many items have it, and how many users those have."""

    counts: list[Floats]
    audiences: list[Floats]
    """Mean number of users of the code's items, shrunken to the mean of all."""
    num_items: int

    @classmethod
    def of(cls, table: PairTable, rows: Sequence[tuple[int, int, int, float]]) -> ItemStatistics:
        """From rows (place of the column, code, items, users summed over those items)."""
        counts = [np.zeros(n, np.float32) for n in table.cardinalities]
        sums = [np.zeros(n, np.float32) for n in table.cardinalities]
        for place, code, items, users in rows:
            counts[place][code], sums[place][code] = items, users
        num_items = int(max((c.sum() for c in counts), default=0))
        mean = float(sums[0].sum() / num_items) if num_items else 0.0
        audiences = [(s + PRIOR_ITEMS * mean) / (c + PRIOR_ITEMS) for s, c in zip(sums, counts, strict=True)]
        return cls(counts, audiences, num_items)

    def information(self, place: int) -> Floats:
        """log(items / items with the code): what it says that two items share it; 0 for missing, rare and unknown."""
        values: Floats = np.log(max(self.num_items, 2) / np.maximum(self.counts[place], 1.0)).astype(np.float32)
        values[:FIRST] = 0.0
        return values


@dataclass(frozen=True)
class Items:
    """Encoded items: codes (n, J) and numbers (n, N)."""

    codes: Ints
    numbers: Floats


@dataclass(frozen=True)
class Proposal:
    """What the generator says of each candidate: its score for the user, the length of its vector, its activity."""

    score: Floats
    norm: Floats
    log_activity: Floats


def pair_features(
    table: PairTable, stats: ItemStatistics, history: Items, candidates: Items, proposal: Proposal
) -> Floats:
    """Features (C, F) of one user's candidates, named by `table.feature_names`."""
    size = len(candidates.codes)
    owned = max(len(history.codes), 1)
    columns: list[npt.NDArray[Any]] = [
        proposal.score,
        proposal.score / np.maximum(proposal.norm, 1e-9),
        proposal.log_activity,
        np.full(size, np.log1p(len(history.codes))),
    ]
    for place, cardinality in enumerate(table.cardinalities):
        code = candidates.codes[:, place]
        mine = np.bincount(history.codes[:, place], minlength=cardinality)
        matches = np.where(code >= FIRST, mine[code], 0)
        count = stats.counts[place][code]
        share = matches / owned
        expected = count / max(stats.num_items, 1) * owned
        columns += [matches, share, matches / (expected + 1), matches / (count + 1),
                    stats.audiences[place][code], count]  # fmt: skip
    alike, nearest_of = similarity(table, stats, history, candidates)
    nearest = alike.argmax(axis=1) if len(history.codes) else None
    for place in range(len(table.scalars)):
        value = candidates.numbers[:, place]
        columns.append(value)
        if nearest is None:
            columns += [np.zeros(size), np.zeros(size)]
        else:
            own = history.numbers[:, place]
            columns += [np.abs(value - own.mean()), np.abs(value - own[nearest])]
    for group in nearest_of:
        columns += group
    k = min(NEAREST, alike.shape[1])
    best = -np.partition(-alike, k - 1, axis=1)[:, :k]
    columns += [best.max(axis=1), best.mean(axis=1), (alike**3).sum(axis=1), (alike > NEAR).sum(axis=1),
                (alike > SAME).sum(axis=1)]  # fmt: skip
    return np.column_stack(columns).astype(np.float32)


def similarity(
    table: PairTable, stats: ItemStatistics, history: Items, candidates: Items
) -> tuple[Floats, list[list[Floats]]]:
    """How alike each candidate and each item of the history are, in [0, 1], shape (C, max(H, 1)); and per group of
    numbers the best and the mean cosine with the history.

    The information of the shared codes over that of all the candidate's codes; a group counts as one more attribute
    that is shared to the extent of its cosine, and weighs as much as a value that sqrt(items) items have.
    """
    size, owned = len(candidates.codes), len(history.codes)
    if owned == 0:
        return np.zeros((size, 1), np.float32), [[np.zeros(size, np.float32)] * 2 for _ in table.groups]
    shared = np.zeros((size, owned), np.float32)
    total = np.full(size, 1e-9, np.float32)
    for place in range(len(table.codes)):
        weight = stats.information(place)[candidates.codes[:, place]]
        shared += (candidates.codes[:, place, None] == history.codes[None, :, place]) * weight[:, None]
        total += weight
    groups = []
    for span in table.spans:
        own, other = _unit(candidates.numbers[:, span]), _unit(history.numbers[:, span])
        cosine = np.maximum(own @ other.T, 0.0)
        weight = np.float32(0.5 * np.log(max(stats.num_items, 2))) * (np.abs(own).max(axis=1) > 0)
        shared += cosine * weight[:, None]
        total += weight
        groups.append([cosine.max(axis=1), cosine.mean(axis=1)])
    return shared / total[:, None], groups


def _unit(rows: Floats) -> Floats:
    """Rows of length 1; a set's absent members (-1) count as nothing, an empty row stays empty."""
    positive = np.maximum(rows, 0.0)
    length = np.linalg.norm(positive, axis=1, keepdims=True)
    unit: Floats = positive / np.maximum(length, 1e-9)
    return unit
