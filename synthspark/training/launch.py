"""TorchDistributor as this job needs it: its processes import what the executors import, and see their own GPU.

What is overridden is not public, but the same in Spark 3.5 to 4.1, and pyproject.toml admits no others; the reason for
it is in docs/decisions/009-processes-of-training.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from pyspark import TaskContext
from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import SparkSession

from synthspark.errors import TrainingError
from synthspark.spark_versions import BarrierRows

GPU = "gpu"
VISIBLE = "CUDA_VISIBLE_DEVICES"


class Launcher(TorchDistributor):
    """Runs a function in `num_processes` processes: children of the driver, or of one barrier task each."""

    def __init__(self, spark: SparkSession, num_processes: int, local_mode: bool) -> None:
        if not local_mode and 0 < _amount(spark, "task") < 1:
            raise TrainingError("spark.task.resource.gpu.amount below 1 puts several processes of training on one GPU, "
                                "which NCCL refuses; leave it unset: training asks for one each")  # fmt: skip
        profile = None if local_mode else gpu_profile(spark)
        use_gpu = not local_mode and (profile is not None or _amount(spark, "task") > 0)
        super().__init__(num_processes=num_processes, local_mode=local_mode, use_gpu=use_gpu)
        self.profile = profile  # what is set before travels to the executors

    def _get_num_tasks(self) -> int:
        """One GPU and one task per process."""
        return self.num_processes

    def run(self, train_object: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Any:
        """As TorchDistributor's."""
        return self._run(train_object, run_file, *args, **kwargs)

    def _run_distributed_training(
        self, framework_wrapper_fn: Any, train_object: Any, run_pytorch_file_fn: Any, spark_dataframe: Any, *args: Any,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        if self.profile is not None:
            rows = self.spark.range(0, self.num_tasks, 1, self.num_tasks)
            spark_dataframe = BarrierRows(rows, self.profile)  # TorchDistributor passes no profile on
        run = super()._run_distributed_training
        return run(framework_wrapper_fn, train_object, run_pytorch_file_fn, spark_dataframe, *args, **kwargs)


def gpu_profile(spark: SparkSession) -> ResourceProfile | None:
    """One GPU per task of this stage only; None where executors have none, or where every task has one anyhow."""
    if _amount(spark, "executor") == 0 or _amount(spark, "task") > 0:
        return None
    cpus = int(spark.conf.get("spark.task.cpus", "1") or 1)
    requests = TaskResourceRequests().cpus(cpus).resource(GPU, 1)
    return ResourceProfileBuilder().require(requests).build


def slots(spark: SparkSession, profile: ResourceProfile | None) -> int:
    """How many tasks of a profile (None: the default one) the executors of now can run at once."""
    context: Any = spark._jsc.sc()
    manager = context.resourceProfileManager()
    if profile is None:
        return int(context.maxNumConcurrentTasks(manager.defaultResourceProfile()))
    asked = profile._java_resource_profile
    manager.addResourceProfile(asked)
    return int(context.maxNumConcurrentTasks(asked))


def run_file(input_params: dict[str, Any], train_path: str, *args: Any, **kwargs: Any) -> None:
    """What TorchDistributor does in each task, its child given this worker's import path and this task's GPU."""
    changed = {"PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path)}
    task = TaskContext.get()
    if task is not None and GPU in task.resources():
        # A worker that Spark uses again still has what TorchDistributor set for the task before.
        changed[VISIBLE] = ",".join(task.resources()[GPU].addresses)
    before = {name: os.environ.get(name) for name in (*changed, VISIBLE)}
    os.environ.update(changed)
    try:
        TorchDistributor._run_training_on_pytorch_file(input_params, train_path, *args, **kwargs)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _amount(spark: SparkSession, of: str) -> float:
    return float(spark.conf.get(f"spark.{of}.resource.{GPU}.amount", "0") or 0)
