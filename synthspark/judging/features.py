"""Features of a pair for the judge: only what is known of an item before anybody has bought it.

Per attribute: the share of the user's history that has the candidate's value, and statistics of the value's items. Per
item: similarities of the candidate and the single items of the history (content neighbours, seen from the user), which
an average over the history would lose. And the scores of the generator and of the linear regression.

Shapes: C candidates of one user, H items of the user's history, J code columns, N number columns, T token columns,
F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from synthspark.features.encoding import FIRST, TableEncoding
from synthspark.features.encoding.bag import HASHED

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Sparse = Any
"""A scipy.sparse.csr_matrix, which has no type stubs."""

NEAREST = 5
"""Number of nearest items of the history that `nearest_similarity` averages."""
NEAR, SAME = 0.6, 0.8
"""Minimum similarities of an item of the history that counts as near, and of one that counts as the same."""
OPINION = ("score", "cosine", "linear_score", "linear_cosine")
"""Features that score a pair: by the generator, and by the linear regression."""
PRIOR_ITEMS = 5.0
"""Pseudo-items of average audience by which a value's mean audience is shrunk."""


@dataclass(frozen=True)
class Bag:
    """The token columns of a text or a set, and the weight of each token."""

    columns: list[str]
    weights: Floats
    """Weights of the ids 0 to V; greater ids are hashed tokens."""
    hashed_weight: float
    """Weight of each hashed token."""

    def matrix(self, ids: Ints) -> Sparse:
        """Turn token ids (n, columns), 0 for none, into rows of weights by id, shape (n, ids), of length 1 or empty."""
        known = ids > 0
        found = ids[known]
        inside = found < len(self.weights)
        values = np.where(inside, self.weights[np.where(inside, found, 0)], np.float32(self.hashed_weight))
        starts = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
        rows = np.repeat(np.arange(len(ids)), np.diff(starts))
        length = np.sqrt(np.bincount(rows, values.astype(np.float64) ** 2, minlength=len(ids)))
        scaled = (values / np.maximum(length, 1e-9)[rows]).astype(np.float32)
        return csr_matrix((scaled, found, starts), shape=(len(ids), len(self.weights) + HASHED + 1))


@dataclass(frozen=True)
class PairTable:
    """The encoded columns of the items, and which number columns belong together."""

    codes: list[str]
    cardinalities: list[int]
    scalars: list[str]
    """Number columns that have a meaning of their own."""
    groups: list[list[str]]
    """Number columns that have a meaning only together: the dimensions of a sentence encoder."""
    bags: list[Bag] = field(default_factory=list)
    """Token columns of texts and sets."""

    @classmethod
    def of(cls, encoding: TableEncoding) -> PairTable:
        """Return the table of an encoding."""
        bags = [Bag(list(b.columns), np.asarray(b.id_weights, np.float32), b.hashed_weight) for b in encoding.bags]
        return cls(encoding.code_columns, encoding.cardinalities, encoding.scalar_columns, encoding.column_groups, bags)

    @property
    def tokens(self) -> list[str]:
        """The token columns of all bags, in the order of `Items.tokens`."""
        return [column for bag in self.bags for column in bag.columns]

    @property
    def numbers(self) -> list[str]:
        """All number columns, in the order of `Items.numbers`: scalars, then the groups."""
        return [*self.scalars, *(c for group in self.groups for c in group)]

    @property
    def spans(self) -> list[slice]:
        """Position of each group in `numbers`."""
        return _spans(len(self.scalars), self.groups)

    @property
    def token_spans(self) -> list[slice]:
        """Position of each bag in `tokens`."""
        return _spans(0, [bag.columns for bag in self.bags])

    @property
    def feature_names(self) -> list[str]:
        """Names of the F features, in order."""
        names = [*OPINION, "generated_activity", "user_activity"]
        for column in self.codes:
            names += [f"{what}_{column}" for what in ("matches", "share", "lift", "coverage", "audience", "items")]
        for column in self.scalars:
            names += [f"{what}_{column}" for what in ("value", "distance", "distance_to_nearest")]
        texts = [*self.groups, *(bag.columns for bag in self.bags)]
        names += [f"{what}_{columns[0]}" for columns in texts for what in ("nearest", "profile", "squared")]
        return [*names, "max_similarity", "nearest_similarity", "sum_cubed_similarity", "near_items", "same_items"]

    def to_json(self) -> dict[str, Any]:
        """Return the columns as plain data, without the weights of words."""
        columns = {"codes": self.codes, "cardinalities": self.cardinalities, "scalars": self.scalars}
        return {**columns, "groups": self.groups, "bags": [bag.columns for bag in self.bags]}


