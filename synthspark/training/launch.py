"""TorchDistributor whose processes have the import path of the executors and see only their own GPU.

The overridden methods are not public, but they are the same in Spark 3.5 to 4.1, and pyproject.toml allows no other
versions. docs/decisions/009-processes-of-training.md gives the reason.
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
    """Runs a function in `num_processes` processes: children of the driver, or of one barrier task each.

    Raises TrainingError if Spark is configured to share a GPU between tasks.
    """

    def __init__(self, spark: SparkSession, num_processes: int, local_mode: bool) -> None:
        if not local_mode and 0 < _amount(spark, "task") < 1:
            raise TrainingError("spark.task.resource.gpu.amount below 1 puts several training processes on one GPU, "
                                "which NCCL refuses; leave it unset: training requests one GPU each")  # fmt: skip
        profile = None if local_mode else gpu_profile(spark)
        use_gpu = not local_mode and (profile is not None or _amount(spark, "task") > 0)
        super().__init__(num_processes=num_processes, local_mode=local_mode, use_gpu=use_gpu)
        self.profile = profile  # set last: attributes set before are sent to the executors

    def _get_num_tasks(self) -> int:
        """Return the number of tasks: one task and one GPU per process."""
        return self.num_processes

    def run(self, train_object: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Any:
        """Run like `TorchDistributor.run`, with `run_file` in each task."""
        return self._run(train_object, run_file, *args, **kwargs)

    def _run_distributed_training(
        self, framework_wrapper_fn: Any, train_object: Any, run_pytorch_file_fn: Any, spark_dataframe: Any, *args: Any,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        if self.profile is not None:
            rows = self.spark.range(0, self.num_tasks, 1, self.num_tasks)
            spark_dataframe = BarrierRows(rows, self.profile)  # TorchDistributor does not pass a profile
        run = super()._run_distributed_training
        return run(framework_wrapper_fn, train_object, run_pytorch_file_fn, spark_dataframe, *args, **kwargs)


def gpu_profile(spark: SparkSession) -> ResourceProfile | None:
    """Return a profile with one GPU per task; None if executors have no GPU or every task already has one."""
    if _amount(spark, "executor") == 0 or _amount(spark, "task") > 0:
        return None
    cpus = int(spark.conf.get("spark.task.cpus", "1") or 1)
    requests = TaskResourceRequests().cpus(cpus).resource(GPU, 1)
    return ResourceProfileBuilder().require(requests).build


def slots(spark: SparkSession, profile: ResourceProfile | None) -> int:
    """Return how many tasks of a profile (None: the default profile) the current executors can run at once."""
    context: Any = spark._jsc.sc()
    manager = context.resourceProfileManager()
    if profile is None:
        return int(context.maxNumConcurrentTasks(manager.defaultResourceProfile()))
    asked = profile._java_resource_profile
    manager.addResourceProfile(asked)
    return int(context.maxNumConcurrentTasks(asked))


def run_file(input_params: dict[str, Any], train_path: str, *args: Any, **kwargs: Any) -> None:
    """Do what TorchDistributor does in each task, with the import path of this worker and the GPU of this task."""
    changed = {"PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path)}
    task = TaskContext.get()
    if task is not None and GPU in task.resources():
        # A reused worker still has the value that TorchDistributor set for the previous task.
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
