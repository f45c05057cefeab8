"""Faults: what is killed, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from published import recorded, staging
from standalone import Cluster, Submission, processes, wait_for

AWAITED_SECONDS = 300


@dataclass(frozen=True)
class Fault:
    """Something is killed in a stage, at a moment."""

    stage: str
    moment: Callable[[Path, str, str], bool]
    """Whether it has come: of the lake, the run and the stage."""
    kill: Callable[[Cluster, Submission], str]
    """Does it, and says how: empty if there was nothing to kill."""

    def strike(self, cluster: Cluster, lake: Path, run_id: str, driver: Submission) -> str:
        """Wait for the moment and kill; returns what was killed. Raises TimeoutError if the moment does not come."""
        wait_for(lambda: self.moment(lake, run_id, self.stage) or not driver.running(), f"{self.stage} of {run_id}",
                 AWAITED_SECONDS)  # fmt: skip
        assert driver.running(), driver.words
        return wait_for(lambda: self.kill(cluster, driver), f"something to kill in {self.stage}", AWAITED_SECONDS)


def begun(lake: Path, run_id: str, stage: str) -> bool:
    """In the middle of a stage: it has begun to write, and has not ended."""
    return staging(lake, run_id, stage)


def published(lake: Path, run_id: str, stage: str) -> bool:
    """At the boundary: the stage has just been recorded."""
    return recorded(lake, run_id, stage)


def trained(lake: Path, run_id: str, stage: str) -> bool:
    """In the middle of training: the last generator has a checkpoint."""
    return (lake / "_checkpoints" / run_id / "behaviour_users" / "checkpoint.json").exists()


def kill_driver(cluster: Cluster, driver: Submission) -> str:
    """Its JVM, its Python, and what they have started here."""
    driver.kill()
    return "driver"


def kill_executor(cluster: Cluster, driver: Submission) -> str:
    """One executor's JVM; its Python workers find their pipe closed."""
    return _killed(cluster.executors(driver), "executor")


def kill_python_worker(cluster: Cluster, driver: Submission) -> str:
    """A Python worker: a fork of the daemon that an executor has started."""
    daemons = [p for e in cluster.executors(driver) for p in _children(e) if _says(p, "pyspark.daemon")]
    return _killed([w for d in daemons for w in _children(d)], "python worker")


def kill_torch_child(cluster: Cluster, driver: Submission) -> str:
    """One process of training itself, not the launcher above it."""
    found = [p for e in cluster.executors(driver) for p in processes(e, "train.py")]
    return _killed([p for p in found if not _says(p, "torch")], "torch child")


def _killed(candidates: list[psutil.Process], what: str) -> str:
    for process in candidates:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
        return what
    return ""


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []


def _says(process: psutil.Process, words: str) -> bool:
    try:
        return words in " ".join(process.cmdline())
    except psutil.Error:
        return False
