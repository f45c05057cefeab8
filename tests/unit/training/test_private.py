"""DP-SGD: a row moves the weights by its share at most, noise is there, and what breaks the guarantee is refused."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from synthspark.config import ProfileNetwork, Train
from synthspark.errors import ConfigError
from synthspark.newrows import training as stage
from synthspark.profiles.tokens import CategoryTokens, TokenEncoding
from synthspark.sides import USERS
from synthspark.training import private
from synthspark.training.artifacts import save_tokens
from synthspark.training.autoregressive import AutoregressiveTrainer
from synthspark.training.private import PrivateSteps, poisson_batches, privacy_spent
from synthspark.training.task import TrainingTask
from synthspark_models import AutoregressiveGenerator

pytest.importorskip("opacus")

CPU = torch.device("cpu")
NAMES, CARDS = ["a", "b"], [7, 7]
COUNTS = (0, 0, 0, 16, 16, 16, 16)
ENCODING = TokenEncoding(
    dict.fromkeys(NAMES, "categorical"),
    tuple(CategoryTokens(n, n, ("x", "y", "z", "w")) for n in NAMES),
    counts=(COUNTS,) * 2,
)
BATCH = 16


def task(folder: Any = "/none", noise: float = 1.0, delta: float = 1e-4, **hyper: Any) -> TrainingTask:
    return TrainingTask("profile_users", "autoregressive", "", 64, NAMES, CARDS, [], f"file://{folder}", 1, BATCH,
                        dp={"noise_multiplier": noise, "max_grad_norm": 0.5, "delta": delta},
                        hyper={"hidden": 8, "layers": 1, "dropout": 0.0, **hyper})  # fmt: skip


def moved(tokens: Tensor, noise: float, chunk: int | None = None) -> Tensor:
    """How far one step of plain gradient descent at rate 1 moves the weights, flat."""
    torch.manual_seed(0)
    network = AutoregressiveGenerator(CARDS, hidden=8, layers=1, dropout=0.0)
    before = torch.cat([p.detach().clone().flatten() for p in network.parameters()])
    steps = PrivateSteps(task(noise=noise), network, torch.optim.SGD(network.parameters(), 1.0))
    steps.chunk = chunk or steps.chunk
    torch.manual_seed(1)
    steps.step(tokens)
    return torch.cat([p.detach().flatten() for p in network.parameters()]) - before


def test_a_row_moves_the_weights_by_its_clipped_share_at_most() -> None:
    one = torch.tensor([[3, 4]])
    assert float(moved(one, 1e-9).norm()) == pytest.approx(0.5 / BATCH, rel=1e-3)
    assert float(moved(one.expand(5, -1), 1e-9).norm()) <= 5 * 0.5 / BATCH * 1.001


def test_the_noise_is_of_the_size_that_was_asked_for_even_without_rows() -> None:
    for tokens in (torch.zeros(0, 2, dtype=torch.long), torch.tensor([[3, 4]])):
        noise = moved(tokens, 3.0) - (moved(tokens, 1e-9) if len(tokens) else 0)
        assert float(noise.std()) == pytest.approx(3.0 * 0.5 / BATCH, rel=0.1)


def test_chunks_are_one_step_with_one_noise() -> None:
    tokens = torch.stack([torch.randint(3, 7, (10,)), torch.randint(3, 7, (10,))], dim=1)
    assert float(moved(tokens, 2.0, chunk=3).std()) == pytest.approx(2.0 * 0.5 / BATCH, rel=0.15)


def test_rows_are_taken_apart_from_each_other() -> None:
    """Poisson: the size of a batch varies as that of 64 coins does, and two rows meet as often as chance says."""
    torch.manual_seed(0)
    feed = iter([{"a": torch.arange(40)}, {"a": torch.arange(40, 64)}])
    batches = poisson_batches(feed, BATCH)
    taken = torch.zeros(2000, 64, dtype=torch.bool)
    for i in range(2000):
        taken[i, next(batches)["a"]] = True
    sizes = taken.sum(dim=1).float()
    assert float(sizes.mean()) == pytest.approx(BATCH, abs=0.3)
    assert float(sizes.var()) == pytest.approx(64 * 0.25 * 0.75, rel=0.15)
    assert float((taken[:, 0] & taken[:, 63]).float().mean()) == pytest.approx(1 / 16, abs=0.02)


def test_epsilon_is_that_of_the_gaussian_mechanism_where_every_row_is_always_taken() -> None:
    """Without subsampling RDP is alpha T / (2 s^2), and epsilon the least of it + what the order costs."""
    whole = TrainingTask("profile_users", "autoregressive", "", 64, NAMES, CARDS, [], "", 1, 64,
                         dp={"noise_multiplier": 4.0, "max_grad_norm": 1.0, "delta": 1e-5})  # fmt: skip
    found = privacy_spent(whole, 10)
    assert found["sampling_rate"] == 1
    orders = [1 + x / 100 for x in range(1, 6000)]
    costs = [a * 10 / 32 + math.log((a - 1) / a) - (math.log(1e-5) + math.log(a)) / (a - 1) for a in orders]
    assert found["epsilon"] == pytest.approx(min(costs), rel=0.01)
    assert privacy_spent(task(), 10)["epsilon"] < privacy_spent(task(), 100)["epsilon"]
    assert privacy_spent(task(noise=2.0), 10)["epsilon"] < privacy_spent(task(noise=1.0), 10)["epsilon"]


def test_a_trainer_with_dp_takes_private_steps(tmp_path: Any) -> None:
    made = task(tmp_path)
    save_tokens(made.output_url, ENCODING)
    torch.manual_seed(0)
    trainer = AutoregressiveTrainer(made, CPU)
    trainer.start(0, 4)
    before = trainer.network.embeddings[0].weight.detach().clone()
    assert torch.isfinite(trainer.step({"a": torch.tensor([3, 4]), "b": torch.tensor([3, 5])})["generator_loss"])
    # Of 7 embeddings plain gradients would have reached 3: noise is on all of them.
    assert ((trainer.network.embeddings[0].weight - before).abs().sum(dim=1) > 0).all()
    assert trainer.step_number == 1


def test_what_breaks_the_guarantee_is_refused(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tokens(task(tmp_path).output_url, ENCODING)
    with pytest.raises(ConfigError, match=r"dp.delta: 0.1 times 64 rows is at least 1.*; set 0.002 or less"):
        AutoregressiveTrainer(task(tmp_path, delta=0.1), CPU)
    with pytest.raises(ConfigError, match="a discriminator sees real rows without noise"):
        AutoregressiveTrainer(task(tmp_path, adversarial_weight=0.1), CPU)
    monkeypatch.setattr(private, "processes", lambda: 2)
    with pytest.raises(ConfigError, match="train.processes: 1"):
        AutoregressiveTrainer(task(tmp_path), CPU)
    monkeypatch.setattr(private, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"train.profile_users.dp needs opacus.*pip install 'synthspark\[privacy\]'"):
        AutoregressiveTrainer(task(tmp_path), CPU)


def test_a_judge_beside_it_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="the judge learns from real rows without noise; set judged: false"):
        ProfileNetwork.model_validate({"dp": {}})
    with pytest.raises(ValueError, match="dp is for network autoregressive, not for 'gan'"):
        ProfileNetwork.model_validate({"dp": {}, "network": "gan", "judged": False})
    assert ProfileNetwork.model_validate({"dp": {}, "judged": False}).dp is not None


def test_a_task_without_dp_has_the_fingerprint_that_it_had() -> None:
    plain = TrainingTask("profile_users", "gan", "", 8, [], [], [], "", 1, 4)
    assert plain.fingerprint() == "dadeb9f5174422ff"
    assert task().fingerprint() != task(noise=2.0).fingerprint()


def test_a_private_task_hears_nothing_of_held_out_rows_and_is_checked_before_it_starts(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(dp: dict[str, float] | None, processes: int = 1) -> TrainingTask:
        train = Train(
            processes=processes, profile_users=ProfileNetwork.model_validate({"dp": dp, "judged": dp is None})
        )
        context: Any = SimpleNamespace(
            config=SimpleNamespace(train=train, seed=0), url=lambda table: f"/lake/{table.name}", rows=lambda *_: 8
        )
        return stage._token_task(context, USERS, 64, f"file://{tmp_path}")

    monkeypatch.setattr(stage, "read_tokens", lambda *_: ENCODING)
    private_task, plain = made({"noise_multiplier": 2.0}), made(None)
    assert private_task.dp == {"noise_multiplier": 2.0, "max_grad_norm": 1.0, "delta": 1e-5}
    assert private_task.validation_url is None
    assert plain.dp is None
    assert plain.validation_url is not None
    with pytest.raises(ConfigError, match="each of 2 processes would add its own noise"):
        made({}, processes=2)
