"""Texts and sets as bags of tokens: a vocabulary with information weights (Sparck Jones 1972), the rest hashed.

A token's id is 0 for none, 1 to V for the vocabulary (the most frequent first), and above V for a hash of any other
token (Weinberger et al. 2009, arXiv:0902.2206). A row's most informative tokens are scalar int columns, so that
training can stream them. Tokens of only few rows are not saved, and ids are never decoded.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.features.encoding.columns import encoded_name
from synthspark.features.encoding.words import folded, words
from synthspark.frames import of_each
from synthspark.schemas import quoted

HASHED = 1 << 20
"""Number of ids of tokens outside the vocabulary: so many that two of them rarely have the same id."""
NONE = 0
"""Id of no token."""


@dataclass(frozen=True)
class BagFindings:
    """Counts of the tokens of a column."""

    rows: int
    """Number of rows, including those without a token."""
    longest: int
    """Maximum number of distinct tokens of a row."""
    counts: dict[str, int]
    """Token -> number of rows that have it, for the most frequent tokens."""
    distinct: int
    """Number of distinct tokens."""
    occurrences: int
    """Number of pairs of a row and one of its distinct tokens."""


@dataclass(frozen=True)
class BagEncoder:
    """The vocabulary of one column, and the columns that hold a row's tokens."""

    name: str
    kind: str
    """text or multi."""
    columns: tuple[str, ...]
    vocabulary: tuple[str, ...]
    weights: tuple[float, ...]
    """log(rows / rows with the token), in the order of the vocabulary."""
    hashed_weight: float
    """Weight of a token outside the vocabulary, by their mean number of rows."""

    @property
    def id_weights(self) -> list[float]:
        """Weights by id, from 0 on; greater ids have `hashed_weight`."""
        return [0.0, *self.weights]


def tokens_of(kind: str, value: Any) -> list[str]:
    """Return the tokens of a text, or the members of a set as tokens; an empty list for a missing value."""
    if value is None:
        return []
    return words(value) if kind == "text" else [m for m in map(folded, value) if m]


def analyze(df: DataFrame, name: str, kind: str, limit: int) -> BagFindings:
    """Count the tokens of a column; the `limit` most frequent come to the driver."""

    def distinct(value: Any) -> list[str]:
        return sorted(set(tokens_of(kind, value)))

    tokens = df.select(of_each(distinct, F.col(quoted(name)), "array<string>").alias("tokens"))
    counted = tokens.select(F.explode("tokens").alias("token")).groupBy("token").count().persist()
    whole = tokens.agg(F.count(F.lit(1)).alias("rows"), F.max(F.size("tokens")).alias("longest")).collect()[0]
    total = counted.agg(F.count(F.lit(1)).alias("distinct"), F.sum("count").alias("occurrences")).collect()[0]
    top = counted.orderBy(F.col("count").desc(), "token").limit(limit).collect()
    counted.unpersist()
    counts = {row["token"]: row["count"] for row in top}
    return BagFindings(whole["rows"], whole["longest"] or 0, counts, total["distinct"], total["occurrences"] or 0)


def fitted(
    name: str, kind: str, position: int, found: BagFindings, min_count: int, limit: int, max_tokens: int
) -> BagEncoder:
    """Build the encoder from findings: the vocabulary are the tokens of at least `min_count` rows, at most `limit`.

    position: number of its first column.
    """
    kept = [(token, n) for token, n in found.counts.items() if n >= min_count][:limit]
    rest = max(found.distinct - len(kept), 0)
    mean = (found.occurrences - sum(n for _, n in kept)) / rest if rest else 1.0
    size = min(max_tokens, found.longest)
    columns = tuple(encoded_name("word", position + i, name, f"{i:02d}") for i in range(size))
    weights = tuple(round(math.log(found.rows / n), 4) for _, n in kept)
    return BagEncoder(name, kind, columns, tuple(t for t, _ in kept), weights,
                      round(math.log(max(found.rows, 1) / max(mean, 1.0)), 4))  # fmt: skip


def why_not(encoder: BagEncoder, found: BagFindings, min_count: int) -> str | None:
    """Return the reason why a bag cannot tell rows apart, None if it can."""
    if not found.distinct:
        return "all null, or without a word"
    if not encoder.vocabulary:
        return f"no word or member is in {min_count} rows (an id by mistake?)"
    if not any(encoder.weights):
        return "every row has the same words or members"
    return None


def encode(df: DataFrame, encoder: BagEncoder) -> DataFrame:
    """Add the int columns of the encoder to `df`: the row's most informative tokens first, `NONE` in the rest."""
    place = {token: i + 1 for i, token in enumerate(encoder.vocabulary)}
    kind, size, weights = encoder.kind, len(encoder.columns), encoder.id_weights

    def ids(value: Any) -> list[int]:
        return _most_informative(tokens_of(kind, value), place, weights, size)

    df = df.withColumn("_bag", of_each(ids, F.col(quoted(encoder.name)), "array<int>"))
    return df.withColumns({c: F.col("_bag")[i] for i, c in enumerate(encoder.columns)}).drop("_bag")


def _most_informative(tokens: Iterable[str], place: dict[str, int], weights: Sequence[float], size: int) -> list[int]:
    """Return ids of the `size` tokens of highest frequency x weight, known before hashed ones, padded with `NONE`."""
    times = Counter(tokens)
    id_of = partial(_id, place=place)
    known = {token: id_of(token) for token in times}

    def order(token: str) -> tuple[bool, float, int]:
        index = known[token]
        hashed = index >= len(weights)
        return hashed, -times[token] * (1.0 if hashed else weights[index]), index

    found = list(dict.fromkeys(known[token] for token in sorted(times, key=order)))[:size]
    return found + [NONE] * (size - len(found))


def _id(token: str, place: dict[str, int]) -> int:
    return place.get(token) or len(place) + 1 + zlib.crc32(token.encode("utf-8", "surrogatepass")) % HASHED
