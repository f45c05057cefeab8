"""Training that went wrong stops with a word on which side, and what to try."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from synthspark.errors import TrainingError

PATIENCE = 3
"""Epochs in a row that a collapse must last."""
WON_LOSS, LOST_LOSS = 0.01, 6.0
"""Below / above: a discriminator that is never wrong, a generator that never gets through."""
LEAST_DIVERSITY = 0.05
"""Entropy of what is generated, in that of real rows."""

REMEDIES = {
    "generator": "lower hyper.learning_rate, lower hyper.gradient_clip, or lower hyper.adversarial_weight",
    "discriminator": "lower hyper.discriminator_learning_rate, set hyper.spectral_norm, or lower hyper.gradient_clip",
    "collapse": "raise hyper.label_smoothing, set hyper.spectral_norm, lower hyper.discriminator_learning_rate, "
    "or take a larger batch_size",
}


@dataclass
class Watch:
    """Looks at the record of every epoch of one generator."""

    task: str
    _won: int = field(default=0, init=False)
    _narrow: int = field(default=0, init=False)

    def check(self, record: dict[str, float]) -> None:
        """Raises TrainingError if a loss is not finite, or if the generator has collapsed for PATIENCE epochs."""
        for side in ("discriminator", "generator"):
            loss = record.get(f"{side}_loss", 0.0)
            if not math.isfinite(loss):
                self._stop(record, f"the {side} diverged: its loss is {loss}", REMEDIES[side])
        if "diversity" not in record:  # only a pure GAN can lose its anchor
            return
        won = record["discriminator_loss"] < WON_LOSS and record["generator_loss"] > LOST_LOSS
        self._won = self._won + 1 if won else 0
        self._narrow = self._narrow + 1 if record["diversity"] < LEAST_DIVERSITY else 0
        if self._won >= PATIENCE:
            self._stop(record, f"the discriminator has won for {PATIENCE} epochs: the generator learns nothing "
                       f"(losses {record['discriminator_loss']:.3g} and {record['generator_loss']:.3g})",
                       REMEDIES["collapse"])  # fmt: skip
        if self._narrow >= PATIENCE:
            self._stop(record, f"the generator collapsed: for {PATIENCE} epochs its rows have "
                       f"{record['diversity']:.1%} of the real rows' entropy", REMEDIES["collapse"])  # fmt: skip

    def _stop(self, record: dict[str, float], what: str, remedy: str) -> None:
        raise TrainingError(
            f"{self.task}, epoch {record['epoch']:.0f}: {what}. Try: {remedy} "
            f"(under train.{self.task} in the configuration)."
        )
