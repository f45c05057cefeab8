"""Training that is killed at any of its writes goes on to the very weights that it would have had."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training import GROUPS, RANK, ROWS, write_counterpart, write_feed

from synthspark.profiles.tokens import TokenEncoding
from synthspark.training import TrainingTask, loop, storage
from synthspark.training.artifacts import load_generator, save_tokens
from synthspark.training.distributor import run_tasks
from synthspark.training.task import Hyper

EPOCHS = 4
BEHAVIOUR, TOKENS = {"noise_dim": 2, "negatives": 8}, {"layers": 1, "patience": 1, "learning_rate": 0.3}
FORMS: dict[str, tuple[str, Hyper]] = {
    # Of the two steps of an epoch and three between adversarial ones, an odd number is left over.
    "behaviour": ("behaviour", BEHAVIOUR | {"adversarial_weight": 0.1, "adversarial_every": 3}),
    "behaviour, hinge": (
        "behaviour",
        BEHAVIOUR | {"adversarial_weight": 0.1, "adversarial_loss": "hinge", "adversarial_every": 3,
                     "spectral_norm": True, "max_history": 2},
    ),
    "autoregressive": ("autoregressive", TOKENS),
    "autoregressive, adversarial": ("autoregressive", TOKENS | {"adversarial_weight": 0.01, "adversarial_every": 3}),
    "writer": ("writer", {"embedding": 4}),
    "gan": ("gan", {"noise_dim": 2}),
    "dcgan": ("dcgan", {"noise_dim": 2}),
    "infogan": ("infogan", {"noise_dim": 2}),
    "wgan_gp": ("wgan_gp", {"noise_dim": 2}),
}  # fmt: skip
"""Every network, with and without an adversarial part: the network and its settings."""
GPU = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill -9."""


def made(folder: Path, form: str, device: str = "cpu") -> TrainingTask:
    network, hyper = FORMS[form]
    common: dict[str, Any] = {
        "feed_url": f"file://{folder}/feed", "num_rows": ROWS, "code_columns": ["code"], "cardinalities": [3 + GROUPS],
        "number_columns": [], "output_url": f"file://{folder}/out", "epochs": EPOCHS, "batch_size": 100,
        "device": device, "network": network, "hyper": {"hidden": 8, **hyper},
    }  # fmt: skip
    if network == "behaviour":
        return TrainingTask(name="behaviour_items", factor_columns=[f"factor_{i:02d}" for i in range(RANK)],
                            activity_column="log_activity", positive_columns=["positive_00", "positive_01"],
                            counterpart_url=f"file://{folder}/other", **common)  # fmt: skip
    if network == "autoregressive":
        return TrainingTask(name="profile_items", validation_url=common["feed_url"], validation_rows=ROWS, **common)
    if network == "writer":
        alone = common | {"code_columns": [], "cardinalities": []}
        return TrainingTask(name="texts_items", validation_url=common["feed_url"], validation_rows=ROWS,
                            piece_columns=["code"], num_pieces=3 + GROUPS, **alone)  # fmt: skip
    return TrainingTask(name="profile_items", **common | {"number_columns": ["factor_00"]})


@pytest.fixture
def reproducible() -> Iterator[None]:
    """As in the processes of training; other tests are not to depend on it."""
    settings: Any = torch.utils.deterministic
    was = torch.are_deterministic_algorithms_enabled(), settings.fill_uninitialized_memory
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        loop.reproducibly()
        yield
    torch.use_deterministic_algorithms(was[0])
    settings.fill_uninitialized_memory = was[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_feed(tmp_path / "feed")
    write_counterpart(tmp_path / "other")
    return tmp_path


def afresh(task: TrainingTask) -> None:
    """As the stage leaves the place of a model before it is trained."""
    storage.remove(task.output_url)
    if task.network == "autoregressive":
        save_tokens(task.output_url, TokenEncoding(kinds={}, tokens=(), counts=((0, 0, 0, 60, 60, 60, 60),)))


def trained(task: TrainingTask, monkeypatch: pytest.MonkeyPatch, killed_at: int | None = None) -> tuple[str, Any, int]:
    """The weights' digest, the losses and how often something was written; killed at a write, then gone on with."""
    afresh(task)
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


@pytest.mark.usefixtures("reproducible")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("device", ["cpu", GPU])
def test_killed_at_any_write_the_weights_are_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, form: str, device: str
) -> None:
    task = made(folder, form, device)
    weights, losses, writes = trained(task, monkeypatch)
    assert trained(task, monkeypatch)[:2] == (weights, losses)
    assert writes >= 3 * len(losses) + 2
    for write in range(1, writes + 1):
        assert trained(task, monkeypatch, write)[:2] == (weights, losses), f"killed at write {write} of {writes}"
    load_generator(task.output_url)


@pytest.mark.parametrize("form", ["behaviour", "autoregressive"])
@pytest.mark.parametrize("device", [GPU])
def test_a_gpu_learns_what_the_cpu_does(folder: Path, monkeypatch: pytest.MonkeyPatch, form: str, device: str) -> None:
    """Its random numbers are others: what is left of that after some epochs are a few per cent."""
    found = []
    for where in ("cpu", device):
        task = made(folder, form, where)
        long = TrainingTask(**vars(task) | {"epochs": 30, "hyper": task.hyper | {"hidden": 32, "learning_rate": 0.01}})
        found.append(trained(long, monkeypatch)[1][-1]["generator_loss"])
    assert found[1] == pytest.approx(found[0], rel=0.05)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_two_processes_of_one_machine_train_the_same_weights_twice(folder: Path, device: str) -> None:
    """On one GPU as well, which they share."""
    digests = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        task = made(folder, "autoregressive, adversarial", device)
        afresh(task)
        spawned = multiprocessing.get_context("spawn")
        ranks = [spawned.Process(target=as_rank, args=(rank, port, task.to_json())) for rank in range(2)]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join()
        assert [rank.exitcode for rank in ranks] == [0, 0]
        digests.append(json.loads(storage.read(f"{task.output_url}/model.json"))["sha256"])
    assert digests[0] == digests[1]


def as_rank(rank: int, port: int, task: str) -> None:
    """What torchrun would start as one of two."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
                   "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # fmt: skip
    run_tasks([task], 1)
