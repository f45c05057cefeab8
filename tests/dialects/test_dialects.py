"""Tables that nobody has seen before: they are read right, or refused in one line, and never wrong in silence."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.dialects import identities, times
from tests.dialects.compare import compare
from tests.dialects.drawing import draw
from tests.dialects.outcome import Outcome, outcome_of, read_shop
from tests.dialects.tables import build
from tests.dialects.writers import write

SEEDS = range(1000, 1012)
PLAIN = 30
"""A seed that is easily read."""
RIGHT = 0.85
"""Share of the dialects that can be read which must be read right."""


@pytest.fixture(scope="module")
def outcomes() -> dict[int, Outcome]:
    return {}


@pytest.mark.spark
@pytest.mark.parametrize("seed", SEEDS)
def test_a_dialect_is_read_right_or_refused(
    seed: int, spark: SparkSession, tmp_path: Path, outcomes: dict[int, Outcome]
) -> None:
    found = outcome_of(spark, seed, tmp_path)
    outcomes[seed] = found
    assert found.outcome in ("right", "refused"), f"{draw(seed).describe()}\n{found.stage}: {found.details}"


@pytest.mark.spark
def test_most_dialects_are_read_right(outcomes: dict[int, Outcome]) -> None:
    possible = [o for o in outcomes.values() if o.impossible is None]
    if len(possible) < len(SEEDS) // 2:
        pytest.skip("only some of the seeds were asked for")
    refused = [f"{o.seed}: {o.outcome} by {o.stage}: {'; '.join(o.details)}" for o in possible if not o.good]
    assert 1 - len(refused) / len(possible) >= RIGHT, "\n".join(refused)


@pytest.mark.spark
def test_the_comparison_sees_one_wrong_value(spark: SparkSession, tmp_path: Path) -> None:
    dialect = draw(PLAIN)
    context, truth, text = read_shop(spark, dialect, tmp_path, [])
    assert compare(context, dialect, truth, text).wrong == []
    first, *others = truth.events
    assert first.ts is not None
    item = next(iter(truth.entities["items"]))
    entities = {"items": {**truth.entities["items"], item: {**truth.entities["items"][item], "title": "another"}}}
    for wrong in (
        replace(truth, events=[first._replace(ts=first.ts + 1_000_000), *others]),
        replace(truth, events=[first._replace(item_id="0"), *others]),
        replace(truth, events=others),
        replace(truth, events=[first._replace(event_type="another"), *others]),
        replace(truth, entities=entities),
        replace(truth, rejects={**truth.rejects, "events": truth.rejects["events"] + 1}),
    ):
        assert len(compare(context, dialect, wrong, text).wrong) >= 1


def digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(str(p.relative_to(folder)).encode() + p.read_bytes() for p in files)).hexdigest()


@pytest.mark.parametrize("seed", range(40))
def test_a_seed_always_writes_the_same_bytes(seed: int, tmp_path: Path) -> None:
    found = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        for table in build(draw(seed))[0]:
            write(draw(seed), table, folder)
        found.append(digest(folder))
    assert found[0] == found[1]


@pytest.mark.parametrize("seed", range(40))
def test_the_truth_is_what_it_says(seed: int) -> None:
    dialect = draw(seed)
    tables, expected = build(dialect)
    events = tables[0]
    written = sum(len(row["lines"]) if events.lines else 1 for row in events.rows)
    assert written == len(expected.events) + expected.rejects["events"]
    assert len(tables[1].rows) == len(expected.entities["items"]) + expected.rejects["items"]
    assert {e.item_id for e in expected.events} == set(expected.entities["items"])
    assert not {e.item_id for e in expected.events} & {e.user_id for e in expected.events}
    if dialect.users is not None:
        assert {e.user_id for e in expected.events} <= set(expected.entities["users"])
    assert max(Counter((e.user_id, e.item_id, e.event_type, e.ts) for e in expected.events).values()) == 1 or (
        dialect.times == "none"
    )


def test_seeds_cover_what_they_are_drawn_from() -> None:
    seen = Counter(pair for seed in range(1000) for pair in draw(seed).values().items())
    assert not {pair: n for pair, n in seen.items() if n < 2 and not pair[0].startswith("users.")}
    assert {value for name, value in seen if name == "times"} == {*times.STYLES, "none"}
    assert {value for name, value in seen if name == "item_ids"} == set(identities.STYLES)
    assert all(draw(seed).describe().count("\n") == 0 for seed in range(50))
