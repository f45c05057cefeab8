"""The encoding of a whole table: which encoder makes which columns, fitted together and saved as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy.typing as npt
from pyspark.sql import DataFrame

from synthspark.features.encoding import categorical, datetime, multi, numeric, sentence, text
from synthspark.features.encoding.categorical import CategoricalEncoder
from synthspark.features.encoding.columns import encoded_name
from synthspark.features.encoding.multi import MultiEncoder
from synthspark.features.encoding.numeric import NumericEncoder
from synthspark.features.encoding.sentence import SentenceEncoder
from synthspark.features.encoding.text import TextEncoder

GroupEncoder = TextEncoder | SentenceEncoder | MultiEncoder
"""Those whose columns mean something only together."""
Encoder = CategoricalEncoder | NumericEncoder | GroupEncoder


@dataclass(frozen=True)
class EncodingLimits:
    """What bounds an encoding, whatever the data."""

    min_category_count: int = 3
    max_categories: int = 50_000
    max_multi_values: int = 32
    text_buckets: int = 32
    text_model: str | None = None
    """A sentence encoder instead of hashed n-grams."""


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
        """The float columns that mean something only together: one group per text and per set."""
        return [list(e.columns) for e in self.encoders if isinstance(e, GroupEncoder)]

    @property
    def scalar_columns(self) -> list[str]:
        """The float columns that mean something alone."""
        grouped = {column for group in self.column_groups for column in group}
        return [column for column in self.number_columns if column not in grouped]

    def to_json(self) -> dict[str, Any]:
        """Plain data. Rare values are left out: nothing that only few rows have is saved."""
        encoders = []
        for encoder in self.encoders:
            data = asdict(encoder)
            data.pop("rare", None)
            encoders.append({"type": type(encoder).__name__, **data})
        return {"kinds": self.kinds, "encoders": encoders, "left_out": self.left_out}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TableEncoding:
        """The inverse of `to_json`."""
        known = (CategoricalEncoder, NumericEncoder, TextEncoder, SentenceEncoder, MultiEncoder)
        types: dict[str, Any] = {t.__name__: t for t in known}
        encoders = []
        for entry in json.loads(json.dumps(data["encoders"])):
            kind = types[entry.pop("type")]
            encoders.append(kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}))
        return cls(data["kinds"], tuple(encoders), data["left_out"])


def fit(df: DataFrame, kinds: Mapping[str, str], limits: EncodingLimits) -> TableEncoding:
    """Fit every attribute of `df` (`kinds`: attribute -> kind) on its rows: a few passes per kind and multi column.

    An attribute that cannot tell rows apart (one value, no value, every value rare) is left out, with the reason.
    """
    of = {kind: [a for a, k in kinds.items() if k == kind] for kind in ("categorical", "numeric", "datetime", "multi")}
    # A margin above the vocabulary, so that what is just outside is known to be rare rather than unknown.
    categories = categorical.analyze(df, of["categorical"], 2 * limits.max_categories)
    numbers = numeric.analyze(df, of["numeric"]) | datetime.analyze(df, of["datetime"])
    sets = multi.analyze(df, of["multi"], limits.max_multi_values)
    by_model = limits.text_model if "text" in kinds.values() else None
    text_columns = sentence.dimensions(by_model) if by_model else limits.text_buckets
    encoders: list[Encoder] = []
    left_out: dict[str, str] = {}
    codes = floats = 0
    for name, kind in kinds.items():
        encoder: Encoder
        reason = None
        if kind == "categorical":
            encoder = vocabulary = categorical.fitted(
                name,
                encoded_name("code", codes, name),
                categories[name],
                limits.min_category_count,
                limits.max_categories,
            )
            reason = _why_not_categorical(categories[name], vocabulary, limits.min_category_count)
            codes += reason is None
        elif kind in ("numeric", "datetime"):
            column = encoded_name("number", floats, name)
            missing = encoded_name("number", floats + 1, name, "missing") if numbers[name].missing else None
            encoder = quantiles = numeric.fitted(name, column, missing, numbers[name])
            reason = _why_not_number(quantiles)
            floats += 0 if reason else 1 + (missing is not None)
        elif kind == "multi":
            encoder = members = multi.fitted(
                name, floats, sets[name], limits.min_category_count, limits.max_multi_values
            )
            reason = None if members.columns else "no value is frequent enough"
            floats += len(members.columns)
        else:
            names = tuple(encoded_name("number", floats + i, name, f"{i:02d}") for i in range(text_columns))
            encoder = SentenceEncoder(name, names, limits.text_model) if limits.text_model else TextEncoder(name, names)
            floats += text_columns
        if reason is None:
            encoders.append(encoder)
        else:
            left_out[name] = reason
    return TableEncoding(dict(kinds), tuple(encoders), left_out)


def encode(df: DataFrame, encoding: TableEncoding) -> DataFrame:
    """`df` with every encoded column; the attributes themselves stay."""
    for encoder in encoding.encoders:
        if isinstance(encoder, CategoricalEncoder):
            df = categorical.encode(df, encoder)
        elif isinstance(encoder, TextEncoder):
            df = text.encode(df, encoder)
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
    """Codes (B, C) and numbers (B, N) -> one column of values per attribute; what cannot be decoded is None."""
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
