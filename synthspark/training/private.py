"""DP-SGD for the any-order network, by Opacus: per-row clipping, noise on the sum, and the resulting guarantee.

docs/decisions/010 states what the guarantee covers. Opacus is the extra `privacy`; it is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from synthspark.errors import ConfigError
from synthspark.training.loader import batch_rows
from synthspark.training.optimise import processes
from synthspark.training.task import TrainingTask
from synthspark_models import AutoregressiveGenerator
from synthspark_models.autoregressive import random_masks
from synthspark_models.per_row import per_row_gradients

MAX_GRADIENTS = 1 << 24
"""Maximum number of per-row gradient values in memory (64 MB); the rows per chunk depend on the network's size."""
ACCOUNTANT = "RDP of the Poisson-subsampled Gaussian mechanism (Mironov et al. 2019, arXiv:1908.10530)"


def check(task: TrainingTask, num_processes: int) -> None:
    """Raise ConfigError for settings that break the guarantee, or if Opacus is not installed."""
    assert task.dp is not None
    where, delta = f"train.{task.name}", task.dp["delta"]
    if find_spec("opacus") is None:
        raise ConfigError(f"{where}.dp needs opacus on the driver and on the machines that train: "
                          "pip install 'synthspark[privacy]'")  # fmt: skip
    if num_processes > 1:
        raise ConfigError(f"{where}.dp: each of {num_processes} processes would add its own noise; set "
                          "train.processes: 1")  # fmt: skip
    if float(task.setting("adversarial_weight")) > 0:
        raise ConfigError(f"{where}.dp: a discriminator sees real rows without noise; set hyper.adversarial_weight: 0")
    if delta * task.num_rows >= 1:
        raise ConfigError(f"{where}.dp.delta: {delta:g} times {task.num_rows} rows is at least 1, so a whole row may "
                          f"be revealed; set {0.1 / task.num_rows:.1g} or less")  # fmt: skip


class PrivateSteps:
    """DP-SGD (Abadi et al. 2016, arXiv:1607.00133).

    The gradient of each row is clipped to norm `max_grad_norm`; Gaussian noise with standard deviation
    `noise_multiplier` x `max_grad_norm` is added to the sum, which is divided by the expected number of rows. Raises
    ConfigError for settings that break the guarantee.
    """

    def __init__(self, task: TrainingTask, network: AutoregressiveGenerator, optimizer: torch.optim.Optimizer) -> None:
        check(task, processes())
        from opacus.optimizers import DPOptimizer

        assert task.dp is not None
        self.network, self.task = network, task
        self.parameters = dict(network.named_parameters())
        self.chunk = max(1, MAX_GRADIENTS // sum(p.numel() for p in self.parameters.values()))
        self.optimizer = DPOptimizer(
            optimizer,
            noise_multiplier=task.dp["noise_multiplier"],
            max_grad_norm=task.dp["max_grad_norm"],
            expected_batch_size=batch_rows(task.num_rows, 1, task.batch_size),
        )

    def step(self, tokens: Tensor) -> Tensor:
        """Train for one step on rows and return the mean loss. tokens: (B, K), possibly without rows."""
        total = torch.zeros((), device=tokens.device)
        parts = torch.split(tokens, self.chunk) if len(tokens) else (tokens,)
        for number, rows in enumerate(parts, start=1):
            gradients = {n: p.new_zeros(0, *p.shape) for n, p in self.parameters.items()}
            if len(rows):
                gradients, losses = per_row_gradients(self.network, rows, random_masks(rows))
                total = total + losses.sum()
            for name, parameter in self.parameters.items():
                parameter.grad_sample = gradients[name]  # type: ignore[attr-defined]
            self.optimizer.signal_skip_step(number < len(parts))
            self.optimizer.step()
            self.optimizer.zero_grad()
        return total / max(len(tokens), 1)


def poisson_batches(batches: Iterator[Mapping[str, Tensor]], rows: int) -> Iterator[dict[str, Tensor]]:
    """Yield endless batches that include each row of the feed independently with probability `rows` / all rows.

    The accountant assumes this Poisson sampling; shuffled batches of fixed size would violate it. All rows are held in
    memory (8 bytes per column).
    """
    read = list(batches)
    whole = {name: torch.cat([b[name] for b in read]) for name in read[0]}
    count = len(next(iter(whole.values())))
    while True:
        taken = torch.rand(count) < rows / count
        yield {name: values[taken] for name, values in whole.items()}


def privacy_spent(task: TrainingTask, steps: int) -> dict[str, Any]:
    """Return the guarantee of the weights after `steps` steps: (epsilon, delta) for adding or removing one row."""
    from opacus.accountants import RDPAccountant

    assert task.dp is not None
    rate = batch_rows(task.num_rows, 1, task.batch_size) / task.num_rows
    accountant = RDPAccountant()
    accountant.history = [(task.dp["noise_multiplier"], rate, steps)]
    epsilon = float(accountant.get_epsilon(task.dp["delta"]))
    return {"epsilon": epsilon, **task.dp, "sampling_rate": rate, "steps": steps, "accountant": ACCOUNTANT}
