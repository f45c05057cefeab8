from __future__ import annotations

from typing import Any

import pytest
import torch

from synthspark.errors import TrainingError
from synthspark.training.artifacts import load_generator, restore_checkpoint, save_checkpoint, save_generator
from synthspark.training.divergence import Watch
from synthspark.training.gan import GanTrainer, diversity
from synthspark.training.task import TrainingTask


def task(folder: Any, **hyper: Any) -> TrainingTask:
    return TrainingTask(
        name="profile_items", network="gan", feed_url="file:///none", num_rows=64, code_columns=["c"],
        cardinalities=[8],
        number_columns=["x"], output_url=f"file://{folder}", epochs=30, batch_size=64, hyper={"hidden": 16, **hyper},
    )  # fmt: skip


def train(made: TrainingTask, epochs: int, steps: int = 20, narrow: bool = False) -> dict[str, float]:
    """Epochs of a GAN on one planted batch (one value, so that a frozen generator is easily told), watched."""
    torch.manual_seed(0)
    trainer, watch = GanTrainer(made, torch.device("cpu")), Watch(made.name)
    batch = {"c": torch.full((64,), 5) if narrow else torch.randint(3, 8, (64,)), "x": torch.rand(64) * 2 - 1}
    record: dict[str, float] = {}
    for epoch in range(1, epochs + 1):
        losses = [trainer.step(batch) for _ in range(steps)]
        record = {"epoch": epoch} | {k: float(torch.stack([x[k] for x in losses]).mean()) for k in losses[0]}
        watch.check(record)
    return record


def test_a_sane_gan_trains_to_the_end(tmp_path: Any) -> None:
    assert train(task(tmp_path), 5)["diversity"] > 0.5


def test_a_badly_set_gan_is_stopped_with_the_side_and_a_remedy(tmp_path: Any) -> None:
    bad = task(tmp_path, learning_rate=0.0, discriminator_learning_rate=0.01, label_smoothing=0.0, temperature=5.0)
    with pytest.raises(TrainingError, match=r"profile_items, epoch \d+: the discriminator has won .*Try: "):
        train(bad, 60, narrow=True)
    wild = task(tmp_path, discriminator_learning_rate=1e30, gradient_clip=1e30)
    with pytest.raises(TrainingError, match=r"discriminator diverged.*discriminator_learning_rate"):
        train(wild, 5)


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


def test_a_checkpoint_goes_on_exactly_where_it_was(tmp_path: Any) -> None:
    made = task(tmp_path)
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
    assert restore_checkpoint(task(tmp_path, noise_dim=3), {}, {}) == 0  # another task's checkpoint is not taken


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