@dataclass(frozen=True)
class ItemStatistics:
    """Per code column and code, over the warm items: number of items with the code, and mean users of these items."""

    counts: list[Floats]
    """Number of items with the code."""
    audiences: list[Floats]
    """Mean number of users of the code's items, shrunk towards the mean of all items."""
    num_items: int

    @classmethod
    def of(cls, table: PairTable, rows: Sequence[tuple[int, int, int, float]]) -> ItemStatistics:
        """Build from rows (position of the column, code, number of items, users summed over those items)."""
        counts = [np.zeros(n, np.float32) for n in table.cardinalities]
        sums = [np.zeros(n, np.float32) for n in table.cardinalities]
        for place, code, items, users in rows:
            counts[place][code], sums[place][code] = items, users
        num_items = int(max((c.sum() for c in counts), default=0))
        mean = float(sums[0].sum(dtype=np.float64)) / num_items if num_items else 0.0
        audiences = [(s + PRIOR_ITEMS * mean) / (c + PRIOR_ITEMS) for s, c in zip(sums, counts, strict=True)]
        return cls(counts, audiences, num_items)

    def information(self, place: int) -> Floats:
        """Return log(items / items with the code), the information in sharing it; 0 for missing, rare and unknown."""
        counts = np.maximum(self.counts[place], 1.0, dtype=np.float64)
        values: Floats = np.log(max(self.num_items, 2) / counts).astype(np.float32)
        values[:FIRST] = 0.0
        return values

    def expected(self, place: int, codes: Ints, size: int) -> npt.NDArray[np.float64]:
        """Return how many of `size` random items have each of the `codes`, shape (C,)."""
        # As doubles: NumPy 1 would divide floats by a number above 65,535 as doubles, NumPy 2 as floats.
        found: npt.NDArray[np.float64] = self.counts[place][codes].astype(np.float64) / max(self.num_items, 1) * size
        return found


@dataclass(frozen=True)
class Items:
    """Encoded items: codes (n, J), numbers (n, N) and tokens (n, T)."""

    codes: Ints
    numbers: Floats
    tokens: Ints


@dataclass(frozen=True)
class Proposal:
    """Scores of the candidates for the user and lengths of their vectors, by the generator and by the linear
    regression; and the generator's expected activity. Shape (C,) each.
    """

    score: Floats
    norm: Floats
    linear_score: Floats
    linear_norm: Floats
    log_activity: Floats


