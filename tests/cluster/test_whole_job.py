"""The whole job on the cluster: what it publishes, and the same rows with fewer executors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from published import contents, recorded
from standalone import ROOT, Cluster
from submitted import Job

from synthspark.runs.lake import STAGES

pytestmark = pytest.mark.cluster


def test_one_executor_and_one_partition_make_the_rows_of_two(job: Job, lake: Path, undisturbed: str) -> None:
    before = contents(lake, undisturbed)
    plain = {"sql_adaptive_enabled": "false"}
    job.run(undisturbed, stages=["synthesize"], cores_max="1", sql_shuffle_partitions="1", **plain)
    assert contents(lake, undisturbed) == before


def test_the_job_goes_on_to_its_verdict(
    cluster: Cluster, archive: Path, config: Path, lake: Path, undisturbed: str
) -> None:
    words = ["--config", str(config), "--resume", undisturbed]
    driver = cluster.submit(ROOT / "jobs" / "pipeline_job.py", words, archive)
    assert driver.wait() == 0, driver.words
    assert driver.words.count("already published") == 4
    assert "verdict: " in driver.words
    assert all(recorded(lake, undisturbed, stage) for stage in STAGES)
    metrics = json.loads((lake / "reports" / undisturbed / "metrics.json").read_text())
    assert {p["arm"] for p in metrics["protocols"]} == {"real", "real+synthetic", "popular"}
