"""The classic GAN on profiles: alternate steps of the two minimax losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthspark.training.artifacts import build_generator
from synthspark.training.loader import stacked
from synthspark.training.optimise import apply
from synthspark.training.task import TrainingTask
from synthspark_models import GanDiscriminator, GanGenerator, TableShape
from synthspark_models.losses import minimax_discriminator_loss, minimax_generator_loss


class GanTrainer:
    """Steps of `gan`; modules and optimisers by name, so that checkpoints need not know them."""

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        self.task, self.device = task, device
        table = TableShape(tuple(task.cardinalities), len(task.number_columns))
        generator = build_generator(task.network, table, 0, {k: task.setting(k) for k in ("noise_dim", "hidden")})
        assert isinstance(generator, GanGenerator)
        self.generator = generator.to(device)
        self.discriminator = GanDiscriminator(
            table, int(task.setting("hidden")), spectral=bool(task.setting("spectral_norm"))
        ).to(device)
        self.modules: dict[str, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator}
        rates = {"generator": "learning_rate", "discriminator": "discriminator_learning_rate"}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(self.modules[name].parameters(), float(task.setting(rate)), betas=(0.5, 0.9))
            for name, rate in rates.items()
        }

    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """discriminator_steps steps of the discriminator, one of the generator."""
        task = self.task
        codes = stacked(batch, task.code_columns, torch.long, self.device)
        numbers = stacked(batch, task.number_columns, torch.float32, self.device)
        clip, temperature = float(task.setting("gradient_clip")), float(task.setting("temperature"))
        smoothing = float(task.setting("label_smoothing"))
        for _ in range(int(task.setting("discriminator_steps"))):
            with torch.no_grad():
                fake = self.generator(self._noise(len(codes)), temperature)
            loss = minimax_discriminator_loss(
                self.discriminator.real(codes, numbers), self.discriminator(fake), smoothing
            )
            apply(loss, self.discriminator, self.optimizers["discriminator"], clip)
        sample = self.generator(self._noise(len(codes)), temperature)
        generator_loss = minimax_generator_loss(self.discriminator(sample))
        apply(generator_loss, self.generator, self.optimizers["generator"], clip)
        spread = diversity(sample.codes(), sample.numbers.detach(), codes, numbers)
        return {"discriminator_loss": loss.detach(), "generator_loss": generator_loss.detach(), "diversity": spread}

    def _noise(self, rows: int) -> Tensor:
        return torch.randn(max(rows, 2), self.generator.noise_dim, device=self.device)  # batch norm needs two


def diversity(codes: Tensor, numbers: Tensor, real_codes: Tensor, real_numbers: Tensor) -> Tensor:
    """How varied generated rows are, as a share of real ones: entropy of codes, spread of numbers, averaged."""
    shares = []
    for j in range(codes.shape[1]):
        real = _entropy(real_codes[:, j])
        if real > 0.05:
            shares.append(_entropy(codes[:, j]) / real)
    for j in range(numbers.shape[1]):
        real = real_numbers[:, j].std()
        if real > 0.05:
            shares.append(numbers[:, j].std() / real)
    return torch.stack(shares).mean() if shares else torch.tensor(1.0)


def _entropy(codes: Tensor) -> Tensor:
    share = torch.bincount(codes).float() / max(len(codes), 1)
    entropy: Tensor = torch.special.entr(share).sum()
    return entropy
