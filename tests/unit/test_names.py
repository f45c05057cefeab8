from __future__ import annotations

import pytest

from synthspark import schemas
from synthspark.config import parse
from synthspark.errors import ConfigError
from synthspark.names import RESERVED, distinct_names, free_name, require_names


def test_every_column_that_synthetic_tables_add_is_reserved() -> None:
    assert {*schemas.SYNTHETIC.names, "run_id"} <= RESERVED


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["weight"], "'weight' is a column that the job itself adds; rename it: .*{own_weight: \"weight\"}"),
        (["Origin"], "{own_Origin: "),
        (["_filtered"], "begins with an underscore.*{filtered: "),
        (["brand", "Brand"], "'Brand' and 'brand' differ by letter case only.*{Brand_2: "),
        (["code_001_x"], "{own_code_001_x: "),
        ([" "], "a name is blank"),
    ],
)
def test_names_that_later_tables_have_are_refused_with_the_rename(names: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        require_names(names, "source.items")


def test_a_free_name_is_one_that_can_be_taken() -> None:
    for name in ("weight", "_x", " a ", "Brand", "code_001", "", "größe", "code_postal"):
        require_names(["brand", free_name(name, ["brand"])], "source.items")
    assert free_name("code_postal") == "code_postal" and free_name("größe") == "größe"


def minimal(**items: object) -> dict[str, object]:
    events = {"path": "e", "columns": {"user_id": "u", "item_id": 7}, "event_type": "view"}
    return {"source": {"events": events, "items": {"path": "i", "columns": {"item_id": "x"}, **items}}}


def test_the_configuration_takes_numbers_for_names_and_words_for_nothing() -> None:
    config = parse(
        {**minimal(null_values=[None, float("nan"), 0, "-"], explode="lines"), "events": {"weights": {1: 2}}}
    )
    assert config.events.weights == {"1": 2} and config.source.events.columns["item_id"] == "7"
    assert config.source.items is not None
    assert config.source.items.null_values == ["null", "nan", "0", "-"] and config.source.items.explode == ["lines"]


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ({"attributes": {"seed": "numeric"}}, "'seed' is a column that the job itself adds"),
        ({"attributes": {"a": "numeric"}, "bounds": {"b": {"min": 1}}}, "source.items.bounds: 'b' is not known there"),
        ({"separators": {"tags": ","}}, "source.items.separators: 'tags' is not known there"),
        ({"min_known_ids": 2}, "min_known_ids"),
    ],
)
def test_the_configuration_refuses_in_one_line(items: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        parse(minimal(**items))
    assert "\n" not in str(raised.value)


def test_names_that_differ_by_letter_case_are_numbered_whatever_their_order() -> None:
    assert distinct_names(["size", "a", "Size"]) == ["size_2", "a", "Size"]
    assert distinct_names(["Size", "size", "a"]) == ["Size", "size_2", "a"]
