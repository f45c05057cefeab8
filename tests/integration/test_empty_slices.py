"""Protocols that cannot be judged: found out before anything is trained, and told in one line."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from synthspark.config import parse
from synthspark.errors import ContractError
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.stages import evaluate
from synthspark.stages.run import run_stage

pytestmark = [pytest.mark.spark, pytest.mark.slow]

USERS = 40


def write_shop(folder: Path) -> None:
    """Every user buys on one day, which is their own, what is sold then, so that by time no warm user is asked."""
    rows = [(f"u{u}", f"i{i}", datetime(2024, 1, 1) + timedelta(days=u))
            for u in range(USERS) for i in range(u // 4, u // 4 + 8)]  # fmt: skip
    pd.DataFrame(rows, columns=["user", "item", "at"]).to_csv(folder / "events.csv", index=False)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("one visit")
    write_shop(folder)
    return {
        "lake": {"root": str(folder / "lake")},
        "source": {"events": {"path": str(folder / "events.csv"), "format": "csv", "options": {"header": "true"},
                              "event_type": "purchase",
                              "columns": {"user_id": "user", "item_id": "item", "ts": "at"}}},
        "features": {"factor_rank": 2, "positives": 2, "min_item_users": 3, "min_user_items": 3},
        "recommend": {"rank": 2, "k": 3, "iterations": 1},
        "evaluate": {"profiles": False, "ks": [3], "bootstrap": 100, "als_seeds": 1, "arms": ["real"],
                     "protocols": ["time", "cold_item"], "cold_fraction": 0.5},
    }  # fmt: skip


def context_of(spark: SparkSession, settings: dict[str, Any], **evaluate: Any) -> Context:
    config = parse({**settings, "evaluate": {**settings["evaluate"], **evaluate}})
    return Context(spark, Lake(spark, config.lake.root), config, "run")


def test_what_cannot_be_judged_is_told_before_the_work(
    spark: SparkSession, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in ("clean", "featurize"):
        run_stage(context_of(spark, settings), stage)
    judged: list[str] = []
    monkeypatch.setattr(evaluate, "judge_protocol", lambda *args: judged.extend(args[2]) or iter(()))
    report = run_stage(context_of(spark, settings), "evaluate")
    assert judged == ["cold_item"]
    told = [note for note in report.notes if note.startswith("protocol time: not judged.")]
    assert len(told) == 1 and "\n" not in told[0]
    assert "slice 'warm' is empty" in told[0] and "raise evaluate.time_fraction" in told[0]

    with pytest.raises(ContractError, match="cold_user\\+50 split: no cold user among 40"):
        run_stage(context_of(spark, settings, protocols=["cold_item", "cold_user"], events_left=[50]), "evaluate")
    with pytest.raises(ContractError, match="cold_item split: slice 'warm' is empty.*raise evaluate.warm_holdout"):
        run_stage(context_of(spark, settings, protocols=["cold_item"], warm_holdout=1e-9), "evaluate")
    assert judged == ["cold_item"], "all splits are checked before anything is judged"
