"""What a process of training is given by the worker that starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.ml.torch.distributor import TorchDistributor

from synthspark.errors import ConfigError, TrainingError
from synthspark.training import TrainingTask, distributor, launch
from synthspark.training.distributor import backend


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a child, as TorchDistributor would have started it."""
    found: dict[str, str] = {}
    start = staticmethod(lambda *_: found.update(os.environ))
    monkeypatch.setattr(TorchDistributor, "_run_training_on_pytorch_file", start)
    return found


def on_task(monkeypatch: pytest.MonkeyPatch, **resources: list[str]) -> None:
    held: Any = SimpleNamespace(resources=lambda: {k: SimpleNamespace(addresses=v) for k, v in resources.items()})
    monkeypatch.setattr(launch, "TaskContext", SimpleNamespace(get=lambda: held))


def test_a_worker_that_is_used_again_does_not_hand_on_the_gpu_of_its_last_task(
    seen: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # what TorchDistributor set for the task before, and left
    on_task(monkeypatch, gpu=["7"])
    launch.run_file({}, "train.py")
    assert seen["CUDA_VISIBLE_DEVICES"] == "7"


def words_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> dict[str, Any]:
    """What a process that fails so leaves for the driver."""
    task = TrainingTask(name="profile_items", network="gan", feed_url="none", num_rows=1, code_columns=["c"],
                        cardinalities=[4], number_columns=[], output_url=f"file://{tmp_path}", epochs=1,
                        batch_size=1)  # fmt: skip

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(distributor, "_process_group", fail)
    with pytest.raises(type(error)):
        distributor.run_tasks([task.to_json()], 1)
    return dict(json.loads((tmp_path / "error-0.json").read_text()))


def test_an_error_of_ours_is_not_taken_for_a_lost_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert words_left(tmp_path, monkeypatch, ConfigError("no GPU here"))["own"]
    words = words_left(tmp_path, monkeypatch, RuntimeError("connection reset"))
    assert not words["own"]
    assert "connection reset" in words["traceback"]


def test_two_processes_on_one_gpu_do_without_nccl() -> None:
    assert backend(gpus=0, processes=1) == "gloo"
    assert backend(gpus=1, processes=2) == "gloo"
    assert backend(gpus=1, processes=1) == backend(gpus=2, processes=2) == "cpu:gloo,cuda:nccl"


def test_a_share_of_a_gpu_is_refused() -> None:
    spark: Any = SimpleNamespace(conf={"spark.task.resource.gpu.amount": "0.5"})
    with pytest.raises(TrainingError, match="leave it unset"):
        launch.Launcher(spark, 2, local_mode=False)


def test_without_gpus_what_spark_has_set_stays(seen: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    on_task(monkeypatch)
    launch.run_file({}, "train.py")
    assert seen["CUDA_VISIBLE_DEVICES"] == ""


def test_a_child_imports_what_its_worker_imports_wherever_it_runs(
    seen: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_task(monkeypatch)
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "only_shipped.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("./shipped")  # as Spark puts what it ships on a worker's path
    monkeypatch.setenv("PYTHONPATH", "before")
    launch.run_file({}, "train.py")
    assert os.environ["PYTHONPATH"] == "before"
    command = [sys.executable, "-c", "import only_shipped"]
    subprocess.run(command, cwd="/", env={"PYTHONPATH": seen["PYTHONPATH"]}, check=True)
