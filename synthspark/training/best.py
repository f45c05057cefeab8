"""Base class of trainers with early stopping by validation rows."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

from synthspark.training.optimise import one_cycle, set_rate
from synthspark.training.task import TrainingTask

Network = TypeVar("Network", bound=nn.Module)


class BestEpoch(Generic[Network]):
    """Trainer with AdamW and a one-cycle learning rate; `generator` is the network of the best epoch."""

    def __init__(self, task: TrainingTask, network: Network, device: torch.device) -> None:
        self.task, self.device = task, device
        self.network = network.to(device)
        self.generator = copy.deepcopy(self.network)
        self.modules: dict[str, nn.Module] = {"network": self.network, "generator": self.generator}
        rate, decay = float(task.setting("learning_rate")), float(task.setting("weight_decay"))
        self.optimizer = torch.optim.AdamW(self.network.parameters(), rate, weight_decay=decay, fused=True)
        self.optimizers: dict[str, torch.optim.Optimizer] = {"network": self.optimizer}
        self.step_number = self.steps = 0

    def start(self, epochs_done: int, steps_per_epoch: int) -> None:
        """Set the position in the schedule of the learning rate at which training resumes."""
        self.step_number = epochs_done * steps_per_epoch
        self.steps = self.task.epochs * steps_per_epoch

    def keep(self) -> None:
        """Keep the current weights as the best so far."""
        self.generator.load_state_dict(self.network.state_dict())

    def _next_step(self) -> int:
        """Set the learning rate of the next step and return the step's number."""
        number = self.step_number
        set_rate(self.optimizer, one_cycle(number / max(self.steps, 1), float(self.task.setting("learning_rate"))))
        self.step_number += 1
        return number
