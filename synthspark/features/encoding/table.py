"""The encoding of a whole table: encoders and their columns, fitted together and saved as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy.typing as npt
from pyspark.sql import DataFrame

from synthspark.features.encoding import bag, categorical, datetime, multi, numeric, sentence
from synthspark.features.encoding.bag import BagEncoder
from synthspark.features.encoding.categorical import CategoricalEncoder
from synthspark.features.encoding.columns import encoded_name
from synthspark.features.encoding.multi import MultiEncoder
from synthspark.features.encoding.numeric import NumericEncoder
from synthspark.features.encoding.sentence import SentenceEncoder

GroupEncoder = SentenceEncoder | MultiEncoder
"""Encoders whose float columns have a meaning only together."""
Encoder = CategoricalEncoder | NumericEncoder | BagEncoder | GroupEncoder


@dataclass(frozen=True)
class EncodingLimits:
    """Bounds of an encoding, whatever the data."""

    min_category_count: int = 3
    """Minimum number of rows of a value, word or member of a vocabulary."""
    max_categories: int = 50_000
    """Maximum number of values of a categorical attribute that have a code."""
    max_vocabulary: int = 100_000
    """Maximum number of words or members of a text or set that have an id."""
    max_tokens: int = 32
    """Maximum number of words or members of a row."""
    text_model: str | None = None
    """Sentence encoder of texts, beside their words; None for none."""


@dataclass(frozen=True)
class TableEncoding:
    """The encoders of one table, in the order of its attributes; `left_out` says why an attribute has none."""

    kinds: dict[str, str]
    encoders: tuple[Encoder, ...]
    left_out: dict[str, str]

    @property
    def categorical(self) -> list[CategoricalEncoder]:
        """The encoders that make code columns."""
        return [e for e in self.encoders if isinstance(e, CategoricalEncoder)]

    @property
    def code_columns(self) -> list[str]:
        """Names of the int columns."""
        return [e.column for e in self.categorical]

    @property
    def cardinalities(self) -> list[int]:
        """Number of codes of each code column."""
        return [e.cardinality for e in self.categorical]

    @property
    def bags(self) -> list[BagEncoder]:
        """The encoders that make token columns."""
        return [e for e in self.encoders if isinstance(e, BagEncoder)]

    @property
    def token_columns(self) -> list[str]:
        """Names of the int columns of texts and sets."""
        return [column for bag in self.bags for column in bag.columns]

    @property
    def columns(self) -> list[str]:
        """Names of all encoded columns."""
        return [*self.code_columns, *self.number_columns, *self.token_columns]

    @property
    def number_columns(self) -> list[str]:
        """Names of the float columns."""
        columns: list[str] = []
        for encoder in self.encoders:
            if isinstance(encoder, NumericEncoder):
                columns += [encoder.column, *([encoder.missing_column] if encoder.missing_column else [])]
            elif isinstance(encoder, GroupEncoder):
                columns += encoder.columns
        return columns

    @property
    def column_groups(self) -> list[list[str]]:
        """The float columns that have a meaning only together: one group per sentence encoder and per set."""
        return [list(e.columns) for e in self.encoders if isinstance(e, GroupEncoder)]

    @property
    def scalar_columns(self) -> list[str]:
        """The float columns that have a meaning of their own."""
        grouped = {column for group in self.column_groups for column in group}
        return [column for column in self.number_columns if column not in grouped]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, without rare values: nothing that only few rows have is saved."""
        encoders = []
        for encoder in self.encoders:
            data = asdict(encoder)
            data.pop("rare", None)
            encoders.append({"type": type(encoder).__name__, **data})
        return {"kinds": self.kinds, "encoders": encoders, "left_out": self.left_out}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TableEncoding:
        """Build from the data of `to_json`."""
        known = (CategoricalEncoder, NumericEncoder, BagEncoder, SentenceEncoder, MultiEncoder)
        types: dict[str, Any] = {t.__name__: t for t in known}
        encoders = []
        for entry in json.loads(json.dumps(data["encoders"])):
            kind = types[entry.pop("type")]
            encoders.append(kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}))
        return cls(data["kinds"], tuple(encoders), data["left_out"])


def fit(df: DataFrame, kinds: Mapping[str, str], limits: EncodingLimits) -> TableEncoding:
    """Fit every attribute (`kinds`: attribute -> kind) on the rows of `df`: a few passes per kind, text and set.

    An attribute that cannot tell rows apart (one value, no value, every value rare) is left out, with the reason.
    """
    found = _Found(kinds)
    of = {kind: [a for a, k in kinds.items() if k == kind] for kind in ("categorical", "numeric", "datetime")}
    # Twice the vocabulary, so that values just outside of it are encoded as rare, not as unknown.
    categories = categorical.analyze(df, of["categorical"], 2 * limits.max_categories)
    numbers = numeric.analyze(df, of["numeric"]) | datetime.analyze(df, of["datetime"])
    for name, kind in kinds.items():
        if kind == "categorical":
            found.category(name, categories[name], limits)
        elif kind in ("numeric", "datetime"):
            found.number(name, numbers[name])
        else:
            counts = bag.analyze(df, name, kind, limits.max_vocabulary)
            found.bag(name, kind, counts, limits)
            if kind == "text" and limits.text_model:
                found.sentence(name, limits.text_model)
    return found.encoding()


