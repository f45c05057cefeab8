"""A first verdict on a sample of users: the same ones in every table, marked wherever the verdict is read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import synthspark as ss
from synthspark.clean import ColumnSource, user_sample
from synthspark.config import parse
from synthspark.errors import ConfigError, LakeError, SourceError
from synthspark.runs.context import Context
from synthspark.runs.current import promote
from synthspark.runs.lake import Lake
from synthspark.stages.plan import plan

pytestmark = pytest.mark.spark

USERS = 400


def rows() -> list[tuple[int | None, str]]:
    rng = np.random.default_rng(0)
    return [(u, f"i{i}") for u in range(USERS) for i in rng.choice(20, 8, replace=False)] + [(None, "i1")] * 3


def test_the_same_users_are_drawn_whatever_the_type_of_their_ids(spark: SparkSession) -> None:
    events = spark.createDataFrame(rows(), "`the user` int, item string")
    source = ColumnSource("the user")
    sample = user_sample(events, source, "source.events", None, 100, seed=0)
    assert sample is not None and abs(sample.users - USERS) < 0.1 * USERS
    drawn = sample.of(events, source, "source.events")
    ids = {row["the user"] for row in drawn.select("the user").distinct().collect()}
    assert None in ids and 60 < len(ids) < 140
    assert drawn.where(F.col("the user").isNotNull()).count() == 8 * (len(ids) - 1), "users keep all their events"
    texts = pd.DataFrame({"who": [f" {u}.0" for u in range(USERS)]})
    users = sample.of(spark.createDataFrame(texts), ColumnSource("who"), "source.users")
    assert {int(float(row["who"])) for row in users.collect()} == ids - {None}
    assert user_sample(events, source, "source.events", None, 2 * USERS, seed=0) is None
    other = user_sample(events, source, "source.events", None, 100, seed=1)
    assert other is not None
    assert {r["the user"] for r in other.of(events, source, "source.events").collect()} != ids
    with pytest.raises(SourceError, match="'user_id' is array<int>"):
        user_sample(events.select(F.array("the user").alias("u")), ColumnSource("u"), "source.events", None, 100, 0)


def settings(folder: Path) -> dict[str, Any]:
    return {
        "lake": {"root": str(folder / "lake")},
        "source": {
            "events": {"path": str(folder / "events.parquet"), "event_type": "purchase",
                       "columns": {"user_id": "user", "item_id": "item"}},
            "users": {"path": str(folder / "users.parquet"), "columns": {"user_id": "user"},
                      "attributes": {"town": "categorical"}},
        },
        "features": {"factor_rank": 2, "positives": 2},
        "recommend": {"rank": 2, "k": 3, "iterations": 1},
        "evaluate": {"ks": [3], "bootstrap": 100, "seeds": [0, 1, 2]},
    }  # fmt: skip


@pytest.mark.slow
def test_a_quick_look_ends_with_a_verdict_that_says_so(spark: SparkSession, tmp_path: Path) -> None:
    pd.DataFrame([r for r in rows() if r[0] is not None], columns=["user", "item"]).to_parquet(
        tmp_path / "events.parquet"
    )
    towns = [(u, ["A", "B"][u % 2]) for u in range(USERS + 50)]
    pd.DataFrame(towns, columns=["user", "town"]).to_parquet(tmp_path / "users.parquet")
    config = parse(settings(tmp_path))
    sampled = parse({**settings(tmp_path), "source": {**settings(tmp_path)["source"], "max_users": 100}})
    lines = list(plan(Context(spark, Lake(spark, sampled.lake.root), sampled, "planned")))
    assert any(re.match(r"a sample of about 100 of \d+ users .* about 2\d% of the events", line) for line in lines)
    run = ss.run(config, "look", quick=True, overrides=["source.max_users=100"])
    assert run.stages == ["clean", "featurize", "evaluate"]
    drawn = {row["user_id"] for row in run.clean.users.collect()}
    bought = {row["user_id"] for row in run.clean.events.collect()}
    assert bought < drawn and 60 < len(bought) < 140, "users without events are drawn, too"
    verdict, metrics = run.verdict, run.metrics
    assert verdict is not None and verdict["why"].startswith("a sample of about 100 of ")
    assert metrics["sample"]["users"] == 100 and {row["seed"] for row in metrics["protocols"]} == {0}
    page = run.report().page
    assert "By a sample of about 100 of" in page and "a run on all users decides" in page
    lake = ss.open(config).lake
    for stage in ("train", "synthesize", "recommend"):  # as if somebody had gone on with it
        lake.write_text(lake.record_path("look", stage), json.dumps({"stage": stage, "published": [], "rows": {}}))
    with pytest.raises(LakeError, match="its tables are of a sample of the users"):
        promote(lake, "look")
    with pytest.raises(ConfigError, match="source.max_users reads a sample of users only"):
        ss.apply(config, "look", "next", overrides=["source.max_users=100"])
