"""Texts and sets taken apart and put together."""

from __future__ import annotations

import doctest
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthspark.texts import TextEncoding, WrittenText
from synthspark.texts import pieces as module
from synthspark.texts.pieces import comparable, pieces
from synthspark_models.writer import PADDING, STOP, UNKNOWN

TITLE = WrittenText("title", "text", ("red", " mug", " red", ","), 4)
TAGS = WrittenText("tags", "multi", ("gift", "red"), 3)
ENCODING = TextEncoding((TITLE, TAGS))


@given(st.text())
def test_pieces_joined_are_the_text_but_for_its_blanks(text: str) -> None:
    assert "".join(pieces(text)) == module.BLANKS.sub(" ", text).strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("RED  MUG", ["RED", " MUG"]), ("3.5\t%", ["3", ".", "5", " %"]), ("お茶 x", ["お", "茶", " x"]), (" ", [])],
)
def test_pieces_of_a_text(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


def test_rows_go_through_and_come_back() -> None:
    assert TextEncoding.from_json(json.loads(json.dumps(ENCODING.to_json()))) == ENCODING
    assert ENCODING.size == 3 + 4 + 2 and len(ENCODING.columns) == 5 + 4
    rows = [("red mug", ["red", "gift"]), (None, None), ("red, blue red", []), ("red mug mug mug mug", ["unheard"])]
    encoded = np.array([ENCODING.encoder()(row) for row in rows])
    assert encoded[0].tolist() == [3, 4, STOP, 7, 8, STOP, PADDING, PADDING, PADDING]
    assert encoded[1].tolist() == [STOP, STOP, *[PADDING] * 7]
    assert encoded[2].tolist() == [3, 6, UNKNOWN, 5, STOP, STOP, *[PADDING] * 3]
    assert encoded[3].tolist() == [3, 4, 4, 4, STOP, UNKNOWN, STOP, PADDING, PADDING]
    assert ENCODING.unknown(encoded) == {"title": [0, 0, 1, 0], "tags": [0, 0, 0, 1]}
    assert ENCODING.decode(encoded) == {
        "title": ["red mug", None, "red, red", "red mug mug mug"],
        "tags": [["gift", "red"], None, None, None],
    }


def test_a_row_that_was_cut_has_none_of_what_follows() -> None:
    cut = np.array([[3, 4, 4, 4, 4, 4, 4, 4, 4]])
    assert ENCODING.decode(cut) == {"title": ["red mug mug mug mug mug mug mug mug"], "tags": [None]}


def test_each_attribute_has_pieces_of_its_own() -> None:
    allowed = ENCODING.allowed()
    assert [np.flatnonzero(row).tolist() for row in allowed] == [[STOP, UNKNOWN, 3, 4, 5, 6], [STOP, UNKNOWN, 7, 8]]


def test_what_counts_as_the_same() -> None:
    assert comparable("Red  Mug ") == comparable("red mug")
    assert comparable(["b", "A"]) == comparable(["a", "B"]) != comparable(["a"])
    assert comparable(None) is None


def test_the_examples() -> None:
    assert doctest.testmod(module).failed == 0
