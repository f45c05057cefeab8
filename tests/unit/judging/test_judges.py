"""Every kind of judge: that it learns, is as sure as it may be, stops, and travels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from synthspark import config as configuration
from synthspark.coldstart.judge import fit_judge
from synthspark.errors import LakeError, TrainingError
from synthspark.judging import (
    Judge,
    LabelledFeatures,
    NetworkJudge,
    NetworkSettings,
    PairTable,
    TreeJudge,
    TreeSettings,
    fit_network,
    fit_trees,
    load_judge,
    save_judge,
)
from synthspark.judging.judge import held_out, roc_auc
from synthspark.judging.network import _share_of_rate
from synthspark.judging.prior import PRIOR_STRENGTH
from synthspark.training import storage

NAMES = list("abcd")
PAIR_NAMES = ["a", "linear_score", "c", "d"]
TABLE = PairTable([], [], [], [])
Fit = Callable[..., Judge | None]


def trees(features: np.ndarray, labels: np.ndarray, items: np.ndarray, size: int = 300) -> Judge | None:
    return fit_trees(features, labels, items, NAMES, TreeSettings(trees=size))


def network(features: np.ndarray, labels: np.ndarray, items: np.ndarray, size: int = 12) -> Judge | None:
    settings = NetworkSettings(epochs=size, hidden=32, batch_size=128)
    return fit_network(features, labels, items, NAMES, settings)


@pytest.fixture(params=[trees, network])
def fit(request: pytest.FixtureRequest) -> Fit:
    return request.param


def logit(chance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.log(chance / (1 - chance))


def chance(features: np.ndarray) -> npt.NDArray[np.float64]:
    """The planted probability of real: of a heavy-tailed count and a small cosine, and of the two together."""
    wanted = np.log1p(features[:, 0]) - 2.0 + 200.0 * features[:, 1] * (features[:, 0] > 2)
    return 1 / (1 + np.exp(-wanted.astype(np.float64)))


def planted(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns: the count, the cosine, a constant, and noise of a large scale."""
    rng = np.random.default_rng(seed)
    columns = [np.floor(rng.lognormal(1, 1.5, rows)), rng.uniform(-0.01, 0.01, rows), np.full(rows, 7.3),
               1e4 * rng.normal(size=rows)]  # fmt: skip
    features = np.column_stack(columns).astype(np.float32)
    labels = rng.random(rows) < chance(features)
    return features, labels, rng.integers(0, 50, rows).astype(np.int32)


def ruled(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A rule with little noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 4)).astype(np.float32)
    labels = features[:, 1] + 0.3 * rng.normal(size=rows) > 0.5
    return features, labels, rng.integers(0, 50, rows).astype(np.int32)


def test_a_planted_rule_is_learned(fit: Fit) -> None:
    features, labels, items = ruled(4000)
    judge = fit(features, labels, items)
    assert judge is not None
    assert judge.auc is not None
    assert judge.auc > 0.95
    assert judge.num_pairs == 4000
    new, real, _ = ruled(4000, seed=1)
    assert roc_auc(real, judge.probability(new)) == pytest.approx(judge.auc, abs=0.01)


def test_probabilities_are_the_planted_ones(fit: Fit) -> None:
    judge = fit(*planted(20_000))
    assert judge is not None
    unseen, _, _ = planted(20_000, seed=1)
    said, true = judge.probability(unseen), chance(unseen)
    assert np.abs(said - true).mean() < 0.05
    for low in np.arange(0, 1, 0.2):  # as sure as it may be, not only on average
        alike = (said >= low) & (said < low + 0.2)
        assert alike.sum() > 100
        assert abs(said[alike].mean() - true[alike].mean()) < 0.06


def test_a_judge_survives_saving_and_a_damaged_one_is_refused(fit: Fit, tmp_path: Path) -> None:
    features, labels, items = ruled(2000)
    judge = fit(features, labels, items, 5)
    assert judge is not None
    meta = save_judge(judge, TABLE.to_json(), lambda name, data: storage.write(f"{tmp_path}/{name}", data))
    again = load_judge(str(tmp_path), meta["sha256"], storage.read)
    assert (type(again), again.auc, again.num_pairs) == (type(judge), judge.auc, judge.num_pairs)
    np.testing.assert_array_equal(judge.probability(features[:99]), again.probability(features[:99]))
    assert again.probability(features[:0]).shape == (0,)
    assert again.to_bytes() == judge.to_bytes()

    with pytest.raises(LakeError, match=rf"{judge.file} is not what judge\.json describes"):
        load_judge(str(tmp_path), "0" * 64, storage.read)
    whole = storage.read(f"{tmp_path}/{judge.file}")
    storage.write(f"{tmp_path}/{judge.file}", whole[:-1] + bytes([whole[-1] ^ 1]))
    load_judge.cache_clear()
    with pytest.raises(LakeError, match=rf"{judge.file} is not what judge\.json describes"):
        load_judge(str(tmp_path), meta["sha256"], storage.read)


