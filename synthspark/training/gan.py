"""Training of the classic adversarial networks for profiles: discriminator steps, then one generator step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthspark.training.artifacts import build_generator
from synthspark.training.classics import SIZES, build_discriminator, check, initialised
from synthspark.training.loader import stacked
from synthspark.training.optimise import adam, apply
from synthspark.training.task import TrainingTask
from synthspark_models import InfoGanDiscriminator, InfoGanGenerator, RowGenerator, Sample, TableShape
from synthspark_models.losses import (
    critic_generator_loss,
    gradient_penalty,
    minimax_discriminator_loss,
    minimax_generator_loss,
    mutual_information_bound,
    wasserstein_critic_loss,
)


class GanTrainer:
    """Trainer of `gan`, `dcgan`, `infogan` and `wgan_gp`, which differ in their modules and three terms of the losses.

    Modules and optimisers are stored by name for checkpoints. Raises ConfigError for invalid settings.
    """

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        check(task)
        self.task, self.device = task, device
        table = TableShape(tuple(task.cardinalities), len(task.number_columns))
        generator = build_generator(task.network, table, 0, {k: task.setting(k) for k in SIZES[task.network]})
        assert isinstance(generator, RowGenerator)
        self.generator = generator.to(device)
        self.discriminator = build_discriminator(task, table).to(device)
        initialised(task, self.generator, self.discriminator)
        self.modules: dict[str, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator}
        rates = {"generator": "learning_rate", "discriminator": "discriminator_learning_rate"}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: adam(self.modules[name], float(task.setting(rate))) for name, rate in rates.items()
        }

    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Train the discriminator for discriminator_steps steps, then the generator for one step.

        The discriminator sees the same real rows and newly generated rows in each step.
        """
        codes = stacked(batch, self.task.code_columns, torch.long, self.device)
        numbers = stacked(batch, self.task.number_columns, torch.float32, self.device)
        clip = float(self.task.setting("gradient_clip"))
        for _ in range(int(self.task.setting("discriminator_steps"))):
            loss, information = self._discriminator_loss(codes, numbers)
            apply(loss - information, self.discriminator, self.optimizers["discriminator"], clip)
        latent, sample = self._generated(len(codes))
        row = self.discriminator.embedding.relaxed(sample)
        judged = self.discriminator.judge(row)
        fooled = critic_generator_loss(judged) if self._wasserstein else minimax_generator_loss(judged)
        bound = self._information(row, latent)
        apply(fooled - self._worth(bound), self.generator, self.optimizers["generator"], clip)
        spread = diversity(sample.codes(), sample.numbers.detach(), codes, numbers)
        report = {"discriminator_loss": loss.detach(), "generator_loss": fooled.detach(), "diversity": spread}
        return report if bound is None else report | {"mutual_information": bound.detach()}

    @property
    def _wasserstein(self) -> bool:
        return self.task.network == "wgan_gp"

    def _discriminator_loss(self, codes: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return (adversarial loss of the discriminator, weighted bound on the information about the codes)."""
        with torch.no_grad():
            latent, fake = self._generated(len(codes))
        judge, embedding = self.discriminator.judge, self.discriminator.embedding
        real_row, fake_row = embedding.real(codes, numbers), embedding.relaxed(fake)
        if self._wasserstein:
            penalty = gradient_penalty(judge, real_row, fake_row, float(self.task.setting("gradient_penalty")))
            loss = wasserstein_critic_loss(judge(real_row), judge(fake_row)) + penalty
        else:
            smoothing = float(self.task.setting("label_smoothing"))
            loss = minimax_discriminator_loss(judge(real_row), judge(fake_row), smoothing)
        return loss, self._worth(self._information(fake_row, latent))

    def _generated(self, rows: int) -> tuple[Tensor, Sample]:
        latent = self.generator.latent(max(rows, 2))  # batch norm needs two rows
        return latent, self.generator(latent, float(self.task.setting("temperature")))

    def _information(self, row: Tensor, latent: Tensor) -> Tensor | None:
        """Return the lower bound of the mutual information of row and codes, in nats; None without codes."""
        if not isinstance(self.generator, InfoGanGenerator):
            return None
        assert isinstance(self.discriminator, InfoGanDiscriminator)
        read, codes = self.discriminator.recognise(row), self.generator.codes(latent)
        return mutual_information_bound(read.logits, codes.categorical, read.mean, read.log_variance, codes.continuous)

    def _worth(self, bound: Tensor | None) -> Tensor:
        if bound is None:
            return torch.zeros((), device=self.device)
        return float(self.task.setting("information_weight")) * bound


def diversity(codes: Tensor, numbers: Tensor, real_codes: Tensor, real_numbers: Tensor) -> Tensor:
    """Return the diversity of generated rows relative to real rows: mean ratio of entropies (codes) and spreads."""
    shares = []
    for j in range(codes.shape[1]):
        real = _entropy(real_codes[:, j])
        if real > 0.05:
            shares.append(_entropy(codes[:, j]) / real)
    for j in range(numbers.shape[1]):
        real = real_numbers[:, j].std()
        if real > 0.05:
            shares.append(numbers[:, j].std() / real)
    return torch.stack(shares).mean() if shares else torch.ones((), device=codes.device)


def _entropy(codes: Tensor) -> Tensor:
    share = torch.bincount(codes).float() / max(len(codes), 1)
    entropy: Tensor = torch.special.entr(share).sum()
    return entropy
