"""Launches the training processes with Spark's TorchDistributor and watches their progress."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

from synthspark.errors import TrainingError
from synthspark.session import is_local, task_slots
from synthspark.training import storage
from synthspark.training.task import TrainingTask

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
EpochHook = Callable[[str, dict[str, Any]], None]


def train_all(
    spark: SparkSession, tasks: Sequence[TrainingTask], processes: int, on_epoch: EpochHook
) -> dict[str, dict[str, Any]]:
    """Train the tasks one after the other in one launch; returns the model.json of each `output_url`.

    In local mode the processes are children of the driver, on a cluster Spark places them on executors (one GPU each
    where Spark has GPUs). `on_epoch(name, record)` is called after each epoch. Raises TrainingError with the child's
    own words if one fails.
    """
    local = is_local(spark)
    use_gpu = not local and bool(spark.conf.get("spark.task.resource.gpu.amount", ""))
    _require_slots(spark, processes, local)
    for task in tasks:
        storage.remove(_error_url(task))
    failure: list[BaseException] = []

    def launch() -> None:
        try:
            distributor = TorchDistributor(num_processes=processes, local_mode=local, use_gpu=use_gpu)
            with contextlib.redirect_stdout(_ToLog()):
                distributor.run(run_tasks, [t.to_json() for t in tasks])
        except BaseException as error:  # the thread must hand over whatever ended it
            failure.append(error)

    thread = threading.Thread(target=launch, name="training", daemon=True)
    thread.start()
    seen = dict.fromkeys((t.output_url for t in tasks), 0)
    while thread.is_alive():
        thread.join(POLL_SECONDS)
        _report(tasks, seen, on_epoch)
    if failure:
        raise _with_words(tasks, failure[0]) from failure[0]
    return {t.output_url: json.loads(storage.read(f"{t.output_url}/model.json")) for t in tasks}


def run_tasks(tasks: list[str]) -> None:
    """What each process runs: all tasks, given as JSON. Its traceback is left where the driver finds it."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # read when torch is loaded; see session.build_session
    import torch
    from torch import distributed as dist

    from synthspark.training.loop import train

    world = int(os.environ.get("WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    torch.use_deterministic_algorithms(True, warn_only=True)
    if world > 1:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        for text in tasks:
            task = TrainingTask.from_json(text)
            try:
                train(task)
            except Exception as error:
                words = {"message": str(error), "own": isinstance(error, TrainingError),
                         "traceback": traceback.format_exc()}  # fmt: skip
                storage.write(_error_url(task), json.dumps(words).encode())
                raise
    finally:
        if world > 1:
            dist.destroy_process_group()


def _require_slots(spark: SparkSession, processes: int, local: bool) -> None:
    """On a cluster a barrier stage with more tasks than slots waits for ever."""
    slots = task_slots(spark)
    if not local and processes > slots:
        raise TrainingError(
            f"train.processes: {processes}, but the cluster has {slots} task slots; lower it, or ask for more executors"
        )


def _report(tasks: Sequence[TrainingTask], seen: dict[str, int], on_epoch: EpochHook) -> None:
    for task in tasks:
        url = f"{task.output_url}/history.jsonl"
        if not storage.exists(url):
            continue
        lines = storage.read(url).splitlines()
        for line in lines[seen[task.output_url] :]:
            on_epoch(task.name, json.loads(line))
        seen[task.output_url] = len(lines)


def _with_words(tasks: Sequence[TrainingTask], error: BaseException) -> TrainingError:
    """TorchDistributor loses what the child said: it was left beside the checkpoints."""
    for task in tasks:
        if storage.exists(_error_url(task)):
            words = json.loads(storage.read(_error_url(task)))
            if words["own"]:
                return TrainingError(words["message"])
            return TrainingError(f"{task.name}: a training process failed: {words['traceback']}")
    return TrainingError(f"a training process was lost without a word ({error}); was it killed for its memory?")


def _error_url(task: TrainingTask) -> str:
    return f"{task.output_url}/error.json"


class _ToLog(io.TextIOBase):
    """What the children print goes to the log, so that it does not tear the progress bar."""

    def write(self, text: str) -> int:
        if text.strip():
            log.debug("%s", text.rstrip())
        return len(text)