def fit_rows(df: DataFrame, kinds: Mapping[str, str], limits: EncodingLimits, max_members: int) -> TableEncoding:
    """Fit for networks that make rows: sets get a column per value, at most `max_members`; texts are left out."""
    plain = {name: kind for name, kind in kinds.items() if kind not in ("text", "multi")}
    fitted = fit(df, plain, limits)
    found = _Found(kinds, list(fitted.encoders), dict(fitted.left_out), 0, len(fitted.number_columns))
    sets = [name for name, kind in kinds.items() if kind == "multi"]
    for name, counts in multi.analyze(df, sets, max_members).items():
        found.members(name, multi.fitted(name, found.floats, counts, limits.min_category_count, max_members))
    left_out = {name: "the network does not write texts" for name, kind in kinds.items() if kind == "text"}
    return found.encoding(left_out)


def encode(df: DataFrame, encoding: TableEncoding) -> DataFrame:
    """Add every encoded column to `df`; the attributes themselves stay."""
    for encoder in encoding.encoders:
        if isinstance(encoder, CategoricalEncoder):
            df = categorical.encode(df, encoder)
        elif isinstance(encoder, BagEncoder):
            df = bag.encode(df, encoder)
        elif isinstance(encoder, SentenceEncoder):
            df = sentence.encode(df, encoder)
        elif isinstance(encoder, MultiEncoder):
            df = multi.encode(df, encoder)
        elif encoding.kinds[encoder.name] == "datetime":
            df = datetime.encode(df, encoder)
        else:
            df = numeric.encode(df, encoder)
    return df


def decode(
    encoding: TableEncoding, codes: npt.NDArray[Any], numbers: npt.NDArray[Any]
) -> dict[str, npt.NDArray[Any] | list[Any]]:
    """Decode codes (B, C) and numbers (B, N) to a column of values per attribute; None if it cannot be decoded."""
    place = {name: i for i, name in enumerate(encoding.number_columns)}
    by_name = {e.name: e for e in encoding.encoders}
    code_of = {name: i for i, name in enumerate(encoding.code_columns)}
    decoded: dict[str, npt.NDArray[Any] | list[Any]] = {}
    for name, kind in encoding.kinds.items():
        encoder = by_name.get(name)
        if isinstance(encoder, CategoricalEncoder):
            decoded[name] = categorical.decode(encoder, codes[:, code_of[encoder.column]])
        elif isinstance(encoder, NumericEncoder):
            missing = numbers[:, place[encoder.missing_column]] if encoder.missing_column else None
            turn: Callable[..., npt.NDArray[Any]] = datetime.decode if kind == "datetime" else numeric.decode
            decoded[name] = turn(encoder, numbers[:, place[encoder.column]], missing)
        elif isinstance(encoder, MultiEncoder):
            decoded[name] = multi.decode(encoder, numbers[:, [place[c] for c in encoder.columns]])
        else:
            decoded[name] = [None] * len(codes)
    return decoded


@dataclass
class _Found:
    """Collects the encoders of a table and numbers their columns."""

    kinds: Mapping[str, str]
    encoders: list[Encoder] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    codes: int = 0
    floats: int = 0
    tokens: int = 0

    def encoding(self, left_out: Mapping[str, str] | None = None) -> TableEncoding:
        """Return the encoding of all encoders added."""
        return TableEncoding(dict(self.kinds), tuple(self.encoders), self.left_out | dict(left_out or {}))

    def category(self, name: str, counts: categorical.CategoricalFindings, limits: EncodingLimits) -> None:
        """Add a column of codes."""
        column = encoded_name("code", self.codes, name)
        encoder = categorical.fitted(name, column, counts, limits.min_category_count, limits.max_categories)
        if self._kept(encoder, _why_not_categorical(counts, encoder, limits.min_category_count)):
            self.codes += 1

    def number(self, name: str, counts: numeric.NumericFindings) -> None:
        """Add a column of numbers, and one that marks missing values if there are any."""
        column = encoded_name("number", self.floats, name)
        missing = encoded_name("number", self.floats + 1, name, "missing") if counts.missing else None
        encoder = numeric.fitted(name, column, missing, counts)
        if self._kept(encoder, _why_not_number(encoder)):
            self.floats += 1 + (missing is not None)

    def bag(self, name: str, kind: str, counts: bag.BagFindings, limits: EncodingLimits) -> None:
        """Add columns of tokens."""
        least = limits.min_category_count
        encoder = bag.fitted(name, kind, self.tokens, counts, least, limits.max_vocabulary, limits.max_tokens)
        if self._kept(encoder, bag.why_not(encoder, counts, least)):
            self.tokens += len(encoder.columns)

    def sentence(self, name: str, model: str) -> None:
        """Add the columns of a sentence encoder, beside the words of the same text."""
        size = sentence.dimensions(model)
        columns = tuple(encoded_name("number", self.floats + i, name, f"{i:02d}") for i in range(size))
        self.encoders.append(SentenceEncoder(name, columns, model))
        self.left_out.pop(name, None)
        self.floats += size

    def members(self, name: str, encoder: MultiEncoder) -> None:
        """Add a column per member of a set."""
        if self._kept(encoder, None if encoder.columns else "no value is frequent enough"):
            self.floats += len(encoder.columns)

    def _kept(self, encoder: Encoder, reason: str | None) -> bool:
        if reason is None:
            self.encoders.append(encoder)
        else:
            self.left_out[encoder.name] = reason
        return reason is None


def _why_not_categorical(
    found: categorical.CategoricalFindings, encoder: CategoricalEncoder, min_count: int
) -> str | None:
    if not found.counts:
        return "all null"
    if len(found.counts) == 1:
        return f"a single value ({next(iter(found.counts))!r})"
    if not encoder.vocabulary:
        return f"no value occurs {min_count} times (an id by mistake?)"
    return None


def _why_not_number(encoder: NumericEncoder) -> str | None:
    if not encoder.knots:
        return "all null"
    if len(set(encoder.knots)) == 1:
        return f"a single value ({encoder.knots[0]:g})"
    return None
