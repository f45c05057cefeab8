"""Adversarial loss of the any-order network, in addition to the likelihood: a discriminator of whole rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthspark.errors import ConfigError
from synthspark.training.optimise import adam, apply
from synthspark.training.task import TrainingTask
from synthspark_models import AutoregressiveGenerator, GanDiscriminator, Sample, TableShape
from synthspark_models.losses import critic_generator_loss, hinge_discriminator_loss
from synthspark_models.relaxed import relaxed_rows

MAX_LOGITS = 1 << 22
"""Maximum number of logits of the rows drawn in a step; bounds memory by drawing fewer rows of wide vocabularies."""
MIN_ROWS = 16
"""Minimum number of rows drawn in a step."""


class Adversary:
    """Discriminator with its own embeddings, hinge loss and learning rate.

    loss of the generator = any-order likelihood + weight x every x -E[D(drawn)], on every `every`-th step (lazy
    regularisation, Karras et al. 2020, arXiv:1912.04958). Raises ConfigError for an `adversarial_every` below 1.
    """

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        self.every = int(task.setting("adversarial_every"))
        if self.every < 1:
            raise ConfigError(f"train.{task.name}.hyper.adversarial_every: {self.every} is too small; give 1 or more")
        self.weight = float(task.setting("adversarial_weight"))
        self.temperature, self.clip = float(task.setting("temperature")), float(task.setting("gradient_clip"))
        self.rows = max(MIN_ROWS, MAX_LOGITS // sum(task.cardinalities))
        table = TableShape(tuple(task.cardinalities), 0)
        self.discriminator: GanDiscriminator = GanDiscriminator(
            table, int(task.setting("hidden")), spectral=bool(task.setting("spectral_norm"))
        ).to(device)
        rate = float(task.setting("discriminator_learning_rate"))
        self.optimizer = adam(self.discriminator, rate)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Modules to save in a checkpoint."""
        return {"discriminator": self.discriminator}

    def is_due(self, step_number: int) -> bool:
        """Return whether this step has an adversarial loss."""
        return step_number % self.every == 0

    def step(self, network: AutoregressiveGenerator, tokens: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Train the discriminator for one step on newly drawn rows, then compute the generator's loss on them.

        tokens: real rows, (B, K). Returns (weighted loss with a gradient to `network`, losses to report).
        """
        drawn = relaxed_rows(network, min(len(tokens), self.rows), self.temperature)
        real = self.discriminator.real(tokens, drawn.numbers.new_zeros(len(tokens), 0))
        loss = hinge_discriminator_loss(real, self.discriminator(_detached(drawn)))
        apply(loss, self.discriminator, self.optimizer, self.clip)
        fooled = critic_generator_loss(self.discriminator(drawn))
        return self.weight * self.every * fooled, {
            "discriminator_loss": loss.detach(),
            "adversarial_loss": fooled.detach(),
        }


def _detached(sample: Sample) -> Sample:
    return Sample([c.detach() for c in sample.categories], sample.numbers)
