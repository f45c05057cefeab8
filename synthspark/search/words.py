"""Tokenizer shared by titles and queries, so that both give the same terms."""

from __future__ import annotations

import html
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache

import Stemmer

from synthspark.features.encoding.words import MAX_CHARACTERS, MAX_WORD, words

UNITS = {
    "ft": "feet foot ft", "in": 'inches inch " ″ ”', "cm": "cm", "mm": "mm", "m": "m meter meters metre metres",
    "km": "km", "kg": "kg kgs", "g": "g gram grams", "mg": "mg", "oz": "oz ounce ounces", "lb": "lb lbs",
    "ml": "ml", "l": "l liter liters litre litres", "gb": "gb", "tb": "tb", "mb": "mb", "kb": "kb", "ghz": "ghz",
    "mhz": "mhz", "hz": "hz", "mah": "mah", "wh": "wh", "w": "w watt watts", "v": "v volt volts", "mp": "mp",
    "p": "p", "k": "k", "ppm": "ppm", "dpi": "dpi",
}  # fmt: skip
"""Unit -> its spellings."""
CANONICAL = {way: unit for unit, ways in UNITS.items() for way in ways.split()}
NUMBER = r"\d+(?:[.,]\d+)*(?:/\d+)?"
MIN_AFFIX = 5
"""Minimum length, in characters, of words whose beginning and end are extra terms of the two-tower network."""
AFFIX = 4
"""Length of these beginnings and ends, in characters."""


def search_terms(text: str | None, language: str | None) -> list[str]:
    """Return the terms of a title or query in order: stemmed words, numbers with unit, model names whole and in parts.

    language: language of the Snowball stemmer, e.g. `english`; None for no stemming.

    >>> search_terms('Oak shelves, 6 ft x 1/2"', "english")
    ['oak', 'shelv', '6ft', 'x', '1/2in']
    >>> search_terms("Sony WH-1000XM4", None)
    ['sony', 'wh1000xm4', 'wh', '1000xm4']
    """
    if text is None:
        return []
    folded = unicodedata.normalize("NFKC", html.unescape(text[:MAX_CHARACTERS])).casefold()
    stem = _stemmer(language)
    found: list[str] = []
    end = 0
    for match in _kept_whole().finditer(folded):
        found += [stem(word) for word in words(folded[end : match.start()])]
        found += _parts(match)
        end = match.end()
    return found + [stem(word) for word in words(folded[end:])]


def hashed_terms(text: str | None, language: str | None, size: int, length: int) -> list[int]:
    """Return the input of the two-tower network for a text: `length` ids from 1 to `size`, padded with 0.

    The ids are hashes of terms, of beginnings and ends of long words (most typing errors are in between), and of pairs
    of neighbouring terms.
    """
    terms = search_terms(text, language)
    ids = [zlib.crc32(name.encode("utf-8", "surrogatepass")) % size + 1 for name in _names(terms)]
    kept = list(dict.fromkeys(ids))[:length]
    return kept + [0] * (length - len(kept))


def _names(terms: list[str]) -> Iterator[str]:
    yield from (f"w:{term}" for term in terms)
    for term in terms:
        if len(term) >= MIN_AFFIX:
            yield f"p:{term[:AFFIX]}"
            yield f"s:{term[-AFFIX:]}"
    yield from (f"b:{a} {b}" for a, b in zip(terms, terms[1:], strict=False))


def _parts(match: re.Match[str]) -> list[str]:
    """Return the terms of a model name or measure."""
    text = match.group()
    if match.lastgroup == "model":
        parts = [part[:MAX_WORD] for part in text.split("-")]
        return [text.replace("-", "")[:MAX_WORD], *parts] if len(parts) > 1 else [text[:MAX_WORD]]
    number = match.group("number").replace(",", ".")
    unit = match.group("unit")
    return [(number + (CANONICAL[unit] if unit else ""))[:MAX_WORD]]


@lru_cache(maxsize=1)
def _kept_whole() -> re.Pattern[str]:
    """Return the pattern of model names (letters and digits joined by hyphens) and numbers with or without a unit."""
    ways = sorted(CANONICAL, key=lambda way: -len(way))
    unit = "|".join(rf"{re.escape(way)}(?![^\W_])" if way.isalpha() else re.escape(way) for way in ways)
    model = r"(?<![^\W_])(?=[a-z0-9-]*[a-z])(?=[a-z0-9-]*\d)[a-z0-9]+(?:-[a-z0-9]+)+(?![^\W_])"
    measure = rf"(?<![^\W_])(?<![.,/])(?P<number>{NUMBER})(?:[ -]?(?P<unit>{unit})|(?![^\W_]))"
    return re.compile(rf"(?P<model>{model})|(?P<measure>{measure})")


@lru_cache(maxsize=8)
def _stemmer(language: str | None) -> Callable[[str], str]:
    """Return a stemmer that changes only words of letters, not numbers or model names."""
    if language is None:
        return lambda word: word
    stemmer = Stemmer.Stemmer(language)

    def stem(word: str) -> str:
        return str(stemmer.stemWord(word)) if word.isalpha() else word

    return stem
