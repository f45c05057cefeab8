"""Training of the behaviour generator: reconstruction, ranking and activity losses, optionally a discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthspark.errors import ConfigError
from synthspark.training.artifacts import build_generator, settings_of, table_of
from synthspark.training.counterpart import Counterpart
from synthspark.training.loader import stacked
from synthspark.training.optimise import adam, apply, learning_rate_at, set_rate
from synthspark.training.task import TrainingTask
from synthspark_models import BehaviourDiscriminator, BehaviourGenerator, Preference, summarised
from synthspark_models.losses import (
    critic_generator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    ranking_loss,
    wasserstein_critic_loss,
)


class BehaviourTrainer:
    """Trainer of network `behaviour`.

    loss = weighted sum of the reconstruction, ranking, activity and adversarial losses. Vectors are in units of
    `factor_scale`; factors of the other side are scaled by it, so that scores are inner products of the real factors.
    Raises ConfigError for an unknown adversarial loss.
    """

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        assert task.counterpart_url is not None and task.activity_column is not None
        if task.setting("adversarial_loss") not in ("wgan_gp", "hinge"):
            raise ConfigError(f"train.{task.name}.hyper.adversarial_loss: {task.setting('adversarial_loss')!r} is "
                              "neither 'wgan_gp' nor 'hinge'")  # fmt: skip
        self.task, self.device, rank = task, device, len(task.factor_columns)
        table = table_of(task)
        generator = build_generator(task.network, table, rank, settings_of(task))
        assert isinstance(generator, BehaviourGenerator)
        generator.encoder.weigh(_weights(task))
        self.generator = generator.to(device)
        self.modules: dict[str, nn.Module] = {"generator": self.generator}
        rate = float(task.setting("learning_rate"))
        self.optimizers: dict[str, torch.optim.Optimizer] = {"generator": adam(self.generator, rate, weight_decay=1e-5)}
        self.adversarial_weight = float(task.setting("adversarial_weight"))
        if self.adversarial_weight > 0:
            self.discriminator = BehaviourDiscriminator(
                table, rank, int(task.setting("hidden")), bool(task.setting("spectral_norm"))
            )
            self.discriminator.encoder.weigh(_weights(task))
            self.discriminator.to(device)
            self.modules["discriminator"] = self.discriminator
            rate = float(task.setting("discriminator_learning_rate"))
            self.optimizers["discriminator"] = adam(self.discriminator, rate)
        self._steps = self._all_steps = 0
        self.counterpart = Counterpart(task.counterpart_url, rank, device)
        unit = torch.full((rank + 1,), task.factor_scale, device=self.counterpart.table.device)
        unit[-1] = 1.0  # log popularity is not part of the factor
        self.unit = unit

    def start(self, epochs_done: int, steps_per_epoch: int) -> None:
        """Set the position at which training resumes; learning rate and adversarial steps depend on it."""
        self._steps = epochs_done * steps_per_epoch
        self._all_steps = self.task.epochs * steps_per_epoch

    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Train the discriminator, if it is due, then the generator for one step."""
        task = self.task
        codes = stacked(batch, task.code_columns, torch.long, self.device)
        numbers = stacked(batch, task.number_columns, torch.float32, self.device)
        tokens = stacked(batch, task.token_columns, torch.long, self.device) if task.bags else None
        vector = stacked(batch, task.factor_columns, torch.float32, self.device) / task.factor_scale
        real = Preference(vector, batch[str(task.activity_column)].to(self.device).float())
        clip = float(task.setting("gradient_clip"))
        report = {}
        if self._all_steps:
            # The rate falls towards the end: if constant, the last steps determine which items seem popular.
            peak = float(task.setting("learning_rate"))
            set_rate(self.optimizers["generator"], learning_rate_at(self._steps / self._all_steps, peak))
        self._steps += 1
        adversarial = self.adversarial_weight > 0 and self._steps % int(task.setting("adversarial_every")) == 0
        if adversarial:
            for _ in range(int(task.setting("discriminator_steps"))):
                loss = self._discriminator_loss(codes, numbers, tokens, real)
                apply(loss, self.discriminator, self.optimizers["discriminator"], clip)
            report["discriminator_loss"] = loss.detach()
        index = stacked(batch, task.positive_columns, torch.long, torch.device("cpu"))
        history = self._history(index)
        made = self.generator(codes, numbers, self._noise(len(codes)), history, tokens)
        parts = {
            "reconstruction": F.mse_loss(made.vector, real.vector),
            "ranking": self._ranking(made.vector, index),
            "activity": F.mse_loss(made.log_activity, real.log_activity),
        }
        total: Tensor = torch.stack([float(task.setting(f"{n}_weight")) * p for n, p in parts.items()]).sum()
        if adversarial:
            fooled = critic_generator_loss(self.discriminator(codes, numbers, made, tokens))
            # Lazy regularisation: every n-th step, with n times the weight (Karras et al. 2020, arXiv:1912.04958).
            total = total + self.adversarial_weight * int(task.setting("adversarial_every")) * fooled
            parts["adversarial"] = fooled
        apply(total, self.generator, self.optimizers["generator"], clip)
        report["generator_loss"] = total.detach()
        return report | {f"{name}_loss": part.detach() for name, part in parts.items()}

    def _discriminator_loss(self, codes: Tensor, numbers: Tensor, tokens: Tensor | None, real: Preference) -> Tensor:
        with torch.no_grad():
            fake = self.generator(codes, numbers, self._noise(len(codes)), tokens=tokens)
        judged = tuple(self.discriminator(codes, numbers, sample, tokens) for sample in (real, fake))
        if self.task.setting("adversarial_loss") == "hinge":
            return hinge_discriminator_loss(*judged)

        def critic(joined: Tensor) -> Tensor:
            value: Tensor = self.discriminator(codes, numbers, Preference(joined[:, :-1], joined[:, -1]), tokens)
            return value

        penalty = gradient_penalty(critic, _joined(real), _joined(fake))
        return wasserstein_critic_loss(*judged) + penalty

    def _history(self, index: Tensor) -> Tensor | None:
        """Summarise random positives as known history: none for a third of the rows, else 1 to `max_history`."""
        if not self.generator.max_history:
            return None
        count = torch.randint(1, self.generator.max_history + 1, (len(index), 1)) * (torch.rand(len(index), 1) > 1 / 3)
        order = torch.rand(index.shape).masked_fill(index < 0, 2.0).argsort(dim=1).argsort(dim=1)
        known = (order < count) & (index >= 0)
        vectors = self.counterpart.rows(index)[:, :, :-1]
        return summarised(vectors, known.to(vectors.device)).to(self.device)

    def _ranking(self, vector: Tensor, index: Tensor) -> Tensor:
        negatives, log_q = self.counterpart.negatives(int(self.task.setting("negatives")))
        return ranking_loss(
            self.generator.query(vector),
            (self.counterpart.rows(index) * self.unit).to(self.device),
            (index >= 0).to(self.device),
            (negatives * self.unit).to(self.device),
            log_q.to(self.device),
        )

    def _noise(self, rows: int) -> Tensor:
        return torch.randn(rows, self.generator.noise_dim, device=self.device)


def _weights(task: TrainingTask) -> list[tuple[Tensor, float]]:
    return [(torch.tensor(bag.weights), bag.hashed_weight) for bag in task.bags]


def _joined(sample: Preference) -> Tensor:
    return torch.cat([sample.vector, sample.log_activity[:, None]], dim=1)
