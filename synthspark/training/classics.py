"""Build the classic adversarial networks for profiles by name, and validate their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from synthspark.errors import ConfigError, did_you_mean
from synthspark.training.task import TrainingTask
from synthspark_models import (
    CodeShape,
    DcganDiscriminator,
    DcganGenerator,
    GanDiscriminator,
    GanGenerator,
    InfoGanDiscriminator,
    InfoGanGenerator,
    RowDiscriminator,
    RowGenerator,
    TableShape,
    WganCritic,
)
from synthspark_models.initialise import INITIALISATIONS, initialise

CODES = ("categorical_codes", "categories_per_code", "continuous_codes")
SIZES: dict[str, tuple[str, ...]] = {
    "gan": ("noise_dim", "hidden"),
    "dcgan": ("noise_dim", "hidden"),
    "infogan": ("noise_dim", "hidden", *CODES),
    "wgan_gp": ("noise_dim", "hidden"),
}
"""Network -> settings that its generator is built from; they are stored in model.json."""

LEAST = {
    "noise_dim": 1,
    "hidden": 1,
    "discriminator_steps": 1,
    "gradient_penalty": 0,
    "information_weight": 0,
    "categorical_codes": 0,
    "categories_per_code": 2,
    "continuous_codes": 0,
}
"""Setting -> smallest valid value."""


def build_generator(network: str, table: TableShape, settings: Mapping[str, Any]) -> RowGenerator:
    """Build the generator of a network in `SIZES` from its settings."""
    noise_dim, hidden = int(settings["noise_dim"]), int(settings["hidden"])
    if network == "dcgan":
        return DcganGenerator(table, noise_dim, hidden)
    if network == "infogan":
        return InfoGanGenerator(table, _codes(settings), noise_dim, hidden)
    return GanGenerator(table, noise_dim, hidden)


def build_discriminator(task: TrainingTask, table: TableShape) -> RowDiscriminator:
    """Build the discriminator (or critic) of a task's network."""
    hidden = int(task.setting("hidden"))
    if task.network == "wgan_gp":
        return WganCritic(table, hidden)
    spectral = bool(task.setting("spectral_norm"))
    if task.network == "dcgan":
        return DcganDiscriminator(table, hidden, spectral)
    if task.network == "infogan":
        return InfoGanDiscriminator(
            table, _codes({name: task.setting(name) for name in CODES}), hidden, spectral=spectral
        )
    return GanDiscriminator(table, hidden, spectral=spectral)


def initialised(task: TrainingTask, *networks: nn.Module) -> None:
    """Initialise the weights of networks by `hyper.initialisation`."""
    for network in networks:
        initialise(network, str(task.setting("initialisation")))


def check(task: TrainingTask) -> None:
    """Raise ConfigError for an invalid setting."""
    where = f"train.{task.name}.hyper"
    how = task.setting("initialisation")
    if how not in INITIALISATIONS:
        raise ConfigError(f"{where}.initialisation: {how!r} is not known.{did_you_mean(str(how), INITIALISATIONS)} "
                          f"Known: {', '.join(INITIALISATIONS)}.")  # fmt: skip
    for name, least in LEAST.items():
        if task.has(name) and float(task.setting(name)) < least:
            raise ConfigError(f"{where}.{name}: {task.setting(name)!r} is too small; give {least} or more")
    if task.has("label_smoothing") and not 0 <= float(task.setting("label_smoothing")) < 1:
        raise ConfigError(f"{where}.label_smoothing: {task.setting('label_smoothing')!r} is not in [0, 1); "
                          "0 disables it")  # fmt: skip
    if task.network == "infogan" and not task.setting("categorical_codes") + task.setting("continuous_codes"):
        raise ConfigError(f"{where}: categorical_codes and continuous_codes are both 0, so infogan has no codes to "
                          "learn; set one of them, or use network: gan")  # fmt: skip


def _codes(settings: Mapping[str, Any]) -> CodeShape:
    return CodeShape(*(int(settings[name]) for name in CODES))