def pair_features(
    table: PairTable, stats: ItemStatistics, history: Items, candidates: Items, proposal: Proposal
) -> Floats:
    """Compute features (C, F) of one user's candidates, named by `table.feature_names`."""
    size = len(candidates.codes)
    owned = max(len(history.codes), 1)
    columns: list[npt.NDArray[Any]] = [
        proposal.score,
        proposal.score / np.maximum(proposal.norm, 1e-9),
        proposal.linear_score,
        proposal.linear_score / np.maximum(proposal.linear_norm, 1e-9),
        proposal.log_activity,
        np.full(size, np.log1p(len(history.codes))),
    ]
    for place, cardinality in enumerate(table.cardinalities):
        code = candidates.codes[:, place]
        mine = np.bincount(history.codes[:, place], minlength=cardinality)
        matches = np.where(code >= FIRST, mine[code], 0)
        count = stats.counts[place][code]
        share = matches / owned
        columns += [matches, share, matches / (stats.expected(place, code, owned) + 1), matches / (count + 1),
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
    best = np.sort(-np.partition(-alike, k - 1, axis=1)[:, :k], axis=1)  # the order within a part depends on NumPy
    columns += [best.max(axis=1), best.mean(axis=1), (alike**3).sum(axis=1), (alike > NEAR).sum(axis=1),
                (alike > SAME).sum(axis=1)]  # fmt: skip
    return np.column_stack(columns).astype(np.float32)


def similarity(
    table: PairTable, stats: ItemStatistics, history: Items, candidates: Items
) -> tuple[Floats, list[list[Floats]]]:
    """Compute the similarity of each candidate and each item of the history, in [0, 1], shape (C, max(H, 1)); and, per
    group of numbers and per bag, maximum, mean and sum of squares of the cosines with the history, shape (C,) each.

    Similarity is the information of the shared codes divided by that of all the candidate's codes. A group or bag
    counts as one more attribute, shared to the extent of its cosine, with the information of a value that sqrt(items)
    items have.
    """
    size, owned = len(candidates.codes), len(history.codes)
    if owned == 0:
        nothing = [np.zeros(size, np.float32)] * 3
        return np.zeros((size, 1), np.float32), [nothing for _ in (*table.groups, *table.bags)]
    shared = np.zeros((size, owned), np.float32)
    total = np.full(size, 1e-9, np.float32)
    for place in range(len(table.codes)):
        weight = stats.information(place)[candidates.codes[:, place]]
        shared += (candidates.codes[:, place, None] == history.codes[None, :, place]) * weight[:, None]
        total += weight
    groups = []
    for cosine, known in _cosines(table, history, candidates):
        weight = np.float32(0.5 * np.log(max(stats.num_items, 2))) * known
        shared += cosine * weight[:, None]
        total += weight
        groups.append([cosine.max(axis=1), cosine.mean(axis=1), np.square(cosine).sum(axis=1)])
    return shared / total[:, None], groups


def _cosines(table: PairTable, history: Items, candidates: Items) -> Iterator[tuple[Floats, npt.NDArray[np.bool_]]]:
    """Yield per group and bag: cosines in [0, 1], shape (C, H), and which candidates have any value, shape (C,)."""
    for span in table.spans:
        own, other = _unit(candidates.numbers[:, span]), _unit(history.numbers[:, span])
        yield np.maximum(own @ other.T, 0.0), np.asarray(np.abs(own).max(axis=1) > 0)
    for bag, span in zip(table.bags, table.token_spans, strict=True):
        ids = candidates.tokens[:, span]
        yield sparse_products(bag.matrix(ids), bag.matrix(history.tokens[:, span])), np.asarray((ids > 0).any(axis=1))


def sparse_products(left: Sparse, right: Sparse) -> Floats:
    """Compute inner products (n, m) of the rows of two sparse matrices with far more columns than values."""
    columns, place = np.unique(right.indices, return_inverse=True)
    if not len(columns):
        return np.zeros((left.shape[0], right.shape[0]), np.float32)
    narrow = csr_matrix((right.data, place, right.indptr), shape=(right.shape[0], len(columns)))
    own = np.minimum(np.searchsorted(columns, left.indices), len(columns) - 1)
    values = np.where(columns[own] == left.indices, left.data, np.float32(0))
    found: Floats = (csr_matrix((values, own, left.indptr), shape=(left.shape[0], len(columns))) @ narrow.T).toarray()
    return found


def _spans(first: int, groups: Sequence[Sequence[str]]) -> list[slice]:
    starts = np.cumsum([first, *map(len, groups)]).tolist()
    return [slice(a, b) for a, b in zip(starts, starts[1:], strict=False)]


def _unit(rows: Floats) -> Floats:
    """Scale rows to length 1; a row of zeros stays as it is."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.maximum(length, 1e-9)
    return unit
