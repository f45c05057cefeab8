from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from synthspark_models import (
    BehaviourDiscriminator,
    BehaviourGenerator,
    Codes,
    CodeShape,
    DcganDiscriminator,
    DcganGenerator,
    GanDiscriminator,
    GanGenerator,
    InfoGanDiscriminator,
    InfoGanGenerator,
    PairDiscriminator,
    Preference,
    RowDiscriminator,
    RowGenerator,
    Sample,
    TableShape,
    TabularEncoder,
    WganCritic,
)
from synthspark_models.initialise import INITIALISATIONS, initialise
from synthspark_models.tabular import RARE, UNKNOWN

SHAPES = [TableShape((5, 9), 2), TableShape((5,), 0), TableShape((), 3)]
B, R = 6, 4
CODES = CodeShape(categorical=2, categories=3, continuous=1)


def rows(shape: TableShape) -> tuple[torch.Tensor, torch.Tensor]:
    codes = [torch.randint(0, k, (B,)) for k in shape.cardinalities]
    return (torch.stack(codes, 1) if codes else torch.zeros(B, 0, dtype=torch.long)), torch.rand(B, shape.num_numeric)


def outputs(network: nn.Module, shape: TableShape) -> torch.Tensor:
    codes, numbers = rows(shape)
    if isinstance(network, BehaviourGenerator):
        made = network(codes, numbers, torch.randn(B, network.noise_dim))
        return torch.cat([network.query(made.vector), made.log_activity[:, None]], 1)
    if isinstance(network, BehaviourDiscriminator):
        return network(codes, numbers, Preference(torch.randn(B, R), torch.randn(B)))
    if isinstance(network, RowGenerator):
        sample = network(network.latent(B))
        # A constant sum of a softmax has no gradient: weigh the codes.
        weighed = [(c * torch.arange(c.shape[1])).sum(1, keepdim=True) for c in sample.categories]
        return torch.cat([*weighed, sample.numbers], 1)
    assert isinstance(network, RowDiscriminator)
    if isinstance(network, InfoGanDiscriminator):
        read = network.recognise(network.embedding.real(codes, numbers))
        read_all = torch.cat([read.logits.flatten(1), read.mean, read.log_variance], 1)
        return torch.cat([network.real(codes, numbers)[:, None], read_all], 1)
    return network.real(codes, numbers)


NETWORKS = {
    "behaviour generator": lambda s: BehaviourGenerator(s, R, noise_dim=3, hidden=16),
    "behaviour discriminator": lambda s: BehaviourDiscriminator(s, R, hidden=16),
    "behaviour discriminator, spectral": lambda s: BehaviourDiscriminator(s, R, hidden=16, spectral=True),
    "gan generator": lambda s: GanGenerator(s, noise_dim=3, hidden=16),
    "gan discriminator": lambda s: GanDiscriminator(s, hidden=16),
    "gan discriminator, spectral": lambda s: GanDiscriminator(s, hidden=16, spectral=True),
    "dcgan generator": lambda s: DcganGenerator(s, noise_dim=3, hidden=32),
    "dcgan discriminator": lambda s: DcganDiscriminator(s, hidden=32),
    "dcgan discriminator, spectral": lambda s: DcganDiscriminator(s, hidden=32, spectral=True),
    "infogan generator": lambda s: InfoGanGenerator(s, CODES, noise_dim=3, hidden=16),
    "infogan discriminator": lambda s: InfoGanDiscriminator(s, CODES, hidden=16),
    "infogan discriminator, spectral": lambda s: InfoGanDiscriminator(s, CODES, hidden=16, spectral=True),
    "infogan discriminator, one kind of codes": lambda s: InfoGanDiscriminator(s, CodeShape(0, 2, 2), hidden=16),
    "wgan_gp critic": lambda s: WganCritic(s, hidden=16),
}
GENERATORS = [n for n in NETWORKS if n.endswith("generator") and n != "behaviour generator"]
DISCRIMINATORS = [n for n in NETWORKS if ("discriminator" in n or "critic" in n) and "behaviour" not in n]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_shape_gradients_and_state(name: str, shape: TableShape) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name](shape)
    out = outputs(network, shape)
    assert len(out) == B
    assert torch.isfinite(out).all()
    out.square().sum().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert without == []

    network.eval()
    twin = NETWORKS[name](shape)
    twin.load_state_dict(network.state_dict())
    twin.eval()
    torch.manual_seed(1)
    first = outputs(network, shape)
    torch.manual_seed(1)
    assert torch.equal(first, outputs(twin, shape))


@pytest.mark.parametrize("name", GENERATORS)
def test_codes_that_stand_for_no_value_are_never_generated(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name](TableShape((6, 4), 1))
    codes = network(network.latent(500)).codes()
    assert not ((codes == UNKNOWN) | (codes == RARE)).any()
    assert codes[:, 0].unique().numel() > 2


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_relaxed_and_looked_up_rows_are_judged_alike(name: str) -> None:
    shape = TableShape((5, 7), 2)
    judge = NETWORKS[name](shape).eval()
    codes, numbers = rows(shape)
    hard = [torch.nn.functional.one_hot(codes[:, j], k).float() for j, k in enumerate(shape.cardinalities)]
    torch.testing.assert_close(judge.real(codes, numbers), judge(Sample(hard, numbers)))


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation gives."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        for one in given if isinstance(given, tuple | list) else [given]:
            if isinstance(one, torch.Tensor):
                self.elements = max(self.elements, one.numel())
        return given


