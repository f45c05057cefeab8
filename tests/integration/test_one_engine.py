"""What is proven is what ships: from a split's training rows the job makes the events that the proof places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from synthspark.coldstart import tuning
from synthspark.coldstart.evidence import of_split
from synthspark.coldstart.learn import learn
from synthspark.config import parse
from synthspark.proof.arms import Judged
from synthspark.proof.protocols import PROTOCOLS
from synthspark.recommend import AlsSettings, Factors, fit_als
from synthspark.runs.context import Context, StageReport
from synthspark.runs.lake import Lake
from synthspark.runs.tables import EVENTS, SYNTHETIC_EVENTS, clean, features
from synthspark.sides import SIDES
from synthspark.stages.run import run_stage

pytestmark = [pytest.mark.spark, pytest.mark.slow]

PEOPLE, THINGS, KINDS, BOUGHT = 48, 60, 3, 14


def write_shop(folder: Path) -> None:
    """Everybody is declared, and bought things of his own kind; enough that no one is left without in training."""
    rng = np.random.default_rng(1)
    rows = []
    for user in range(PEOPLE):
        mine = [i for i in range(THINGS) if i % KINDS == user % KINDS]
        for item in rng.choice(mine, BOUGHT, replace=False):
            rows.append((f"u{user}", f"i{item}", f"2024-0{1 + item % 5}-1{user % 9} 1{item % 9}:00:00", 1 + item % 3))
    kinds = ["north", "east", "south"]
    tables = {
        "events": pd.DataFrame(rows, columns=["user_id", "item_id", "ts", "value"]),
        "items": pd.DataFrame([(f"i{i}", kinds[i % KINDS], 1.5 + i) for i in range(THINGS)],
                              columns=["item_id", "kind", "size"]),
        "users": pd.DataFrame([(f"u{i}", kinds[i % KINDS], 20 + i) for i in range(PEOPLE)],
                              columns=["user_id", "taste", "age"]),
    }  # fmt: skip
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")


def context_of(spark: SparkSession, folder: Path, run: str) -> Context:
    small = {"hyper": {"hidden": 16, "noise_dim": 4, "negatives": 32}}
    words: dict[str, Any] = {
        "lake": {"root": str(folder / "lake")},
        "source": {
            "events": {
                "path": str(folder / "events.parquet"),
                "columns": {k: k for k in ("user_id", "item_id", "ts", "value")},
                "event_type": "purchase",
            },
            "items": {
                "path": str(folder / "items.parquet"),
                "columns": {"item_id": "item_id"},
                "attributes": {"kind": "categorical", "size": "numeric"},
            },
            "users": {
                "path": str(folder / "users.parquet"),
                "columns": {"user_id": "user_id"},
                "attributes": {"taste": "categorical", "age": "numeric"},
            },
        },
        # A weight that fades counts from the newest event, which may be held out.
        "events": {"half_life_days": None},
        "features": {"factor_rank": 4, "positives": 4, "min_item_users": 1, "min_user_items": 1},
        "train": {
            "epochs": 6, "batch_size": 16, "device": "cpu", "behaviour_items": small, "behaviour_users": small,
            "profile_items": {"epochs": 1, "hyper": {"hidden": 8, "layers": 1}},
            "profile_users": {"epochs": 1, "hyper": {"hidden": 8, "layers": 1}},
        },
        # Weights and slacks are tried; budgets not, since among so few users nothing could be the best.
        "synthesize": {"users": 4, "items": 4, "budget": 0.2},
        "judge": {"min_fold_items": 4},
        "recommend": {"rank": 4, "k": 5, "iterations": 2},
        "evaluate": {"cold_fraction": 0.4, "events_left": [0]},
    }  # fmt: skip
    return Context(spark, Lake(spark, str(folder / "lake")), parse(words), run)


def named(context: Context, pairs: DataFrame) -> DataFrame:
    for side in SIDES:
        pairs = pairs.join(context.read(features(side)).select(side.key, side.index), on=side.index)
    return pairs


def events_of(frame: DataFrame) -> dict[tuple[str, str], float]:
    return {(r["user_id"], r["item_id"]): r["weight"] for r in frame.collect()}


def test_the_job_places_the_very_events_that_the_proof_places(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = list[int]()

    def fit(rows: DataFrame, settings: AlsSettings, blocks: int) -> Factors:
        starts.append(settings.seed)
        return fit_als(rows, settings, blocks)

    monkeypatch.setattr(tuning, "fit_als", fit)
    whole, known = tmp_path / "whole", tmp_path / "known"
    for folder in (whole, known):
        folder.mkdir()
        write_shop(folder)
    proof = context_of(spark, whole, "proof")
    for stage in ("clean", "featurize"):
        run_stage(proof, stage)
    with proof.publication("evaluate") as staged:
        name = "cold_user_item"
        split = PROTOCOLS[name].splits(proof, staged, name, 0, StageReport())[name]
        learned = learn(proof, staged, of_split(proof, staged, split, later=True), "golden", SIDES)
        assert learned.judge is not None and learned.judge.meta["trials"], "everything is learned and tried"
        assert starts == [0, 1] * len(learned.judge.meta["trials"]), "each placing with two starts"
        judged = Judged.of(proof, staged, split, learned, 0)
        assert judged.product.items is not None and judged.product.users is not None
        placed = {
            "cold_item": events_of(named(proof, judged.product.items)),
            "cold_user": events_of(named(proof, judged.product.users)),
        }
        train = named(proof, split.train).select("user_id", "item_id")
        events = proof.read(EVENTS).join(train, on=["user_id", "item_id"], how="left_semi").toPandas()
        staged.write_json("reports/metrics.json", {})
    events.to_parquet(known / "events.parquet")
    job = context_of(spark, known, "job")
    for stage in ("clean", "featurize", "train", "synthesize"):
        run_stage(job, stage)
    assert job.read(clean(SIDES[0])).count() == THINGS
    made = job.read(SYNTHETIC_EVENTS)
    for origin, wanted in placed.items():
        found = events_of(made.where(f"origin = '{origin}'"))
        assert len(wanted) > 10 and found.keys() == wanted.keys(), origin
        assert all(abs(found[pair] - weight) < 1e-9 for pair, weight in wanted.items()), origin
    assert made.where("origin = 'new_item'").count() > 0, "which take nothing from the cold ones"
