"""Training that went wrong stops with a word on which side, and what to try."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from synthspark.errors import TrainingError
from synthspark.training.task import DEFAULTS, TrainingTask

PATIENCE = 3
"""Epochs in a row that a collapse must last."""
WON_LOSS, LOST_LOSS = 0.01, 6.0
"""Above the least possible / above: a discriminator that is never wrong, a generator that never gets through."""
LEAST_DIVERSITY = 0.05
"""Entropy of what is generated, in that of real rows."""

RUNAWAY = 1e3
"""Size of a critic's loss that no bounded slope explains: embedded rows are a few units apart."""

REMEDIES = {
    "generator": ("lower hyper.learning_rate", "lower hyper.gradient_clip", "lower hyper.adversarial_weight"),
    "discriminator": ("lower hyper.discriminator_learning_rate", "set hyper.spectral_norm",
                      "lower hyper.gradient_clip", "raise hyper.gradient_penalty"),
    "won": ("raise hyper.label_smoothing", "set hyper.spectral_norm", "lower hyper.discriminator_learning_rate",
            "take a larger batch_size"),
    "collapse": ("lower hyper.learning_rate", "set hyper.initialisation to xavier or orthogonal",
                 "set hyper.spectral_norm", "raise hyper.discriminator_steps", "take a larger batch_size"),
}  # fmt: skip
"""What to try, by what went wrong; only what the network has is said."""


@dataclass
class Watch:
    """Looks at the record of every epoch of one generator."""

    task: str
    network: str = "gan"
    least_loss: float = 0.0
    """What the discriminator's loss is when it is never wrong: smoothed labels leave some."""
    _won: int = field(default=0, init=False)
    _narrow: int = field(default=0, init=False)
    _away: int = field(default=0, init=False)

    @classmethod
    def of(cls, task: TrainingTask) -> Watch:
        """The watch that fits a task."""
        smoothing = float(task.setting("label_smoothing")) if task.has("label_smoothing") else 0.0
        least = -sum(p * math.log(p) for p in (smoothing, 1 - smoothing) if p > 0)
        return cls(task.name, task.network, least)

    def check(self, record: dict[str, float]) -> None:
        """Raises TrainingError if a loss is not finite, or if one side has given way for PATIENCE epochs."""
        for side in ("discriminator", "generator"):
            loss = record.get(f"{side}_loss", 0.0)
            if not math.isfinite(loss):
                self._stop(record, f"the {side} diverged: its loss is {loss}", side)
        if "diversity" not in record:  # only a pure GAN can lose its anchor
            return
        if self.network == "wgan_gp":
            # Its losses are differences of values: negative, or large, without anybody having won.
            self._away = self._away + 1 if abs(record["discriminator_loss"]) > RUNAWAY else 0
        else:
            won = record["discriminator_loss"] - self.least_loss < WON_LOSS and record["generator_loss"] > LOST_LOSS
            self._won = self._won + 1 if won else 0
        self._narrow = self._narrow + 1 if record["diversity"] < LEAST_DIVERSITY else 0
        if self._away >= PATIENCE:
            self._stop(record, f"the discriminator's values run away: for {PATIENCE} epochs its loss is beyond "
                       f"{RUNAWAY:g} (now {record['discriminator_loss']:.3g})", "discriminator")  # fmt: skip
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
