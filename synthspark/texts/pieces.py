"""Texts as rows of pieces, and back: plain functions and data, without Spark.

A piece is a word, a sign or a character of a script without blanks, with the blank before it; of a set, a member. All
attributes of a row that are written stand in one row of pieces, each with a STOP after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synthspark.features.encoding.words import MAX_CHARACTERS, UNSPACED, folded
from synthspark_models.writer import FIRST_PIECE, PADDING, STOP, UNKNOWN

PIECE = re.compile(rf" ?[{UNSPACED}]| ?[^\W_{UNSPACED}]+| ?[^\s]")
BLANKS = re.compile(r"[\s\x00-\x1f\x7f]+")

Pieces = npt.NDArray[np.int64]


def pieces(text: str) -> list[str]:
    """The pieces of a text, which joined give it back with single blanks.

    >>> pieces("Mug,  350ml")
    ['Mug', ',', ' 350ml']
    """
    return PIECE.findall(BLANKS.sub(" ", text[:MAX_CHARACTERS]).strip())


def comparable(value: Any) -> str | None:
    """What two texts, or sets, have in common that are the same but for letter case, blanks and order."""
    if value is None:
        return None
    return BLANKS.sub(" ", folded(value)) if isinstance(value, str) else "\n".join(sorted(map(folded, value)))


def pieces_of(kind: str, value: Any) -> list[str]:
    """The pieces of a text, or the members of a set in order; none of a missing one."""
    if value is None:
        return []
    return pieces(value) if kind == "text" else sorted({m for m in value if m is not None and m.strip()})


@dataclass(frozen=True)
class WrittenText:
    """An attribute that is written."""

    name: str
    kind: str
    """text or multi."""
    vocabulary: tuple[str, ...]
    """Pieces, the most frequent first."""
    length: int
    """Pieces of a row, at most."""


@dataclass(frozen=True)
class TextEncoding:
    """The attributes of a table that are written, in order."""

    texts: tuple[WrittenText, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the columns that hold a row of pieces, a STOP for each attribute included."""
        return [f"piece_{i:03d}" for i in range(sum(t.length + 1 for t in self.texts))]

    @property
    def size(self) -> int:
        """Number of pieces, those with a meaning of their own included."""
        return FIRST_PIECE + sum(len(t.vocabulary) for t in self.texts)

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which pieces each attribute can have, unknown ones among them: (attributes, size)."""
        found = np.zeros((len(self.texts), self.size), np.bool_)
        found[:, [STOP, UNKNOWN]] = True
        for row, (first, text) in enumerate(zip(self._firsts(), self.texts, strict=True)):
            found[row, first : first + len(text.vocabulary)] = True
        return found

    def encoder(self) -> RowEncoder:
        """Rows of values to rows of pieces."""
        known = [{p: first + i for i, p in enumerate(t.vocabulary)}
                 for first, t in zip(self._firsts(), self.texts, strict=True)]  # fmt: skip
        return RowEncoder(self.texts, known)

    def decode(self, rows: Pieces) -> dict[str, list[Any]]:
        """Rows of pieces (B, L) -> values by attribute, None for one without a piece; unknown pieces are nothing."""
        words = [""] * FIRST_PIECE + [piece for text in self.texts for piece in text.vocabulary]
        decoded: dict[str, list[Any]] = {text.name: [] for text in self.texts}
        for row in rows:
            parts = _parts(row.tolist())
            for place, text in enumerate(self.texts):
                found = [words[i] for i in parts[place]] if place < len(parts) else []
                value = "".join(found).strip() if text.kind == "text" else sorted(set(found))
                decoded[text.name].append(value or None)
        return decoded

    def unknown(self, rows: Pieces) -> dict[str, list[int]]:
        """By attribute how many unknown pieces each of the rows (B, L) has: its value is without them."""
        place = np.minimum(np.cumsum(rows == STOP, axis=1) - (rows == STOP), len(self.texts))
        return {text.name: ((rows == UNKNOWN) & (place == i)).sum(axis=1).tolist() for i, text in enumerate(self.texts)}

    def to_json(self) -> dict[str, Any]:
        """Plain data: no piece that only few rows have."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TextEncoding:
        """The inverse of `to_json`."""
        texts = json.loads(json.dumps(data["texts"]))
        return cls(tuple(WrittenText(**t | {"vocabulary": tuple(t["vocabulary"])}) for t in texts))

    def _firsts(self) -> list[int]:
        sizes = np.cumsum([FIRST_PIECE, *(len(t.vocabulary) for t in self.texts)])
        return [int(s) for s in sizes[:-1]]


@dataclass(frozen=True)
class RowEncoder:
    """What turns the values of a row into its pieces."""

    texts: Sequence[WrittenText]
    known: Sequence[Mapping[str, int]]

    def __call__(self, values: Iterable[Any]) -> list[int]:
        """The pieces of a row whose attributes have these values, PADDING in the rest; what is too long is cut."""
        row: list[int] = []
        for text, known, value in zip(self.texts, self.known, values, strict=True):
            row += [known.get(p, UNKNOWN) for p in pieces_of(text.kind, value)[: text.length]]
            row.append(STOP)
        return row + [PADDING] * (sum(t.length + 1 for t in self.texts) - len(row))


def _parts(row: Sequence[int]) -> list[list[int]]:
    """What stands before each STOP, and after the last one."""
    parts: list[list[int]] = [[]]
    for piece in row:
        if piece == STOP:
            parts.append([])
        elif piece >= FIRST_PIECE:
            parts[-1].append(piece)
    return parts
