"""What survives a kill -9 on the cluster, to the same bytes. Not of `make test-cluster`: when what dies is a race."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import Fault, begun, kill_driver, kill_executor, kill_python_worker, kill_torch_child, trained
from published import contents, recorded
from submitted import Job, alike

pytestmark = pytest.mark.faults


def test_the_same_rows_with_seven_partitions_speculation_and_a_retry(job: Job, lake: Path, undisturbed: str) -> None:
    before = contents(lake, undisturbed)
    plain = {"sql_adaptive_enabled": "false"}
    driver = job.submit(undisturbed, stages=["synthesize"], sql_shuffle_partitions="7", speculation="true",
                        speculation_multiplier="1.1", speculation_quantile="0.5", **plain)  # fmt: skip
    assert Fault("synthesize", begun, kill_python_worker).strike(job.cluster, lake, undisturbed, driver)
    assert driver.wait() == 0, driver.words
    assert contents(lake, undisturbed) == before


def test_a_killed_driver_is_resumed_to_the_same_bytes(job: Job, lake: Path, undisturbed: str) -> None:
    driver = job.submit("resumed")
    Fault("train", trained, kill_driver).strike(job.cluster, lake, "resumed", driver)
    assert not recorded(lake, "resumed", "train")
    job.run("resumed", "--resume")
    alike(lake, "resumed", undisturbed)


def test_executors_workers_and_children_may_die(job: Job, lake: Path, undisturbed: str) -> None:
    driver = job.submit("faulty")
    faults = [Fault("featurize", begun, kill_executor), Fault("train", trained, kill_torch_child)]
    for fault in faults:
        assert fault.strike(job.cluster, lake, "faulty", driver)
    if driver.wait() != 0:
        job.run("faulty", "--resume")
    alike(lake, "faulty", undisturbed)