@pytest.mark.parametrize("name", [*GENERATORS, *DISCRIMINATORS])
def test_a_large_vocabulary_costs_its_size_and_never_its_square(name: str) -> None:
    vocabulary, widest = 50_000, 64
    shape = TableShape((vocabulary, 9), 1)
    with Largest() as largest:
        network = NETWORKS[name](shape)
        if isinstance(network, RowGenerator):
            sample = network(network.latent(B))
            loss = sample.categories[0][:, 7].sum()
        else:
            codes, numbers = torch.full((B, 2), 4), torch.zeros(B, 1)
            fake = Sample([torch.softmax(torch.randn(B, k), 1) for k in shape.cardinalities], numbers)
            loss = network.real(codes, numbers).sum() + network(fake).sum()
        loss.backward()
    assert vocabulary < largest.elements <= vocabulary * widest


def test_the_convolutions_unfold_to_a_place_per_column() -> None:
    for columns, places in ((1, 8), (8, 8), (9, 16), (33, 64)):
        network = DcganGenerator(TableShape((), columns), noise_dim=3, hidden=64)
        assert network.trunk(torch.randn(4, 64, 2)).shape == (4, network.heads.numbers.in_features, places)
        assert network(network.latent(4)).numbers.shape == (4, columns)
        assert DcganDiscriminator(TableShape((), columns), hidden=64).places == places


def test_codes_go_into_the_latent_vector_and_come_back() -> None:
    network = InfoGanGenerator(TableShape((5,), 1), CODES, noise_dim=4, hidden=8)
    wanted = Codes(torch.tensor([[0, 2], [1, 1]]), torch.tensor([[0.5], [-1.0]]))
    latent = network.assemble(torch.zeros(2, 4), wanted)
    assert latent.tolist() == [[0] * 4 + [1, 0, 0, 0, 0, 1, 0.5], [0] * 4 + [0, 1, 0, 0, 1, 0, -1]]
    back = network.codes(latent)
    assert torch.equal(back.categorical, wanted.categorical)
    assert torch.equal(back.continuous, wanted.continuous)
    drawn = network.codes(network.latent(300))
    assert drawn.categorical.unique().tolist() == [0, 1, 2]
    assert -1 <= drawn.continuous.min() < -0.8 and 0.8 < drawn.continuous.max() <= 1


def test_a_critic_cannot_stretch_the_space_that_its_slope_is_measured_in() -> None:
    critic = WganCritic(TableShape((5, 7), 0), hidden=8)
    codes = torch.tensor([[3, 4], [4, 6]])
    before = critic.real(codes, torch.zeros(2, 0))
    for table in critic.embedding.tables:
        table.data *= 1000
    torch.testing.assert_close(critic.real(codes, torch.zeros(2, 0)), before)


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("how", INITIALISATIONS)
def test_weights_start_as_asked(how: str, spectral: bool) -> None:
    torch.manual_seed(0)
    network = DcganDiscriminator(TableShape((5,), 1), hidden=64, spectral=spectral)
    before = {n: p.clone() for n, p in network.named_parameters()}
    initialise(network, how)
    after = dict(network.named_parameters())
    assert torch.equal(after["embedding.tables.0"], before["embedding.tables.0"])
    last = after["last.parametrizations.weight.original" if spectral else "last.weight"]
    if how == "uniform":
        assert all(torch.equal(after[n], p) for n, p in before.items())
        return
    assert after["last.bias"].item() == 0
    if how == "orthogonal":
        assert last.norm().item() == pytest.approx(1.0, rel=1e-5)  # one row, so: of length 1
    else:
        wanted = {"normal": 0.02, "xavier": math.sqrt(2 / (128 + 1))}[how]
        assert last.std().item() == pytest.approx(wanted, rel=0.25)


def test_attribute_dropout_withholds_in_training_only() -> None:
    encoder = TabularEncoder(TableShape((5,), 1), attribute_dropout=1.0)
    codes, numbers = torch.full((3, 1), 4), torch.ones(3, 1)
    withheld = encoder(codes, numbers)
    torch.testing.assert_close(withheld[:, :-1], encoder.embeddings[0].weight[[UNKNOWN] * 3])
    assert (withheld[:, -1] == 0).all()
    assert (encoder.eval()(codes, numbers)[:, -1] == 1).all()


def test_the_pair_discriminator_standardizes_and_bounds_what_it_sees() -> None:
    torch.manual_seed(0)
    judge = PairDiscriminator(3, hidden=8).eval()
    judge.standardize_by(torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 2.0, 0.0]))  # the last is constant
    features = torch.tensor([[2.0, -3.0, 0.1], [1e30, 0.0, 0.1], [1e20, 0.0, 0.1]], requires_grad=True)
    logits = judge(features)
    assert logits.shape == (3,)
    scaled = torch.tensor([(math.log(3) - 1) / 0.5, (-math.log(4) + 2) / 2, math.log(1.1) - 0.5])
    torch.testing.assert_close(judge.trunk(scaled)[0], logits[0])
    assert torch.isfinite(logits).all()
    assert logits[1] == logits[2]
    logits.sum().backward()
    assert [n for n, p in judge.named_parameters() if p.grad is None] == []
    twin = PairDiscriminator(3, hidden=8).eval()
    twin.load_state_dict(judge.state_dict())
    assert torch.equal(twin(features), logits)
