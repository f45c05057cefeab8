from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from synthspark.errors import TrainingError
from synthspark.training.artifacts import load_generator, restore_checkpoint, save_checkpoint, save_generator
from synthspark.training.divergence import Watch
from synthspark.training.gan import GanTrainer, diversity
from synthspark.training.task import DEFAULTS, TrainingTask

CLASSICS = ("gan", "dcgan", "infogan", "wgan_gp")
QUICK = {"learning_rate": 1e-3, "discriminator_learning_rate": 1e-3}


def task(folder: Any, network: str = "gan", **hyper: Any) -> TrainingTask:
    return TrainingTask(
        name="profile_items", network=network, feed_url="file:///none", num_rows=64, code_columns=["c"],
        cardinalities=[8],
        number_columns=["x"], output_url=f"file://{folder}", epochs=30, batch_size=64, hyper={"hidden": 16, **hyper},
    )  # fmt: skip


def train(
    made: TrainingTask, epochs: int, steps: int = 20, narrow: bool = False, trainer: GanTrainer | None = None
) -> dict[str, float]:
    """Epochs of a GAN on one planted batch (one value, so that a frozen generator is easily told), watched."""
    torch.manual_seed(0)
    trainer, watch = trainer or GanTrainer(made, torch.device("cpu")), Watch.of(made)
    batch = {"c": torch.full((64,), 5) if narrow else torch.randint(3, 8, (64,)), "x": torch.rand(64) * 2 - 1}
    record: dict[str, float] = {}
    for epoch in range(1, epochs + 1):
        losses = [trainer.step(batch) for _ in range(steps)]
        record = {"epoch": epoch} | {k: float(torch.stack([x[k] for x in losses]).mean()) for k in losses[0]}
        watch.check(record)
    return record


@pytest.mark.parametrize("network", CLASSICS)
def test_a_sanely_set_network_trains_to_the_end(tmp_path: Any, network: str) -> None:
    assert train(task(tmp_path, network, **QUICK), 5)["diversity"] > 0.5


@pytest.mark.parametrize("network", CLASSICS)
def test_a_wild_discriminator_is_stopped_with_a_remedy_that_the_network_has(tmp_path: Any, network: str) -> None:
    wild = task(tmp_path, network, discriminator_learning_rate=1e30, gradient_clip=1e30)
    with pytest.raises(TrainingError, match=r"profile_items, epoch \d+: the discriminator diverged") as stopped:
        train(wild, 5)
    keys = re.findall(r"hyper\.(\w+)", str(stopped.value))
    assert "discriminator_learning_rate" in keys
    assert set(keys) <= set(DEFAULTS[network])


@pytest.mark.parametrize("network", CLASSICS)
def test_a_generator_of_one_row_is_stopped_as_collapsed(tmp_path: Any, network: str) -> None:
    one_row = task(tmp_path, network, learning_rate=0.0, temperature=0.1)
    trainer = GanTrainer(one_row, torch.device("cpu"))
    with torch.no_grad():
        trainer.generator.heads.categories[0].bias[5] = 1e4
        trainer.generator.heads.numbers.weight.zero_()
    with pytest.raises(TrainingError, match=r"the generator collapsed.*Try: .*hyper.learning_rate.*initialisation"):
        train(one_row, 5, trainer=trainer)


@pytest.mark.parametrize("smoothing", [0.0, 0.02])
def test_a_discriminator_that_has_won_is_seen_through_smoothed_labels_too(tmp_path: Any, smoothing: float) -> None:
    bad = task(
        tmp_path, learning_rate=0.0, discriminator_learning_rate=0.01, label_smoothing=smoothing, temperature=5.0
    )
    with pytest.raises(TrainingError, match=r"profile_items, epoch \d+: the discriminator has won .*Try: "):
        train(bad, 60, narrow=True)


def test_the_critic_of_a_wasserstein_gan_does_not_win_by_being_negative_but_may_run_away() -> None:
    watch = Watch("profile_items", "wgan_gp")
    for epoch in range(1, 9):
        watch.check({"epoch": epoch, "discriminator_loss": -8.0, "generator_loss": 40.0, "diversity": 1.0})
    away = {"epoch": 9.0, "discriminator_loss": 1e6, "generator_loss": 40.0, "diversity": 1.0}
    watch.check(away)
    watch.check(away)
    with pytest.raises(TrainingError, match=r"values run away.*1e\+06.*raise hyper.gradient_penalty"):
        watch.check(away)
    won = {"epoch": 1.0, "discriminator_loss": 0.0, "generator_loss": 40.0, "diversity": 1.0}
    minimax = Watch("profile_items", "dcgan")
    minimax.check(won)
    minimax.check(won)
    with pytest.raises(TrainingError, match="has won for 3 epochs"):
        minimax.check(won)


def test_collapse_is_seen_in_the_rows() -> None:
    codes, numbers = torch.randint(3, 8, (256, 2)), torch.rand(256, 1)
    assert diversity(codes, numbers, codes, numbers) == pytest.approx(1.0)
    assert diversity(torch.full_like(codes, 3), torch.zeros_like(numbers), codes, numbers) < 0.01
    watch = Watch("profile_users")
    record = {"epoch": 1.0, "discriminator_loss": 1.0, "generator_loss": 1.0, "diversity": 0.01}
    watch.check(record)
    watch.check(record)
    with pytest.raises(TrainingError, match="the generator collapsed"):
        watch.check(record)


@pytest.mark.parametrize("network", CLASSICS)
def test_a_checkpoint_goes_on_exactly_where_it_was(tmp_path: Any, network: str) -> None:
    made = task(tmp_path, network)
    batch = {"c": torch.randint(3, 8, (64,)), "x": torch.rand(64)}
    first = GanTrainer(made, torch.device("cpu"))
    first.step(batch)
    save_checkpoint(made, 1, first.modules, first.optimizers)
    second = GanTrainer(made, torch.device("cpu"))
    assert restore_checkpoint(made, second.modules, second.optimizers) == 1
    for trainer in (first, second):
        torch.manual_seed(5)
        trainer.step(batch)
    for a, b in zip(first.generator.parameters(), second.generator.parameters(), strict=True):
        assert torch.equal(a, b)
    assert (
        restore_checkpoint(task(tmp_path, network, noise_dim=3), {}, {}) == 0
    )  # another task's checkpoint is not taken


def test_a_damaged_model_is_refused(tmp_path: Any) -> None:
    made = task(tmp_path)
    save_generator(made, GanTrainer(made, torch.device("cpu")).generator, [])
    assert load_generator(made.output_url)[1]["network"] == "gan"
    weights = tmp_path / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(Exception, match="model.safetensors is damaged"):
        load_generator(made.output_url)
