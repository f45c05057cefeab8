"""Attributes as tokens: columns with a small set of codes each, the input of the autoregressive generator.

Codes are those of `synthspark_models.tabular`: UNKNOWN, MISSING, RARE, then values from FIRST on. Categories are
ordered by frequency and numbers by size, so that trees can split on the codes. A token column stores vocabulary, bin
edges and counts, never a row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from synthspark_models.tabular import FIRST, MISSING, RARE, UNKNOWN

ABSENT, PRESENT = FIRST, FIRST + 1
"""Codes of a member of a set."""
LOG_SCALED = 1.5
"""Bins whose upper edge is more than this multiple of the lower one are log-uniform, to fit heavy tails."""

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CategoryTokens:
    """Column with one token per category."""

    name: str
    column: str
    vocabulary: tuple[str, ...]

    @property
    def cardinality(self) -> int:
        """Number of codes."""
        return FIRST + len(self.vocabulary)

    def decode(self, codes: Codes, _uniform: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """Decode codes (B,) to values (B,); None for codes below FIRST."""
        values: npt.NDArray[Any] = np.array([None] * FIRST + list(self.vocabulary), dtype=object)[codes]
        return values


@dataclass(frozen=True)
class NumberTokens:
    """Column with one token per interval: frequent values have their own, the others share quantile bins."""

    name: str
    column: str
    lows: tuple[float, ...]
    """Lower ends, ascending."""
    highs: tuple[float, ...]
    """Upper ends; equal to the lower end for a frequent value."""
    step: float | None
    """Number that all values are multiples of; None if there is none."""
    is_instant: bool = False
    """Whether the numbers are seconds since 1970 of timestamps."""

    @property
    def cardinality(self) -> int:
        """Number of codes."""
        return FIRST + len(self.lows)

    def decode(self, codes: Codes, uniform: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """Decode codes (B,) to values (B,) inside their intervals by uniform numbers (B,); NaN or NaT if missing."""
        return self.decode_within(codes, uniform, -np.inf, np.inf)

    def decode_within(
        self, codes: Codes, uniform: npt.NDArray[np.float64], least: float, most: float
    ) -> npt.NDArray[Any]:  # fmt: skip
        """Decode like `decode`, with every interval cut to [least, most]."""
        known = codes >= FIRST
        place = np.where(known, codes - FIRST, 0)
        lows, highs = np.array(self.lows or (0.0,)), np.array(self.highs or (0.0,))
        low, high = np.clip(lows[place], least, most), np.clip(highs[place], least, most)
        spread = (low > 0) & (high > LOG_SCALED * low)
        ratio = np.where(spread, high / np.where(spread, low, 1.0), 1.0)
        value = np.where(spread, low * ratio**uniform, low + (high - low) * uniform)
        if self.step is not None:
            value = self._on_grid(low, high, value)
        value = np.where(known, value + 0.0, np.nan)  # + 0 removes negative zeros
        if not self.is_instant:
            return value
        out = np.full(len(value), np.datetime64("NaT"), dtype="datetime64[us]")
        out[known] = np.round(value[known] * 1e6).astype("int64").astype("datetime64[us]")
        return out

    def _on_grid(
        self, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], value: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:  # fmt: skip
        """Return the multiple of `step` at or below `value`, but within the multiples in [low, high)."""
        assert self.step is not None
        first = np.ceil(low / self.step - 1e-6)
        last = np.maximum(first, np.ceil(high / self.step - 1e-6) - 1)
        number = np.clip(np.floor(value / self.step + 1e-6), first, last)
        # A step of .01 is not exact in binary: divide by its inverse, which is an integer.
        inverse = round(1 / self.step) if self.step < 1 else 0
        gridded: npt.NDArray[np.float64] = number / inverse if inverse else number * self.step
        return gridded

    def shares(self, least: float, most: float) -> npt.NDArray[np.float64]:
        """Return the share of each token's interval inside [least, most], shape (tokens,)."""
        low, high = np.array(self.lows), np.array(self.highs)
        inside = np.minimum(high, most) - np.maximum(low, least)
        width = np.where(high > low, high - low, 1.0)
        single = (low >= least) & (low <= most)
        return np.where(high > low, np.clip(inside / width, 0.0, 1.0), single.astype(float))


