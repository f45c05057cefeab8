"""Words of a text: pure functions of a string, with the same result on every executor."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

MAX_CHARACTERS = 20_000
"""Maximum number of characters of a text that are read."""
MAX_WORD = 64
"""Maximum number of characters of a word that are kept."""
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, kana and Han: scripts without blanks between words."""
PICTURES = "\u2600-\u27bf\U0001f000-\U0001faff"
"""Emoji and other pictures: each is a word."""


def words(text: str) -> list[str]:
    """Return the words of a text in order, case-folded, after resolving HTML entities and compatibility forms.

    Scripts without blanks give overlapping pairs of characters (bigrams), as is usual in retrieval.

    >>> words("Caf&eacute; MUG, 350ml")
    ['café', 'mug', '350ml']
    >>> words("東京タワー")
    ['東京', '京タ', 'タワ', 'ワー']
    """
    folded = unicodedata.normalize("NFKC", html.unescape(text[:MAX_CHARACTERS])).casefold()
    found: list[str] = []
    for match in _pattern().finditer(folded):
        word = match.group()
        if match.lastgroup == "unspaced" and len(word) > 1:
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(word[:MAX_WORD])
    return found


def folded(value: str) -> str:
    """Normalize a member of a set: white space at its ends and letter case do not matter.

    >>> folded(" Sci-Fi ")
    'sci-fi'
    """
    return unicodedata.normalize("NFKC", value).casefold().strip()[:MAX_CHARACTERS]


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    """Match a run of an unspaced script, a picture, or letters and digits with their combining marks."""
    letter, marks = rf"[^\W_{UNSPACED}]", _marks()
    word = rf"{letter}(?:{letter}|[{marks}])*"
    return re.compile(rf"(?P<unspaced>[{UNSPACED}]+)|(?P<picture>[{PICTURES}])|(?P<word>{word})")


def _marks() -> str:
    """Return the combining marks (of 16 bits) outside the unspaced scripts, as ranges of a character class."""
    unspaced = re.compile(f"[{UNSPACED}]")
    points = [p for p in range(0x10000)
              if unicodedata.category(chr(p)).startswith("M") and not unspaced.match(chr(p))]  # fmt: skip
    ranges: list[list[int]] = []
    for point in points:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"\\u{low:04x}-\\u{high:04x}" for low, high in ranges)
