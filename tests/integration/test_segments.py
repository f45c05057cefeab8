"""What new entities do, against the real ones of the segment that was asked for."""

from __future__ import annotations

from datetime import datetime

import pytest
from pyspark.sql import DataFrame, SparkSession

from synthspark.likeness.segments import meets, segment_likeness
from synthspark.profiles.conditions import parse

pytestmark = pytest.mark.spark
KINDS = {"town": "categorical", "age": "numeric", "since": "datetime", "tags": "multi"}


@pytest.fixture
def people(spark: SparkSession) -> DataFrame:
    rows = [
        ("a", "north", 30.0, datetime(2020, 1, 1), ["x", "y"]),
        ("b", "south", 40.0, datetime(2021, 1, 1), ["x"]),
        ("c", None, None, None, None),
    ]
    return spark.createDataFrame(rows, "user_id string, town string, age double, since timestamp, tags array<string>")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], "abc"),
        (["town=north"], "a"),
        (["town!=north"], "bc"),
        (["town="], "c"),
        (["town!="], "ab"),
        (["age>=30", "age<40"], "a"),
        (["age>30"], "b"),
        (["since<2020-06-01"], "a"),
        (["tags=y"], "a"),
        (["tags!=y"], "bc"),
        (["town=nowhere"], ""),
    ],
)
def test_a_segment_are_the_rows_that_meet_all_conditions(
    people: DataFrame, conditions: list[str], expected: str
) -> None:
    found = people.where(meets([parse(c) for c in conditions], KINDS))
    assert "".join(sorted(row["user_id"] for row in found.collect())) == expected


def test_new_users_of_a_segment_are_held_against_it_and_not_against_everybody(spark: SparkSession) -> None:
    """The north buys tea, the south coffee; new users of the north buy tea, each twice as much."""
    items = spark.createDataFrame(
        [(f"t{i}", "tea", ["hot"]) for i in range(4)]
        + [(f"c{i}", "coffee", ["hot", "strong"]) for i in range(4)]
        + [("unknown", None, None), ("empty", None, [None])],
        "item_id string, kind string, tags array<string>",
    )
    north = [(f"n{u}", f"t{i}") for u in range(10) for i in range(2)]
    south = [(f"s{u}", f"c{i}") for u in range(30) for i in range(3)]
    real = spark.createDataFrame(north + south, "user_id string, item_id string")
    segment = spark.createDataFrame([(f"n{u}",) for u in range(10)], "user_id string")

    def judged(new: list[tuple[str, str]], attributes: DataFrame = items) -> dict[str, float | None]:
        made = spark.createDataFrame(new, real.schema)
        found = segment_likeness(made, real, segment, "user_id", "item_id", attributes)
        assert found is not None
        return found.figures()

    tea = judged([(f"new{u}", f"t{i}") for u in range(5) for i in range(4)])
    assert (tea["entities"], tea["real_entities"], tea["events_each"], tea["real_events_each"]) == (5, 10, 4.0, 2.0)
    assert tea["like_segment"] == 1.0 and tea["activity"] == 0.0
    assert tea["like_segment by kind"] == tea["like_segment by tags"] == 1.0
    # Of all 110 real events 20 are tea; of their 200 values of tags 110 are hot.
    assert tea["everybody_like_segment"] == pytest.approx((20 / 110 + 110 / 200) / 2)
    coffee = judged([(f"new{u}", f"c{i}") for u in range(5) for i in range(2)])
    assert coffee["like_segment by kind"] == 0.0 and coffee["activity"] == 1.0
    odd = judged([("new", "t0"), ("new", "unknown"), ("new", "empty")])
    assert odd["like_segment by kind"] == pytest.approx(1 / 3)  # a missing value is a value of its own
    assert odd["like_segment by tags"] == 0.5  # so is a missing member, and a missing set has none
    bare = judged([("new", "t0")], items.select("item_id"))
    assert bare["like_segment"] is None and bare["events_each"] == 1.0
    everybody = segment_likeness(real, real, None, "user_id", "item_id", items)
    assert everybody is not None and everybody.like_segment == 1.0 and everybody.everybody_like_segment is None
    nobody = spark.createDataFrame([], "user_id string")
    assert segment_likeness(real.limit(0), real, segment, "user_id", "item_id", items) is None
    assert segment_likeness(real, real, nobody, "user_id", "item_id", items) is None
