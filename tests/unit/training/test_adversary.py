"""The adversarial half of the any-order network: what it teaches, and that nothing of it is there where it is off."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from synthspark.errors import ConfigError
from synthspark.profiles.tokens import CategoryTokens, TokenEncoding
from synthspark.training.artifacts import restore_checkpoint, save_checkpoint, save_tokens
from synthspark.training.autoregressive import AutoregressiveTrainer
from synthspark.training.optimise import one_cycle
from synthspark.training.task import TrainingTask
from synthspark_models import AutoregressiveGenerator
from synthspark_models.autoregressive import any_order_loss
from synthspark_models.relaxed import relaxed_rows

CPU = torch.device("cpu")
NAMES = ("a", "b", "c")
VALUES = ("x", "y", "z", "w")
COUNTS = (0, 0, 0, 16, 16, 16, 16)
CARDS = [len(COUNTS)] * len(NAMES)
ENCODING = TokenEncoding(
    dict.fromkeys(NAMES, "categorical"), tuple(CategoryTokens(n, n, VALUES) for n in NAMES), counts=(COUNTS,) * 3
)
STEPS = 6


def task(folder: Any, **hyper: Any) -> TrainingTask:
    made = TrainingTask("profile_users", "autoregressive", "", 64, list(NAMES), CARDS, [], f"file://{folder}", 1, 64,
                        hyper={"hidden": 16, "layers": 1, **hyper})  # fmt: skip
    save_tokens(made.output_url, ENCODING)
    return made


def batch() -> dict[str, Tensor]:
    """The second column repeats the first."""
    first = torch.randint(3, 7, (64,))
    return {"a": first, "b": first, "c": torch.randint(3, 7, (64,))}


def trained(made: TrainingTask) -> tuple[AutoregressiveTrainer, list[dict[str, Tensor]]]:
    torch.manual_seed(0)
    trainer = AutoregressiveTrainer(made, CPU)
    trainer.start(0, STEPS)
    batches = batches_of(STEPS)
    torch.manual_seed(2)
    return trainer, [trainer.step(b) for b in batches]


def batches_of(steps: int) -> list[dict[str, Tensor]]:
    torch.manual_seed(1)
    return [batch() for _ in range(steps)]


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_drawn_rows_are_one_hot_as_often_as_the_chain_says_and_every_head_gets_a_gradient() -> None:
    torch.manual_seed(3)
    network = AutoregressiveGenerator((4, 5), hidden=16, layers=1).train()
    with torch.no_grad():
        network.biases[0].copy_(torch.tensor([5.0, 0.0, 1.0, 2.0]))
    sample = relaxed_rows(network, 4000, temperature=1.0)
    assert network.training
    for one_hot in sample.categories:
        assert set(one_hot.unique().tolist()) == {0.0, 1.0}
        assert (one_hot.sum(dim=1) == 1).all()
        assert (one_hot[:, 0] == 0).all()  # UNKNOWN is no value, however likely
    found = sample.categories[0].mean(dim=0)[1:]
    # The network is new: its first column hardly depends on the second, and its bias decides.
    assert torch.allclose(found, torch.softmax(torch.tensor([0.0, 1.0, 2.0]), 0), atol=0.05)
    (sample.categories[0] @ torch.randn(4) * (sample.categories[1] @ torch.randn(5))).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_what_later_columns_saw_teaches_those_before() -> None:
    """A loss on the column that is drawn last moves the head of the first one."""
    network = AutoregressiveGenerator((4, 5), hidden=16, layers=1)
    for seed in range(8):
        torch.manual_seed(seed)
        last = torch.randperm(2).tolist()[-1]
        torch.manual_seed(seed)
        sample = relaxed_rows(network, 64, temperature=1.0)
        network.zero_grad()
        (sample.categories[last] @ torch.randn(sample.categories[last].shape[1])).sum().backward()
        reached = network.heads[1 - last].weight.grad
        assert reached is not None
        assert reached.abs().sum() > 0


def test_weight_0_is_the_likelihood_alone_to_the_byte(tmp_path: Any) -> None:
    trainer, _ = trained(task(tmp_path, adversarial_weight=0.0))
    torch.manual_seed(0)
    network = AutoregressiveGenerator(CARDS, hidden=16, layers=1)
    network.start_from_shares([torch.tensor(COUNTS)] * 3)
    optimizer = torch.optim.AdamW(network.parameters(), 4e-3, weight_decay=1e-4, fused=True)
    batches = batches_of(STEPS)
    torch.manual_seed(2)
    for number, rows in enumerate(batches):
        optimizer.param_groups[0]["lr"] = one_cycle(number / STEPS, 4e-3)
        optimizer.zero_grad()
        any_order_loss(network, torch.stack([rows[n] for n in NAMES], dim=1)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    assert same(trainer.network, network)
    assert set(trainer.modules) == {"network", "generator"}


def test_the_adversarial_half_comes_when_due_and_moves_both_sides(tmp_path: Any) -> None:
    alone, _ = trained(task(tmp_path))
    trainer, records = trained(task(tmp_path, adversarial_weight=1.0, adversarial_every=3))
    assert [i for i, r in enumerate(records) if "discriminator_loss" in r] == [0, 3]
    assert not same(trainer.network, alone.network)
    assert trainer.adversary is not None
    torch.manual_seed(0)
    untouched = AutoregressiveTrainer(task(tmp_path, adversarial_weight=1.0), CPU)
    assert untouched.adversary is not None
    before = dict(untouched.adversary.discriminator.named_parameters())
    for name, after in trainer.adversary.discriminator.named_parameters():
        if name != "last.bias":  # inside both hinges its gradient is 1 - 1
            assert not torch.equal(after, before[name]), name


def test_a_checkpoint_holds_both_sides(tmp_path: Any) -> None:
    made = task(tmp_path, adversarial_weight=1.0)
    trainer, _ = trained(made)
    save_checkpoint(made, 1, trainer.modules, trainer.optimizers)
    torch.manual_seed(9)
    again = AutoregressiveTrainer(made, CPU)
    assert restore_checkpoint(made, again.modules, again.optimizers) == 1
    for name, module in trainer.modules.items():
        assert same(module, again.modules[name]), name
    assert again.optimizers["discriminator"].state_dict()["state"]


def test_a_discriminator_tells_a_broken_chain_from_a_sound_one(tmp_path: Any) -> None:
    """Against a generator that draws its columns apart, the discriminator of rows wins: the loss falls below 2 x .5."""
    torch.manual_seed(0)
    made = task(tmp_path, adversarial_weight=1e-9, discriminator_learning_rate=1e-2, spectral_norm=False)
    trainer = AutoregressiveTrainer(made, CPU)
    assert trainer.adversary is not None
    losses = []
    for _ in range(150):
        rows = batch()
        tokens = torch.stack([rows[n] for n in NAMES], dim=1)
        losses.append(float(trainer.adversary.step(trainer.network, tokens)[1]["discriminator_loss"]))
    assert losses[0] > 1.8
    assert sum(losses[-10:]) / 10 < 1.0


def test_an_interval_of_none_is_refused(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="adversarial_every: 0 is too small"):
        AutoregressiveTrainer(task(tmp_path, adversarial_weight=1.0, adversarial_every=0), CPU)
