"""What sets the classic networks apart: their settings, their losses, and what codes mean."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from synthspark.errors import ConfigError
from synthspark.training.artifacts import load_generator, save_generator
from synthspark.training.gan import GanTrainer
from synthspark.training.task import TrainingTask
from synthspark_models import Codes, InfoGanGenerator

CPU = torch.device("cpu")
GROUPS = 4
CLASSICS = ("gan", "dcgan", "infogan", "wgan_gp")


def task(folder: Any, network: str, **hyper: Any) -> TrainingTask:
    return TrainingTask(
        name="profile_users", network=network, feed_url="file:///none", num_rows=64, code_columns=["group", "other"],
        cardinalities=[3 + GROUPS, 5], number_columns=["place"], output_url=f"file://{folder}", epochs=1, batch_size=64,
        hyper={"hidden": 32, "noise_dim": 4, **hyper},
    )  # fmt: skip


def batch(rows: int = 128) -> dict[str, Tensor]:
    """Groups far apart in `place`; `other` is noise."""
    group = torch.randint(0, GROUPS, (rows,))
    place = (group - 1.5) / 2 + 0.05 * torch.randn(rows)
    return {"group": group + 3, "other": torch.randint(3, 5, (rows,)), "place": place}


@pytest.mark.parametrize("network", CLASSICS)
def test_a_saved_generator_makes_the_same_rows(tmp_path: Any, network: str) -> None:
    torch.manual_seed(0)
    made = task(tmp_path, network, **({"categorical_codes": 2, "continuous_codes": 1} if network == "infogan" else {}))
    trainer = GanTrainer(made, CPU)
    for _ in range(3):
        trainer.step(batch())
    save_generator(made, trainer.generator, [])
    loaded, meta = load_generator(made.output_url)
    assert meta["network"] == network
    trainer.generator.eval()
    rows = []
    for generator in (trainer.generator, loaded):
        torch.manual_seed(1)
        rows.append(generator(generator.latent(20)))
    assert torch.equal(rows[0].codes(), rows[1].codes())
    assert torch.equal(rows[0].numbers, rows[1].numbers)


@pytest.mark.parametrize("network", CLASSICS)
def test_every_setting_of_weights_and_steps_is_used(tmp_path: Any, network: str) -> None:
    def after(**hyper: Any) -> Tensor:
        torch.manual_seed(0)
        trainer = GanTrainer(task(tmp_path, network, **hyper), CPU)
        torch.manual_seed(1)
        trainer.step(batch())
        return torch.cat([p.detach().flatten() for m in trainer.modules.values() for p in m.parameters()])

    plain, own = after(), {"label_smoothing": 0.3, "gradient_clip": 1e-3} if network != "wgan_gp" else {}
    own |= {"infogan": {"information_weight": 9.0}, "wgan_gp": {"gradient_penalty": 50.0}}.get(network, {})
    shared = {"initialisation": "orthogonal", "discriminator_steps": 3, "discriminator_learning_rate": 1e-2}
    for name, value in (shared | own | {"learning_rate": 1e-2, "temperature": 2.0}).items():
        assert not torch.equal(after(**{name: value}), plain), name
    assert torch.equal(after(), plain)


@pytest.mark.parametrize(
    ("network", "hyper", "message"),
    [
        ("gan", {"initialisation": "xavir"}, "initialisation: 'xavir' is not known. Did you mean 'xavier'"),
        ("dcgan", {"discriminator_steps": 0}, "discriminator_steps: 0 is too small; give 1 or more"),
        ("gan", {"label_smoothing": 1.0}, r"label_smoothing: 1.0 is not in \[0, 1\)"),
        ("wgan_gp", {"gradient_penalty": -1.0}, "gradient_penalty: -1.0 is too small"),
        ("infogan", {"categories_per_code": 1}, "categories_per_code: 1 is too small; give 2 or more"),
        ("infogan", {"categorical_codes": 0, "continuous_codes": 0}, "both 0.*use network: gan"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(tmp_path: Any, network: str, hyper: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"train.profile_users.hyper.*{message}"):
        GanTrainer(task(tmp_path, network, **hyper), CPU)


def test_a_code_moves_what_is_generated_more_than_chance(tmp_path: Any) -> None:
    torch.manual_seed(0)
    made = task(
        tmp_path, "infogan", categories_per_code=GROUPS, continuous_codes=0, learning_rate=1e-3,
        discriminator_learning_rate=1e-3,
    )  # fmt: skip
    trainer = GanTrainer(made, CPU)
    bounds = [trainer.step(batch())["mutual_information"].item() for _ in range(200)]
    assert bounds[0] < 0.2 < 0.5 < sum(bounds[-20:]) / 20 <= torch.log(torch.tensor(float(GROUPS))).item()
    generator = trainer.generator.eval()
    assert isinstance(generator, InfoGanGenerator)

    def shares(code: Tensor) -> Tensor:
        """Of each group, shape (GROUPS,), with the codes given and noise drawn."""
        noise, none = torch.randn(len(code), generator.noise_dim), torch.zeros(len(code), 0)
        groups = generator(generator.assemble(noise, Codes(code[:, None], none))).codes()[:, 0]
        return torch.bincount(groups, minlength=3 + GROUPS)[3:] / len(code)

    def farthest(first: list[Tensor], second: list[Tensor]) -> float:
        """The largest total variation between the two."""
        return max(0.5 * (a - b).abs().sum().item() for a in first for b in second)

    with torch.no_grad():
        by_code = [shares(torch.full((500,), k)) for k in range(GROUPS)]
        by_chance = [shares(torch.randint(GROUPS, (500,))) for _ in range(GROUPS)]
    assert farthest(by_code, by_code) > 5 * farthest(by_chance, by_chance)
    assert farthest(by_code, by_code) > 0.8
