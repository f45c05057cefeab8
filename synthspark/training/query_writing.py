"""Training of the query writer: likelihood of a query given the title of the item clicked after it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthspark.training.artifacts import build_generator, settings_of, table_of
from synthspark.training.loader import stacked
from synthspark.training.optimise import apply, one_cycle, set_rate
from synthspark.training.task import TrainingTask
from synthspark_models import QueryWriter
from synthspark_models.query_writer import query_loss


class QueryWriterTrainer:
    """Trainer of `query_writer`. The task's pieces are the words of titles (`title_...`) and queries (`query_...`)."""

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        network = build_generator(task.network, table_of(task), 0, settings_of(task))
        assert isinstance(network, QueryWriter)
        self.task, self.device, self.generator = task, device, network.to(device)
        self.modules: dict[str, nn.Module] = {"generator": self.generator}
        adam = torch.optim.Adam(self.generator.parameters(), float(task.setting("learning_rate")), fused=True)
        self.optimizers: dict[str, torch.optim.Optimizer] = {"generator": adam}
        self._steps = self._all_steps = 0

    def start(self, epochs_done: int, steps_per_epoch: int) -> None:
        """Set the position in the schedule of the learning rate at which training resumes."""
        self._steps = epochs_done * steps_per_epoch
        self._all_steps = self.task.epochs * steps_per_epoch

    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Train for one step on the likelihood."""
        task = self.task
        share = self._steps / max(self._all_steps, 1)
        set_rate(self.optimizers["generator"], one_cycle(share, float(task.setting("learning_rate"))))
        self._steps += 1
        columns = [[c for c in task.piece_columns if c.startswith(of)] for of in ("title_", "query_")]
        title, query = (stacked(batch, names, torch.long, self.device) for names in columns)
        loss = query_loss(self.generator, title, query)
        apply(loss, self.generator, self.optimizers["generator"], float(task.setting("gradient_clip")))
        return {"generator_loss": loss.detach()}
