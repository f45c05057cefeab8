"""Detect failed training and stop it with an error that names the failing network and remedies."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from synthspark.errors import TrainingError
from synthspark.training.task import DEFAULTS, TrainingTask

PATIENCE = 3
"""Number of consecutive epochs that a failure must last."""
WON_LOSS, LOST_LOSS = 0.01, 6.0
"""The discriminator has won if its loss is less than the former above its minimum and the generator's exceeds the
latter."""
MIN_DIVERSITY = 0.05
"""Minimum entropy of generated rows, as a share of that of real rows."""

MAX_LOSS = 1e3
"""Absolute loss of a critic that is impossible with a bounded slope, since embedded rows are a few units apart."""

REMEDIES = {
    "generator": ("lower hyper.learning_rate", "lower hyper.gradient_clip", "lower hyper.adversarial_weight"),
    "discriminator": ("lower hyper.discriminator_learning_rate", "set hyper.spectral_norm",
                      "lower hyper.gradient_clip", "raise hyper.gradient_penalty"),
    "won": ("raise hyper.label_smoothing", "set hyper.spectral_norm", "lower hyper.discriminator_learning_rate",
            "take a larger batch_size"),
    "collapse": ("lower hyper.learning_rate", "set hyper.initialisation to xavier or orthogonal",
                 "set hyper.spectral_norm", "raise hyper.discriminator_steps", "take a larger batch_size"),
}  # fmt: skip
"""Failure -> remedies to try; only settings that the network has are suggested."""


@dataclass
class Watch:
    """Checks the record of every epoch of one generator."""

    task: str
    network: str = "gan"
    least_loss: float = 0.0
    """Loss of a discriminator that is never wrong; positive with label smoothing."""
    _won: int = field(default=0, init=False)
    _narrow: int = field(default=0, init=False)
    _away: int = field(default=0, init=False)

    @classmethod
    def of(cls, task: TrainingTask) -> Watch:
        """Create the watch for a task."""
        smoothing = float(task.setting("label_smoothing")) if task.has("label_smoothing") else 0.0
        least = -sum(p * math.log(p) for p in (smoothing, 1 - smoothing) if p > 0)
        return cls(task.name, task.network, least)

    def check(self, record: dict[str, float]) -> None:
        """Raise TrainingError if a loss is not finite, or if training has failed for PATIENCE epochs."""
        for side in ("discriminator", "generator"):
            loss = record.get(f"{side}_loss", 0.0)
            if not math.isfinite(loss):
                self._stop(record, f"the {side} diverged: its loss is {loss}", side)
        if "diversity" not in record:  # only GANs without another loss can collapse
            return
        if self.network == "wgan_gp":
            # Its losses are differences of values, which can be negative or large without a winner.
            self._away = self._away + 1 if abs(record["discriminator_loss"]) > MAX_LOSS else 0
        else:
            won = record["discriminator_loss"] - self.least_loss < WON_LOSS and record["generator_loss"] > LOST_LOSS
            self._won = self._won + 1 if won else 0
        self._narrow = self._narrow + 1 if record["diversity"] < MIN_DIVERSITY else 0
        if self._away >= PATIENCE:
            self._stop(record, f"the discriminator's values run away: for {PATIENCE} epochs its loss is beyond "
                       f"{MAX_LOSS:g} (now {record['discriminator_loss']:.3g})", "discriminator")  # fmt: skip
        if self._won >= PATIENCE:
            self._stop(record, f"the discriminator has won for {PATIENCE} epochs: the generator learns nothing "
                       f"(losses {record['discriminator_loss']:.3g} and {record['generator_loss']:.3g})",
                       "won")  # fmt: skip
        if self._narrow >= PATIENCE:
            self._stop(record, f"the generator collapsed: for {PATIENCE} epochs its rows have "
                       f"{record['diversity']:.1%} of the real rows' entropy", "collapse")  # fmt: skip

    def _stop(self, record: dict[str, float], what: str, wrong: str) -> None:
        known = DEFAULTS[self.network]
        tries = [t for t in REMEDIES[wrong] if "hyper." not in t or t.split("hyper.")[1].split()[0] in known]
        raise TrainingError(
            f"{self.task}, epoch {record['epoch']:.0f}: {what}. Try: {', or '.join(tries)} "
            f"(under train.{self.task} in the configuration)."
        )
