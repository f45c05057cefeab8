"""Training that is killed at any of its writes goes on to the very weights that it would have had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_training import GROUPS, RANK, ROWS, write_counterpart, write_feed

from synthspark.profiles.tokens import TokenEncoding
from synthspark.training import TrainingTask, loop, storage
from synthspark.training.artifacts import save_tokens

EPOCHS = 4


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill -9."""


def made(folder: Path, network: str) -> TrainingTask:
    common: dict[str, Any] = {
        "feed_url": f"file://{folder}/feed", "num_rows": ROWS, "code_columns": ["code"], "cardinalities": [3 + GROUPS],
        "number_columns": [], "output_url": f"file://{folder}/out", "epochs": EPOCHS, "batch_size": 100,
        "device": "cpu",
    }  # fmt: skip
    if network == "behaviour":
        # Of the two steps of an epoch and three between adversarial ones, an odd number is left over.
        hyper = {"hidden": 8, "noise_dim": 2, "negatives": 8, "adversarial_weight": 0.1, "adversarial_every": 3}
        more = {"factor_columns": [f"factor_{i:02d}" for i in range(RANK)], "activity_column": "log_activity",
                "positive_columns": ["positive_00", "positive_01"], "counterpart_url": f"file://{folder}/other",
                }  # fmt: skip
        return TrainingTask(name="behaviour_items", network=network, hyper=hyper, **common, **more)
    if network == "gan":
        return TrainingTask(name="profile_items", network=network, hyper={"hidden": 8, "noise_dim": 2}, **common)
    more = {"validation_url": common["feed_url"], "validation_rows": ROWS}
    hyper = {"hidden": 8, "layers": 1, "patience": 1, "learning_rate": 0.3}
    return TrainingTask(name="profile_items", network=network, hyper=hyper, **common, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_feed(tmp_path / "feed")
    write_counterpart(tmp_path / "other")
    return tmp_path


def trained(task: TrainingTask, monkeypatch: pytest.MonkeyPatch, killed_at: int | None = None) -> tuple[str, Any, int]:
    """The weights' digest, the losses and how often something was written; killed at a write, then gone on with."""
    storage.remove(task.output_url)
    if task.network == "autoregressive":
        save_tokens(task.output_url, TokenEncoding(kinds={}, tokens=(), counts=((0, 0, 0, 60, 60, 60, 60),)))
    writes, whole = 0, storage.write

    def write(url: str, data: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == killed_at:
            raise Killed
        whole(url, data)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write", write)
        try:
            loop.train(task)
        except Killed:
            loop.train(task)
    meta = json.loads(storage.read(f"{task.output_url}/model.json"))
    losses = [{k: v for k, v in r.items() if k.endswith("loss")} for r in meta["history"]]
    return meta["sha256"], losses, writes


@pytest.mark.parametrize("network", ["behaviour", "gan", "autoregressive"])
def test_killed_at_any_write_the_weights_are_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    task = made(folder, network)
    weights, losses, writes = trained(task, monkeypatch)
    assert writes >= 3 * len(losses) + 2
    for write in range(1, writes + 1):
        assert trained(task, monkeypatch, write)[:2] == (weights, losses), f"killed at write {write} of {writes}"
