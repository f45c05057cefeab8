"""Train one generator in one process, alone or as one of several."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from synthspark.errors import ConfigError
from synthspark.training import storage
from synthspark.training.artifacts import restore_checkpoint, save_checkpoint, save_generator
from synthspark.training.autoregressive import AutoregressiveTrainer
from synthspark.training.behaviour import BehaviourTrainer
from synthspark.training.classics import SIZES
from synthspark.training.divergence import Watch
from synthspark.training.gan import GanTrainer
from synthspark.training.loader import Shard, batch_rows, check_feed, steps_per_epoch
from synthspark.training.optimise import averaged, broadcast, processes
from synthspark.training.private import poisson_batches, privacy_spent
from synthspark.training.query_writing import QueryWriterTrainer
from synthspark.training.task import TrainingTask
from synthspark.training.tower import TowerTrainer
from synthspark.training.writing import WriterTrainer

Validated = AutoregressiveTrainer | WriterTrainer
"""Trainers that keep the network of the best epoch."""
Trainer = GanTrainer | BehaviourTrainer | TowerTrainer | QueryWriterTrainer | Validated


def pick_device(wanted: str) -> torch.device:
    """Return the device; `auto` is this process's GPU if there is one. Raises ConfigError if cuda is not available."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device: 'cuda', but torch sees no GPU here; use 'auto' or 'cpu'")
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    # Spark shows a task only its own GPU; torchrun on one machine shows all of them.
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def reproducibly() -> None:
    """Make torch deterministic in this process, also on a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    torch.use_deterministic_algorithms(True, warn_only=True)
    # By default it also fills uninitialised memory, with hundreds of operations per step; nothing reads that memory.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def train(task: TrainingTask) -> None:
    """Train one generator, resuming from its last checkpoint if there is one, and save it (rank 0)."""
    rank = dist.get_rank() if processes() > 1 else 0
    check_feed(task.feed_url, task.num_rows, processes())
    device = pick_device(task.device)
    torch.manual_seed(_seed(task, "weights"))
    trainer = _trainer(task, device)
    done = restore_checkpoint(task, trainer.modules, trainer.optimizers)
    for module in trainer.modules.values():
        module.train()
        broadcast(module)
    shard = Shard(task.feed_url, task.columns, task.num_rows, rank, processes())
    validation = _validation(task)
    history = _history(task, done)
    watch = Watch.of(task)
    for record in history:
        watch.check(record)
    if not isinstance(trainer, GanTrainer):
        trainer.start(done, _steps(task))
    for epoch in range(done + 1, task.epochs + 1):
        if _has_stopped(task, history):
            break
        record = _epoch(task, trainer, shard, epoch)
        watch.check(record)
        history.append(record)
        if isinstance(trainer, Validated):
            _validate(task, trainer, validation, history)
        if rank == 0:
            # The history is written first: early stopping needs every epoch that the checkpoint includes.
            lines = "".join(json.dumps(r) + "\n" for r in history)
            storage.write(f"{task.output_url}/history.jsonl", lines.encode())
            save_checkpoint(task, epoch, trainer.modules, trainer.optimizers)
    if rank == 0:
        privacy = privacy_spent(task, len(history) * _steps(task)) if task.dp is not None else None
        save_generator(task, trainer.generator, history, privacy)


def _trainer(task: TrainingTask, device: torch.device) -> Trainer:
    if task.network == "autoregressive":
        return AutoregressiveTrainer(task, device)
    if task.network == "writer":
        return WriterTrainer(task, device)
    if task.network == "query_writer":
        return QueryWriterTrainer(task, device)
    if task.network == "tower":
        return TowerTrainer(task, device)
    return GanTrainer(task, device) if task.network in SIZES else BehaviourTrainer(task, device)


def _validation(task: TrainingTask) -> Shard | None:
    """Return the validation rows. Every process reads all of them, so that all make the same decisions."""
    if task.validation_url is None:
        return None
    return Shard(task.validation_url, task.columns, task.validation_rows)


def _validate(task: TrainingTask, trainer: Validated, shard: Shard | None, history: list[dict[str, Any]]) -> None:
    """Add the validation loss to the last record; keep the network if the loss is the lowest so far."""
    if shard is None:
        trainer.keep()
        return
    seed = _seed(task, "validation")
    with shard.batches(min(1024, task.validation_rows), seed) as batches:
        loss = trainer.validate(batches, seed)
    if loss < min((r["validation_loss"] for r in history[:-1]), default=float("inf")):
        trainer.keep()
    history[-1]["validation_loss"] = loss


def _has_stopped(task: TrainingTask, history: list[dict[str, Any]]) -> bool:
    """Return whether the validation loss has not improved for `patience` epochs (0: never stop early)."""
    losses = [r["validation_loss"] for r in history if "validation_loss" in r]
    patience = int(task.setting("patience")) if task.has("patience") else 0
    return bool(losses and patience) and len(losses) - 1 - losses.index(min(losses)) >= patience


def _steps(task: TrainingTask) -> int:
    steps = steps_per_epoch(task.num_rows, processes(), task.batch_size)
    most = int(task.setting("steps_per_epoch"))
    return min(steps, most) if most else steps


def _epoch(task: TrainingTask, trainer: Trainer, shard: Shard, epoch: int) -> dict[str, Any]:
    """Train for one epoch. Seeds depend on the epoch, so that a restarted run gives the same result."""
    started = time.monotonic()
    seed = _seed(task, f"epoch {epoch}")
    if task.dp is None:
        torch.manual_seed(seed + shard.rank)
    else:
        torch.seed()  # not seeded: with a known seed the noise would be known
    rows = batch_rows(task.num_rows, processes(), task.batch_size)
    steps = _steps(task)
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    with shard.batches(rows, seed) as batches:
        waited = Waited(batches if task.dp is None else poisson_batches(batches, rows))
        for batch in islice(waited, steps):
            for name, value in trainer.step(batch).items():
                sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value
                counts[name] = counts.get(name, 0) + 1
    means = averaged(torch.stack([total / counts[name] for name, total in sums.items()]))
    figures = dict(zip(sums, means.tolist(), strict=True))  # waits for the GPU, so that the time includes its work
    seconds = time.monotonic() - started
    speed = rows * steps * processes() / seconds
    return {
        "epoch": epoch,
        "epochs": task.epochs,
        **figures,
        "seconds": round(seconds, 3),
        "rows_per_second": round(speed),
        "waiting_share": round(waited.seconds / seconds, 4),
    }


class Waited(Iterator[dict[str, Tensor]]):
    """Iterator over batches that measures the seconds spent waiting for them."""

    def __init__(self, batches: Iterator[dict[str, Tensor]]) -> None:
        self._batches, self.seconds = batches, 0.0

    def __next__(self) -> dict[str, Tensor]:
        started = time.monotonic()
        batch = next(self._batches)
        self.seconds += time.monotonic() - started
        return batch


def _seed(task: TrainingTask, what: str) -> int:
    digest = hashlib.sha256(f"{task.seed}/{task.name}/{what}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def _history(task: TrainingTask, done: int) -> list[dict[str, Any]]:
    url = f"{task.output_url}/history.jsonl"
    if not done or not storage.exists(url):
        return []
    records = [json.loads(line) for line in storage.read(url).splitlines()]
    return [r for r in records if r["epoch"] <= done]