@dataclass(frozen=True)
class MemberTokens:
    """Column that tells whether a set has one certain value."""

    name: str
    column: str
    value: str

    @property
    def cardinality(self) -> int:
        """Number of codes."""
        return FIRST + 2


Tokens = CategoryTokens | NumberTokens | MemberTokens


@dataclass(frozen=True)
class Hierarchy:
    """A finer column each of whose values occurs with few values of a coarser one."""

    fine: str
    coarse: str
    pairs: tuple[tuple[int, int], ...]
    """Allowed pairs (fine code, coarse code), sorted."""


@dataclass(frozen=True)
class TokenEncoding:
    """The token columns of one table."""

    kinds: dict[str, str]
    """Attribute -> kind, for all declared attributes."""
    tokens: tuple[Tokens, ...]
    constants: dict[str, Any] = field(default_factory=dict)
    """Attribute with a single value -> that value."""
    hierarchies: tuple[Hierarchy, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()
    """Number of real rows per code of each token column."""

    @property
    def columns(self) -> list[str]:
        """Names of the token columns."""
        return [t.column for t in self.tokens]

    @property
    def cardinalities(self) -> list[int]:
        """Number of codes of each token column."""
        return [t.cardinality for t in self.tokens]

    def positions_of(self, attribute: str) -> list[int]:
        """Return the positions of an attribute's token columns."""
        return [i for i, t in enumerate(self.tokens) if t.name == attribute]

    def forbidden_codes(self) -> list[npt.NDArray[np.bool_]]:
        """Return, per token column, which codes are never drawn: UNKNOWN, RARE, and codes without real rows."""
        ruled_out = []
        for counts in self.counts:
            out = np.array(counts) == 0
            out[[UNKNOWN, RARE]] = True
            ruled_out.append(out)
        return ruled_out

    def decode(
        self, codes: Codes, uniform: npt.NDArray[np.float64],
        limits: dict[str, tuple[float, float]] | None = None,
    ) -> dict[str, npt.NDArray[Any] | list[Any]]:  # fmt: skip
        """Decode codes (B, K) to a column of values per attribute, None or NaN if missing.

        uniform: numbers (B, K) in [0, 1) that place values inside intervals. limits: attribute -> (least, most), to
        which the intervals of numbers are cut.
        """
        decoded: dict[str, npt.NDArray[Any] | list[Any]] = {}
        for name, kind in self.kinds.items():
            places = self.positions_of(name)
            if not places:
                decoded[name] = [self.constants.get(name)] * len(codes)
            elif kind == "multi":
                decoded[name] = self._sets(codes, places)
            else:
                tokens = self.tokens[places[0]]
                assert not isinstance(tokens, MemberTokens)
                column, noise = codes[:, places[0]], uniform[:, places[0]]
                if limits and name in limits and isinstance(tokens, NumberTokens):
                    decoded[name] = tokens.decode_within(column, noise, *limits[name])
                else:
                    decoded[name] = tokens.decode(column, noise)
        return decoded

    def _sets(self, codes: Codes, places: Sequence[int]) -> list[list[str] | None]:
        names: npt.NDArray[Any] = np.array([getattr(self.tokens[i], "value", None) for i in places], dtype=object)
        present = codes[:, places] == PRESENT
        missing = (codes[:, places] == MISSING).any(axis=1)
        none = missing | ~present.any(axis=1)
        return [None if gone else sorted(names[row]) for gone, row in zip(none, present, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """Return the encoding as plain data."""
        data = asdict(self)
        for entry, tokens in zip(data["tokens"], self.tokens, strict=True):
            entry["type"] = type(tokens).__name__
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TokenEncoding:
        """Create the encoding from the result of `to_json`."""
        data = json.loads(json.dumps(data))
        types: dict[str, Any] = {t.__name__: t for t in (CategoryTokens, NumberTokens, MemberTokens)}
        tokens = []
        for entry in data["tokens"]:
            kind = types[entry.pop("type")]
            tokens.append(kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}))
        hierarchies = tuple(
            Hierarchy(h["fine"], h["coarse"], tuple((a, b) for a, b in h["pairs"])) for h in data["hierarchies"]
        )
        counts = tuple(tuple(c) for c in data["counts"])
        return cls(data["kinds"], tuple(tokens), data["constants"], hierarchies, counts)
