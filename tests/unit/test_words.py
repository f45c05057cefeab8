"""Words of texts of any script, length and dirt."""

from __future__ import annotations

import doctest

import pytest

from synthspark.features.encoding import words as module
from synthspark.features.encoding.bag import tokens_of
from synthspark.features.encoding.words import MAX_CHARACTERS, MAX_WORD, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n", []),
        ("!?-_", []),
        ("A", ["a"]),
        ("BIG_bag", ["big", "bag"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ﬁne ①", ["fine", "1"]),
        ("cafe\u0301", ["café"]),
        ("T&amp;C &#8364;5 &lt;b&gt;", ["t", "c", "5", "b"]),
        ("nul\x00l\x1b[0m", ["nul", "l", "0m"]),
        ("🎁🎁 gift", ["🎁", "🎁", "gift"]),
        ("हिन्दी शब्द", ["हिन्दी", "शब्द"]),
        ("茶", ["茶"]),
        ("緑茶 50g入り", ["緑茶", "50g", "入り"]),
        ("naïve", ["naïve"]),
        ("\ud800", []),
    ],
)  # fmt: skip
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_long_texts_and_words_are_cut() -> None:
    assert words("a" * 100_000) == ["a" * MAX_WORD]
    assert len(words("ab " * 50_000)) == -(-MAX_CHARACTERS // 3)


def test_members_of_a_set_are_whole() -> None:
    assert tokens_of("multi", ["Sci-Fi ", "", " ", "SCI-FI", "Ⅳ"]) == ["sci-fi", "sci-fi", "iv"]
    assert tokens_of("multi", None) == tokens_of("text", None) == []


def test_the_examples() -> None:
    assert doctest.testmod(module).failed == 0
