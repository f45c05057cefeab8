"""Training of the writer of texts and sets: likelihood of the next piece, early stopping by validation rows."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from synthspark.training.artifacts import build_generator, settings_of, table_of
from synthspark.training.best import BestEpoch
from synthspark.training.loader import stacked
from synthspark.training.optimise import apply
from synthspark.training.task import TrainingTask
from synthspark_models import Writer
from synthspark_models.writer import writing_loss


class WriterTrainer(BestEpoch[Writer]):
    """Trainer of network `writer`."""

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        network = build_generator(task.network, table_of(task), 0, settings_of(task))
        assert isinstance(network, Writer)
        super().__init__(task, network, device)

    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Train for one step on the likelihood."""
        self._next_step()
        loss = writing_loss(self.network, *self._rows(batch))
        apply(loss, self.network, self.optimizer, float(self.task.setting("gradient_clip")))
        return {"generator_loss": loss.detach()}

    def validate(self, batches: Iterable[dict[str, Tensor]], seed: int) -> float:
        """Return the loss on validation rows; `seed` has no effect."""
        self.network.eval()
        total = rows = 0.0
        with torch.no_grad():
            for batch in batches:
                parts = self._rows(batch)
                total += float(writing_loss(self.network, *parts)) * len(parts[0])
                rows += len(parts[0])
        self.network.train()
        return total / max(rows, 1.0)

    def _rows(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        task = self.task
        codes = stacked(batch, task.code_columns, torch.long, self.device)
        numbers = stacked(batch, task.number_columns, torch.float32, self.device)
        return codes, numbers, stacked(batch, task.piece_columns, torch.long, self.device)
