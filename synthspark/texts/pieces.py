"""Convert texts to rows of pieces and back: plain functions and data, without Spark.

A piece of a text is a word, a punctuation mark or a character of a script without blanks, including a preceding blank;
a piece of a set is a member. A row of pieces contains all written attributes of a row, each followed by a STOP.
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
    """Split a text into pieces; joining them restores the text with single blanks.

    >>> pieces("Mug,  350ml")
    ['Mug', ',', ' 350ml']
    """
    return PIECE.findall(BLANKS.sub(" ", text[:MAX_CHARACTERS]).strip())


def comparable(value: Any) -> str | None:
    """Normalise a text (letter case, blanks) or set (letter case, order), so that equal values compare equal."""
    if value is None:
        return None
    return BLANKS.sub(" ", folded(value)) if isinstance(value, str) else "\n".join(sorted(map(folded, value)))


def pieces_of(kind: str, value: Any) -> list[str]:
    """Return the pieces of a text or the sorted members of a set; an empty list for a missing value."""
    if value is None:
        return []
    return pieces(value) if kind == "text" else sorted({m for m in value if m is not None and m.strip()})


@dataclass(frozen=True)
class WrittenText:
    """A text or set attribute with its vocabulary."""

    name: str
    kind: str
    """text or multi."""
    vocabulary: tuple[str, ...]
    """Pieces, the most frequent first."""
    length: int
    """Maximum number of pieces per row."""


@dataclass(frozen=True)
class TextEncoding:
    """The text and set attributes of a table, in order."""

    texts: tuple[WrittenText, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the columns of a row of pieces, including one STOP per attribute."""
        return [f"piece_{i:03d}" for i in range(sum(t.length + 1 for t in self.texts))]

    @property
    def size(self) -> int:
        """Number of piece ids, including the special ones."""
        return FIRST_PIECE + sum(len(t.vocabulary) for t in self.texts)

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Return a mask of the pieces that each attribute can have, STOP and UNKNOWN included: (attributes, size)."""
        found = np.zeros((len(self.texts), self.size), np.bool_)
        found[:, [STOP, UNKNOWN]] = True
        for row, (first, text) in enumerate(zip(self._firsts(), self.texts, strict=True)):
            found[row, first : first + len(text.vocabulary)] = True
        return found

    def encoder(self) -> RowEncoder:
        """Return the encoder from rows of values to rows of pieces."""
        known = [{p: first + i for i, p in enumerate(t.vocabulary)}
                 for first, t in zip(self._firsts(), self.texts, strict=True)]  # fmt: skip
        return RowEncoder(self.texts, known)

    def decode(self, rows: Pieces) -> dict[str, list[Any]]:
        """Decode rows of pieces (B, L) to attribute -> values; None for no piece. Unknown pieces are skipped."""
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
        """Count the unknown pieces of each row (B, L) per attribute; `decode` skips them."""
        place = np.minimum(np.cumsum(rows == STOP, axis=1) - (rows == STOP), len(self.texts))
        return {text.name: ((rows == UNKNOWN) & (place == i)).sum(axis=1).tolist() for i, text in enumerate(self.texts)}

    def to_json(self) -> dict[str, Any]:
        """Return the encoding as plain data; rare pieces are not part of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TextEncoding:
        """Create the encoding from the result of `to_json`."""
        texts = json.loads(json.dumps(data["texts"]))
        return cls(tuple(WrittenText(**t | {"vocabulary": tuple(t["vocabulary"])}) for t in texts))

    def _firsts(self) -> list[int]:
        sizes = np.cumsum([FIRST_PIECE, *(len(t.vocabulary) for t in self.texts)])
        return [int(s) for s in sizes[:-1]]


@dataclass(frozen=True)
class RowEncoder:
    """Encoder from the values of a row to its pieces."""

    texts: Sequence[WrittenText]
    known: Sequence[Mapping[str, int]]

    def __call__(self, values: Iterable[Any]) -> list[int]:
        """Return the piece ids of a row with these attribute values, padded with PADDING; long values are truncated."""
        row: list[int] = []
        for text, known, value in zip(self.texts, self.known, values, strict=True):
            row += [known.get(p, UNKNOWN) for p in pieces_of(text.kind, value)[: text.length]]
            row.append(STOP)
        return row + [PADDING] * (sum(t.length + 1 for t in self.texts) - len(row))


def _parts(row: Sequence[int]) -> list[list[int]]:
    """Split a row of pieces at each STOP."""
    parts: list[list[int]] = [[]]
    for piece in row:
        if piece == STOP:
            parts.append([])
        elif piece >= FIRST_PIECE:
            parts[-1].append(piece)
    return parts
