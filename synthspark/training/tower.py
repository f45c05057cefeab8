"""Training of the two-tower network of searches: the clicked items of a query against those of other queries."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthspark.training.artifacts import build_generator, settings_of, table_of
from synthspark.training.loader import stacked
from synthspark.training.optimise import apply
from synthspark.training.task import TrainingTask
from synthspark_models import SearchTower
from synthspark_models.tower import tower_loss


class TowerTrainer:
    """Trainer of `tower`. The task's bags are the terms of queries and of items; its positives are their indices."""

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        network = build_generator(task.network, table_of(task), 0, settings_of(task))
        assert isinstance(network, SearchTower)
        network.weigh(torch.tensor(task.bags[0].weights))
        self.task, self.device, self.generator = task, device, network.to(device)
        self.modules: dict[str, nn.Module] = {"generator": self.generator}
        adam = torch.optim.Adam(self.generator.parameters(), float(task.setting("learning_rate")), fused=True)
        self.optimizers: dict[str, torch.optim.Optimizer] = {"generator": adam}

    def start(self, epochs_done: int, steps_per_epoch: int) -> None:
        """Do nothing; training does not depend on the step number."""

    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Train for one step on the clicks of a batch."""
        task = self.task
        queries, items = (stacked(batch, bag.columns, torch.long, self.device) for bag in task.bags)
        query, item = (batch[name].to(self.device) for name in task.positive_columns)
        loss = tower_loss(self.generator, queries, items, query, item)
        apply(loss, self.generator, self.optimizers["generator"], float(task.setting("gradient_clip")))
        return {"generator_loss": loss.detach()}
