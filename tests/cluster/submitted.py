"""Stages of a run, submitted to the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from planted import STAGES_JOB, UP_TO_SYNTHESIZE
from published import contents
from standalone import Cluster, Submission


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


def alike(lake: Path, run_id: str, other: str) -> None:
    """What the run has published up to synthesize is what the other has, to the byte."""
    found, expected = contents(lake, run_id), contents(lake, other)
    assert {"clean/rejects", "factors/items", "behaviour_users/model.json", "judge_items/judge.json",
            "synthetic/events"} <= set(found)  # fmt: skip
    assert found == {name: expected[name] for name in found}