def test_a_judge_of_no_known_kind_or_of_another_shape_is_refused(tmp_path: Path) -> None:
    judge = network(*ruled(500), 1)
    assert judge is not None
    meta = save_judge(judge, TABLE.to_json(), lambda name, data: storage.write(f"{tmp_path}/{name}", data))
    for change, message in (({"model": "oracle"}, "model 'oracle', not one of trees, network"),
                            ({"settings": {"num_features": 4, "hidden": 31}}, "does not fit")):  # fmt: skip
        load_judge.cache_clear()
        storage.write(f"{tmp_path}/judge.json", json.dumps({**meta, **change}).encode())
        with pytest.raises(LakeError, match=message):
            load_judge(str(tmp_path), meta["sha256"], storage.read)


def test_same_rows_give_the_same_judge(fit: Fit) -> None:
    found = set()
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(threads)
        state = torch.get_rng_state()
        judge = fit(*ruled(2000), 4)
        assert judge is not None
        found.add(judge.to_bytes())
        assert torch.equal(state, torch.get_rng_state())
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert len(found) == 1


def test_any_number_of_threads_gives_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, items = planted(20_000)
    files = []
    for threads in (1, 2, 5):
        monkeypatch.setattr("synthspark.judging.trees.num_threads", lambda n=threads: n)
        judge = trees(features, labels, items, 60)
        assert judge is not None
        files.append(judge.to_bytes())
    assert files[0] == files[1] == files[2]


def test_another_seed_gives_another_network() -> None:
    found = {fit_network(*ruled(500), NAMES, NetworkSettings(epochs=1, hidden=8, seed=s)).to_bytes() for s in (0, 1)}
    assert len(found) == 2


def test_a_fold_without_sales_gives_no_judge_and_one_item_is_enough_for_one(fit: Fit) -> None:
    features, labels, items = ruled(500)
    assert fit(features, np.zeros(500, np.bool_), items) is None
    assert fit(features, np.ones(500, np.bool_), items) is None
    assert fit(features[:0], labels[:0], items[:0]) is None
    single = fit(features, labels, np.zeros(500, np.int32))
    assert single is not None
    assert single.auc is None
    assert single.probability(features)[labels].mean() > single.probability(features)[~labels].mean() + 0.1


def log_loss_of_a_constant(share: float) -> float:
    return float(-share * np.log(share) - (1 - share) * np.log(1 - share))


def test_more_is_not_learned_where_held_out_items_gain_nothing() -> None:
    rng = np.random.default_rng(1)
    features, drawn, items = rng.normal(size=(1000, 30)).astype(np.float32), rng.random(1000) < 0.25, np.arange(1000)
    names = [f"f{i}" for i in range(30)]
    grown = fit_trees(features, drawn, items, names, TreeSettings(trees=300))
    assert isinstance(grown, TreeJudge)
    assert grown.booster.num_trees() < 50
    learned = fit_network(features, drawn, items, names, NetworkSettings(epochs=40, batch_size=128))
    assert learned is not None
    held = held_out(items)
    said = learned.probability(features[held])
    loss = -np.log(np.where(drawn[held], said, 1 - said)).mean()
    assert loss < log_loss_of_a_constant(0.25) + 0.03  # all 40 epochs would know the others by heart


def test_what_the_generator_thinks_more_of_is_never_thought_less_of() -> None:
    """Whatever the pairs say: here the opposite."""
    features, labels, items = ruled(2000)
    judge = fit_trees(features, labels, items, ["a", "cosine", "c", "d"], TreeSettings(trees=100))
    against = fit_trees(features, ~labels, items, ["a", "cosine", "c", "d"], TreeSettings(trees=100))
    assert judge is not None
    assert against is not None
    better = features.copy()
    better[:, 1] += 1.0
    assert (judge.probability(better) >= judge.probability(features)).all()
    assert (judge.probability(better) > judge.probability(features)).mean() > 0.5
    assert (against.probability(better) >= against.probability(features)).all()


