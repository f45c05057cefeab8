"""Launch the training processes with Spark's TorchDistributor and watch their progress."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from pyspark.sql import SparkSession

from synthspark.errors import SynthSparkError, TrainingError
from synthspark.session import is_local
from synthspark.training import storage
from synthspark.training.launch import Launcher, slots
from synthspark.training.task import TrainingTask

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
EXECUTOR_SECONDS = 300
"""Maximum time to wait for executors; a cluster needs minutes to grow or to replace a lost one."""
LAUNCHES = 3
"""Maximum number of launches; processes are relaunched only if one was killed or failed because a peer was."""
EpochHook = Callable[[str, dict[str, Any]], None]


def train_all(
    spark: SparkSession, tasks: Sequence[TrainingTask], processes: int, on_epoch: EpochHook
) -> dict[str, dict[str, Any]]:
    """Train the tasks one after the other in one launch; returns `output_url` -> content of model.json.

    In local mode the processes are children of the driver. On a cluster Spark places them on executors (one GPU each if
    Spark has GPUs). `on_epoch(name, record)` is called after each epoch. Raises TrainingError with the message of a
    process that fails; if a process is killed, all are relaunched and resume from the last checkpoint.
    """
    if not tasks:
        return {}
    local = is_local(spark)
    launcher = Launcher(spark, processes, local)
    threads = None if local else int(spark.conf.get("spark.task.cpus", "1") or 1)
    seen = dict.fromkeys((t.output_url for t in tasks), 0)
    for launch in range(LAUNCHES):
        if not local:
            _await_slots(spark, launcher, processes)
        for url in _error_urls(tasks, processes):
            storage.remove(url)
        failure = _launched(launcher, tasks, threads, lambda: _report(tasks, seen, on_epoch))
        if failure is None:
            break
        told = _first_error(tasks, processes)
        if told is not None and (told.own or processes == 1 or launch + 1 == LAUNCHES):
            raise TrainingError(told.message) from failure
        if launch + 1 == LAUNCHES:
            raise TrainingError(f"training processes were lost {LAUNCHES} times without an error message ({failure}); "
                                "are they killed for using too much memory?") from failure  # fmt: skip
        log.warning("a training process was lost; all processes resume from the last checkpoint (%s)", failure)
    return {t.output_url: json.loads(storage.read(f"{t.output_url}/model.json")) for t in tasks}


def _launched(
    launcher: Launcher, tasks: Sequence[TrainingTask], threads: int | None, watch: Callable[[], None]
) -> BaseException | None:
    """Run the tasks once, calling `watch` every POLL_SECONDS; returns the exception that ended it, None if done."""
    failure: list[BaseException] = []

    def launch() -> None:
        try:
            with contextlib.redirect_stdout(_ToLog()):
                launcher.run(run_tasks, [t.to_json() for t in tasks], threads)
        except BaseException as error:  # passed to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=launch, name="training", daemon=True)
    thread.start()
    level = logging.WARNING
    while thread.is_alive():
        thread.join(POLL_SECONDS)
        try:
            watch()
        except Exception as error:  # failures of storage or a tracker must not stop training
            log.log(level, "progress of training could not be shown: %s", error)
            level = logging.DEBUG  # warn only once
    return failure[0] if failure else None


def run_tasks(tasks: list[str], threads: int | None) -> None:
    """Train all tasks, given as JSON; runs in each process. A traceback is written to a file for the driver.

    threads: cores per process; None for an equal share of the machine's.
    """
    task = TrainingTask.from_json(tasks[0])
    try:
        with _process_group(threads):
            from synthspark.training.loop import train

            for task in map(TrainingTask.from_json, tasks):
                train(task)
    except Exception as error:
        words = {"message": str(error), "own": isinstance(error, SynthSparkError), "traceback": traceback.format_exc()}
        storage.write(_error_url(task, int(os.environ.get("RANK", "0"))), json.dumps(words).encode())
        raise


@contextlib.contextmanager
def _process_group(threads: int | None) -> Iterator[None]:
    """Configure PyTorch, and connect the processes if there are several."""
    import torch
    from torch import distributed as dist

    from synthspark.training.loop import reproducibly

    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(threads or max(1, (os.cpu_count() or 1) // beside))
    reproducibly()
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    dist.init_process_group(backend(torch.cuda.device_count(), beside))
    try:
        yield
    finally:
        dist.destroy_process_group()


def backend(gpus: int, processes: int) -> str:
    """Return the backend of collective operations. gpus: visible to a process; processes: launched together on a host.

    NCCL refuses two processes on one GPU, which can happen in local mode. On a cluster each process is launched alone
    and sees only its own GPU.
    """
    return "gloo" if gpus < processes else "cpu:gloo,cuda:nccl"


def check_slots(spark: SparkSession, processes: int) -> None:
    """Raise TrainingError if the cluster cannot train; called before the stages that take hours."""
    if not is_local(spark):
        _await_slots(spark, Launcher(spark, processes, False), processes)


def _await_slots(spark: SparkSession, launcher: Launcher, processes: int) -> None:
    """Wait for enough slots, else raise TrainingError; Spark itself would wait for minutes and fail less clearly."""
    if spark.conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        raise TrainingError("training needs all its processes at once, which Spark refuses with dynamic allocation; "
                            "set spark.dynamicAllocation.enabled to false")  # fmt: skip
    until = time.monotonic() + EXECUTOR_SECONDS
    while (found := slots(spark, launcher.profile)) < processes:
        if time.monotonic() > until:
            what = "GPUs" if launcher.use_gpu else "task slots"
            raise TrainingError(
                f"train.processes: {processes}, but the cluster has {found} {what}; ask for more executors "
                "(spark.executor.instances), or start a new run with fewer processes"
            )
        time.sleep(POLL_SECONDS)


def _report(tasks: Sequence[TrainingTask], seen: dict[str, int], on_epoch: EpochHook) -> None:
    for task in tasks:
        url = f"{task.output_url}/history.jsonl"
        if not storage.exists(url):
            continue
        lines = storage.read(url).splitlines()
        for line in lines[seen[task.output_url] :]:
            seen[task.output_url] += 1
            on_epoch(task.name, json.loads(line))


class Told(NamedTuple):
    """Error of a training process; it is stored next to the checkpoints, because TorchDistributor drops it."""

    message: str
    own: bool
    """True if this process raised a SynthSparkError itself, not because a peer died."""


def _first_error(tasks: Sequence[TrainingTask], processes: int) -> Told | None:
    """Return the first error with `own`, else the first of all; None if no process stored one."""
    found = []
    for url in _error_urls(tasks, processes):
        if storage.exists(url):
            words = json.loads(storage.read(url))
            message = words["message"] if words["own"] else f"a training process failed: {words['traceback']}"
            found.append(Told(message, words["own"]))
    return min(found, key=lambda told: not told.own, default=None)


def _error_urls(tasks: Sequence[TrainingTask], processes: int) -> list[str]:
    return [_error_url(task, rank) for task in tasks for rank in range(processes)]


def _error_url(task: TrainingTask, rank: int) -> str:
    return f"{task.output_url}/error-{rank}.json"


class _ToLog(io.TextIOBase):
    """Stream that sends the output of training processes to the log, so that it does not break the progress bar."""

    def write(self, text: str) -> int:
        if text.strip():
            log.debug("%s", text.rstrip())
        return len(text)
