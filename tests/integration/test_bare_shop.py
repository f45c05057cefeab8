"""A shop that lacks nearly everything: ten items, no times, nothing known of users, one item that everybody buys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synthspark.config import parse
from synthspark.errors import ContractError
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.runs.tables import Table
from synthspark.stages.run import run_stage

pytestmark = [pytest.mark.spark, pytest.mark.slow]

USERS = 40


def write_shop(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [(f"ü{u}", "every", "buy") for u in range(USERS)]
    rows += [(f"ü{u}", f"i{i}", "buy") for u in range(USERS) for i in rng.choice(8, 4, replace=False)]
    rows += [("only looks", "i1", "stare")]
    pd.DataFrame(rows, columns=["who", "what", "how"]).to_parquet(folder / "events.parquet")
    # Nothing is known of i0; "new" has a colour that nobody has seen, and no sale.
    items = [("every", "red"), *[(f"i{i}", ["red", "blue"][i % 2] if i else None) for i in range(8)], ("new", "mauve")]
    pd.DataFrame(items, columns=["what", "colour"]).to_parquet(folder / "items.parquet")


def settings(folder: Path) -> dict[str, Any]:
    small = {"epochs": 2, "batch_size": 8, "hyper": {"hidden": 8, "noise_dim": 2}}
    return {
        "lake": {"root": str(folder / "lake")},
        "source": {
            "events": {
                "path": str(folder / "events.parquet"),
                "columns": {"user_id": "who", "item_id": "what", "event_type": "how"},
            },
            "items": {
                "path": str(folder / "items.parquet"),
                "columns": {"item_id": "what"},
                "attributes": {"colour": "categorical"},
            },
        },
        "events": {"weights": {"buy": 1}},
        "features": {"factor_rank": 3, "positives": 2, "min_item_users": 3, "min_user_items": 2,
                     "min_category_count": 2},
        "train": {"device": "cpu", "profile_items": {**small, "network": "gan"}, "behaviour_items": small,
                  "behaviour_users": small},
        "synthesize": {"users": 5, "items": 5},
        "recommend": {"rank": 3, "k": 3, "iterations": 2},
        "evaluate": {"profiles": False, "ks": [3], "bootstrap": 100, "protocols": ["cold_user", "time"],
                     "events_left": [0, 1], "als_seeds": 1, "references": False,
                     "arms": ["real", "real+synthetic"]},
    }  # fmt: skip


def test_the_job_does_without_and_says_so(spark: SparkSession, tmp_path: Path) -> None:
    write_shop(tmp_path)
    config = parse(settings(tmp_path))
    context = Context(spark, Lake(spark, config.lake.root), config, "bare")
    reports = {s: run_stage(context, s) for s in ("clean", "featurize", "train", "synthesize", "recommend", "evaluate")}
    assert reports["clean"].tables["events"]["rejected: unknown_event_type"] == 1
    notes = " ".join(" ".join(r.notes) for r in reports.values())
    assert "judge_items is not trained: its fold of the warm items is too small" in notes
    assert "profile_users is not trained: users have no attribute to learn from" in notes
    assert "users have no declared attributes, so that nothing is known of a user without events" in notes
    assert "protocol time: events have no timestamps; not judged" in notes
    # The new item has an event although nobody knows its colour, and no user has a list with nothing in it.
    events = context.read(Table("synthetic/events"))
    assert events.where("origin = 'cold_item' and item_id = 'new'").count() >= 1
    assert events.where(F.col("ts").isNotNull()).count() == 0
    lists = context.read(Table("recommendations")).groupBy("user_id").count()
    assert lists.count() >= USERS
    assert {p["protocol"] for p in reports["evaluate"].details["protocols"]} == {"cold_user+1"}
    with pytest.raises(ContractError, match="cold_item split: (no (cold|warm) item|slice 'cold' is empty)"):
        few = settings(tmp_path)
        few["evaluate"] |= {"protocols": ["cold_item"], "cold_fraction": 0.001}
        run_stage(Context(spark, context.lake, parse(few), "bare"), "evaluate")


def test_items_without_attributes_are_judged_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    """Nothing can be learned for cold items: no virtual events, and the product's figures are those of real rows."""
    write_shop(tmp_path)
    words = settings(tmp_path)
    del words["source"]["items"]
    words["evaluate"] |= {"protocols": ["cold_item"], "cold_fraction": 0.5}
    context = Context(spark, Lake(spark, words["lake"]["root"]), parse(words), "bare")
    reports = {stage: run_stage(context, stage) for stage in ("clean", "featurize", "evaluate")}
    assert "items have no attribute to learn from" in " ".join(reports["featurize"].notes)
    figures = {(r["arm"], r["slice"], r["metric"]): r["value"] for r in reports["evaluate"].details["protocols"]}
    assert {arm for arm, _, _ in figures} == {"real", "real+synthetic", "popular"}
    for (arm, part, metric), value in figures.items():
        assert arm != "real" or figures["real+synthetic", part, metric] == value, (part, metric)
    assert not reports["evaluate"].details["verdict"]["ship"]
