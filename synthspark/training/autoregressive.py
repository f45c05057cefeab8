"""Training of the default generator of profiles: likelihood under random masks, early stopping by validation rows."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from synthspark.training.adversary import Adversary
from synthspark.training.artifacts import build_generator, load_tokens, settings_of
from synthspark.training.best import BestEpoch
from synthspark.training.loader import stacked
from synthspark.training.optimise import apply
from synthspark.training.private import PrivateSteps
from synthspark.training.task import TrainingTask
from synthspark.training.transfer import start_from
from synthspark_models import TableShape
from synthspark_models.autoregressive import AutoregressiveGenerator, any_order_loss

VALIDATION_MASKS = 4
"""Number of masks per validation row; they are the same in every epoch."""


class AutoregressiveTrainer(BestEpoch[AutoregressiveGenerator]):
    """Trainer of network `autoregressive`."""

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        table = TableShape(tuple(task.cardinalities), 0)
        network = build_generator(task.network, table, 0, settings_of(task))
        assert isinstance(network, AutoregressiveGenerator)
        encoding = load_tokens(task.output_url)
        network.start_from_shares([torch.tensor(c) for c in encoding.counts])
        if task.init_from is not None:
            start_from(network, encoding, task.init_from)
        super().__init__(task, network, device)
        self.adversary = Adversary(task, device) if float(task.setting("adversarial_weight")) > 0 else None
        if self.adversary is not None:
            self.modules |= self.adversary.modules
            self.optimizers["discriminator"] = self.adversary.optimizer
        self.private = PrivateSteps(task, self.network, self.optimizer) if task.dp is not None else None

    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Train for one step on the likelihood, plus the adversarial loss if it is due."""
        tokens = stacked(batch, self.task.code_columns, torch.long, self.device)
        number = self._next_step()
        if self.private is not None:
            return {"generator_loss": self.private.step(tokens)}
        loss = any_order_loss(self.network, tokens)
        report: dict[str, Tensor] = {}
        if self.adversary is not None and self.adversary.is_due(number):
            adversarial, report = self.adversary.step(self.network, tokens)
            report["likelihood_loss"] = loss.detach()
            loss = loss + adversarial
        apply(loss, self.network, self.optimizer, float(self.task.setting("gradient_clip")))
        return report | {"generator_loss": loss.detach()}

    def validate(self, batches: Iterable[dict[str, Tensor]], seed: int) -> float:
        """Return the loss on validation rows, with the same masks for the same seed."""
        self.network.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            total = rows = 0.0
            for batch in batches:
                tokens = stacked(batch, self.task.code_columns, torch.long, self.device)
                for _ in range(VALIDATION_MASKS):
                    total += float(any_order_loss(self.network, tokens)) * len(tokens)
                    rows += len(tokens)
        self.network.train()
        return total / max(rows, 1.0)
