"""The job on the cluster up to new rows, trained by a process on each executor; the same rows however it is cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from planted import STAGES_JOB, UP_TO_SYNTHESIZE
from published import contents, rows
from standalone import Cluster, Submission

pytestmark = pytest.mark.cluster


class Job:
    """Stages of a run in one session."""

    def __init__(self, cluster: Cluster, archive: Path, config: Path) -> None:
        self.cluster, self.archive, self.config = cluster, archive, config

    def submit(self, run_id: str, *words: str, stages: Sequence[str] = UP_TO_SYNTHESIZE, **conf: str) -> Submission:
        settings = {f"spark.{key.replace('_', '.')}": value for key, value in conf.items()}
        return self.cluster.submit(STAGES_JOB, [str(self.config), run_id, *words, *stages], self.archive, settings)

    def run(self, run_id: str, *words: str, stages: Sequence[str] = UP_TO_SYNTHESIZE, **conf: str) -> None:
        driver = self.submit(run_id, *words, stages=stages, **conf)
        assert driver.wait() == 0, driver.words


@pytest.fixture
def job(cluster: Cluster, archive: Path, config: Path) -> Job:
    return Job(cluster, archive, config)


def test_one_executor_and_one_partition_make_the_rows_of_two(job: Job, lake: Path, undisturbed: str) -> None:
    before = contents(lake, undisturbed)
    assert {"clean/rejects", "factors/items", "behaviour_users/model.json", "judge_items/judge.json",
            "synthetic/events"} <= set(before)  # fmt: skip
    assert len(rows(lake, undisturbed, "synthetic/users")) == 30
    one = {"cores_max": "1", "sql_shuffle_partitions": "1", "sql_adaptive_enabled": "false"}
    job.run(undisturbed, stages=["synthesize"], **one)
    assert contents(lake, undisturbed) == before