def test_few_items_are_not_learned_by_heart(fit: Fit) -> None:
    """Every item has a number of its own and sells as it likes, which says nothing of the next one."""

    def shop(num_items: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        features, items = rng.normal(size=(rows, 4)), rng.integers(0, num_items, rows)
        features[:, 0] = rng.normal(size=num_items)[items]
        return features.astype(np.float32), rng.random(rows) < rng.beta(1, 2, num_items)[items], items.astype(np.int32)

    features, labels, items = shop(160, 4000, 0)
    judge = fit(features, labels, items)
    assert judge is not None
    new, sold, _ = shop(1000, 20_000, 1)
    said = judge.probability(new)
    loss = -np.log(np.where(sold, said, 1 - said)).mean()
    assert loss < log_loss_of_a_constant(float(sold.mean())) + 0.02


@pytest.mark.parametrize("held", [False, True])
def test_a_network_that_meets_what_is_no_number_says_so(held: bool) -> None:
    features, labels, items = ruled(500)
    features[np.flatnonzero(held_out(items) == held)[3], 2] = np.nan
    with pytest.raises(TrainingError, match="set judge.model to trees"):
        network(features, labels, items)


def test_a_read_only_array_is_enough() -> None:
    features, labels, items = ruled(500)
    for array in (features, labels, items):
        array.setflags(write=False)  # as Arrow gives them
    assert network(features, labels, items, 1) is not None


@pytest.mark.parametrize(
    ("words", "kind"),
    [({"trees": 3}, TreeJudge), ({"model": "network", "epochs": 1, "hidden": 7}, NetworkJudge)],
)
def test_one_word_of_configuration_chooses(words: dict[str, Any], kind: type[Judge]) -> None:
    judge = fit_judge(configuration.Judge(**words), LabelledFeatures(*ruled(500)), PAIR_NAMES, seed=0)
    assert isinstance(judge, kind)
    if isinstance(judge, NetworkJudge):
        assert judge.settings() == {"num_features": 4, "hidden": 7}


def test_auc_by_hand() -> None:
    labels = np.array([True, False, True, False])
    assert roc_auc(labels, np.array([0.9, 0.1, 0.5, 0.5])) == pytest.approx((2 + 1.5) / 4)
    assert roc_auc(labels, np.zeros(4)) == 0.5


@pytest.mark.parametrize("steps", [1, 2, 10, 100])
def test_the_learning_rate_rises_and_falls(steps: int) -> None:
    shares = [_share_of_rate(step, steps) for step in range(steps)]
    assert max(shares) == 1.0
    assert all(0 < share <= 1 for share in shares)
    if steps == 100:
        assert shares[0] == 0.1
        assert shares[-1] < 0.001


@pytest.mark.parametrize("items", [1, 50, 2000])
def test_of_few_items_the_regression_counts_and_of_many_the_judge(items: int, tmp_path: Path) -> None:
    features, labels, _ = ruled(4000)
    learned = LabelledFeatures(features, labels, np.arange(4000, dtype=np.int32) % items)
    names, trust = PAIR_NAMES, items / (items + PRIOR_STRENGTH)
    judge = fit_judge(configuration.Judge(trees=30), learned, names, 0)
    assert judge is not None
    said = logit(judge.probability(features))
    line = np.polynomial.Polynomial.fit(features[:, 1].astype(float), said, 1)
    expected = trust * said + (1 - trust) * line(features[:, 1].astype(float))
    np.testing.assert_allclose(logit(judge.merit(features, names)), expected, atol=1e-4)
    meta = save_judge(judge, TABLE.to_json(), lambda name, data: storage.write(f"{tmp_path}/{name}", data))
    again = load_judge(str(tmp_path), meta["sha256"], storage.read)
    assert again.prior == judge.prior
    np.testing.assert_array_equal(again.merit(features, names), judge.merit(features, names))
    assert again.merit(features[:0], names).shape == (0,)


@pytest.mark.parametrize("opposed", [0.0, 1.0])
def test_a_score_that_the_judge_does_not_follow_turns_no_order(opposed: float) -> None:
    features, labels, items = ruled(4000)
    features[:, [0, 1]] = features[:, [1, 0]]  # the rule is in another column than the regression's opinion
    features[:, 1] -= opposed * features[:, 0]
    judge = fit_judge(configuration.Judge(trees=30), LabelledFeatures(features, labels, items % 400), PAIR_NAMES, 0)
    assert judge is not None and judge.prior is not None
    alone, moderated = logit(judge.probability(features)), logit(judge.merit(features, PAIR_NAMES))
    assert np.corrcoef(alone, moderated)[0, 1] > 0.99


def test_a_judge_of_before_has_no_prior_and_a_far_out_score_stays_a_chance(tmp_path: Path) -> None:
    features, labels, items = ruled(500)
    judge = fit_judge(configuration.Judge(trees=3), LabelledFeatures(features, labels, items), PAIR_NAMES, 0)
    assert judge is not None
    far = features[:2].copy()
    far[:, 1] = [-1e6, 1e6]
    merit = judge.merit(far, PAIR_NAMES).astype(np.float32)
    assert 0 < merit[0] < 0.01 < 0.99 < merit[1] < 1
    meta = save_judge(judge, TABLE.to_json(), lambda name, data: storage.write(f"{tmp_path}/{name}", data))
    del meta["prior"]
    storage.write(f"{tmp_path}/judge.json", json.dumps(meta).encode())
    load_judge.cache_clear()
    again = load_judge(str(tmp_path), meta["sha256"], storage.read)
    np.testing.assert_array_equal(again.merit(features, PAIR_NAMES), judge.probability(features))
