from __future__ import annotations

import pytest

from synthspark.clean.queries import normalised
from synthspark.search.words import hashed_terms, search_terms
from synthspark.search.writing import written_words


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ('Oak shelves, 6 ft x 1/2"', ["oak", "shelv", "6ft", "x", "1/2in"]),
        ("6ft", ["6ft"]),
        ("Sony WH-1000XM4", ["soni", "wh1000xm4", "wh", "1000xm4"]),
        ("2.4GHz, 16 GB, 3,5mm", ["2.4ghz", "16gb", "3.5mm"]),
        ("5 in 1", ["5", "in", "1"]),
        ("dvi-d cable", ["dvi", "d", "cabl"]),
        ("東京タワー 2m", ["東京", "京タ", "タワ", "ワー", "2m"]),
        ("black &amp; white", ["black", "white"]),
        ("😀", ["😀"]),
        ("   \u200b\t ", []),
        ("'; DROP TABLE x; --", ["drop", "tabl", "x"]),
        ("<b>mug</b>", ["b", "mug", "b"]),
        ("كتاب جديد", ["كتاب", "جديد"]),
        (None, []),
    ],
)
def test_terms_of_titles_and_queries(text: str | None, terms: list[str]) -> None:
    assert search_terms(text, "english") == terms


def test_what_is_typed_and_what_is_listed_give_the_same_terms() -> None:
    for typed, listed in (
        ("6 ft", "6ft"),
        ("10 inch", '10"'),
        ("2 litres", "2l"),
        ("CABLES", "cable"),
        ("500 Watt", "500w"),
    ):
        assert search_terms(typed, "english") == search_terms(listed, "english")
    assert search_terms("cables", None) == ["cables"]


@pytest.mark.parametrize("text", ["x" * 10_000, "a " * 10_000, "1-" * 5000, "1/" * 5000, "é" * 10_000])
def test_long_texts_end(text: str) -> None:
    assert all(len(term) <= 64 for term in search_terms(text, "english"))


def test_queries_differ_by_what_was_meant_only() -> None:
    assert normalised("  USB\u00a0C\tCable ") == normalised("usb c cable") == "usb c cable"
    assert normalised("ＵＳＢ") == "usb" and normalised("c++") != normalised("c")
    assert normalised(" \x00\u200b ") is None and normalised(None) is None


def test_hashed_terms_are_padded_and_cut() -> None:
    assert hashed_terms("", "english", 100, 4) == [0, 0, 0, 0]
    ids = hashed_terms("red kettle", "english", 1000, 8)
    assert len(ids) == 8 and all(0 < i <= 1000 for i in ids[:5]) and ids[5:] == [0, 0, 0]
    assert len(hashed_terms("a b c d e f g", None, 1000, 3)) == 3
    assert set(hashed_terms("kettel", None, 1 << 20, 4)) & set(hashed_terms("kettle", None, 1 << 20, 4)) - {0}


def test_words_are_written_as_they_are_typed() -> None:
    assert written_words('Oak  Shelves, 6" (white)') == ["oak", "shelves", "6", "white"]
    assert written_words(None) == [] and written_words("... -") == []
