"""The writer of texts and sets: likelihood of the next piece, stopped by rows that it does not learn from."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from synthspark.training.artifacts import build_generator, settings_of, table_of
from synthspark.training.loader import stacked
from synthspark.training.optimise import apply, one_cycle, set_rate
from synthspark.training.task import TrainingTask
from synthspark_models import Writer
from synthspark_models.writer import writing_loss


class WriterTrainer:
    """Steps of `writer`; what is saved is the network of the best epoch."""

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        self.task, self.device = task, device
        network = build_generator(task.network, table_of(task), 0, settings_of(task))
        assert isinstance(network, Writer)
        self.network = network.to(device)
        self.generator = copy.deepcopy(self.network)
        self.modules: dict[str, nn.Module] = {"network": self.network, "generator": self.generator}
        rate, decay = float(task.setting("learning_rate")), float(task.setting("weight_decay"))
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "network": torch.optim.AdamW(self.network.parameters(), rate, weight_decay=decay, fused=True)
        }
        self.step_number = self.steps = 0

    def start(self, epochs_done: int, steps_per_epoch: int) -> None:
        """Where in the schedule of the learning rate training goes on."""
        self.step_number = epochs_done * steps_per_epoch
        self.steps = self.task.epochs * steps_per_epoch

    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """One step on the likelihood."""
        peak = float(self.task.setting("learning_rate"))
        set_rate(self.optimizers["network"], one_cycle(self.step_number / max(self.steps, 1), peak))
        self.step_number += 1
        loss = writing_loss(self.network, *self._rows(batch))
        apply(loss, self.network, self.optimizers["network"], float(self.task.setting("gradient_clip")))
        return {"generator_loss": loss.detach()}

    def validate(self, batches: Iterable[dict[str, Tensor]], seed: int) -> float:
        """The loss on rows that were not learned from; nothing is drawn, whatever the `seed`."""
        self.network.eval()
        total = rows = 0.0
        with torch.no_grad():
            for batch in batches:
                parts = self._rows(batch)
                total += float(writing_loss(self.network, *parts)) * len(parts[0])
                rows += len(parts[0])
        self.network.train()
        return total / max(rows, 1.0)

    def keep(self) -> None:
        """What the network is now is the best so far."""
        self.generator.load_state_dict(self.network.state_dict())

    def _rows(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        task = self.task
        codes = stacked(batch, task.code_columns, torch.long, self.device)
        numbers = stacked(batch, task.number_columns, torch.float32, self.device)
        return codes, numbers, stacked(batch, task.piece_columns, torch.long, self.device)
