from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from synthspark_models import (
    BehaviourDiscriminator,
    BehaviourGenerator,
    GanDiscriminator,
    GanGenerator,
    PairDiscriminator,
    Preference,
    TableShape,
    TabularEncoder,
)
from synthspark_models.tabular import RARE, UNKNOWN

SHAPES = [TableShape((5, 9), 2), TableShape((5,), 0), TableShape((), 3)]
B, R = 6, 4


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
    if isinstance(network, GanGenerator):
        sample = network(torch.randn(B, network.noise_dim))
        # A constant sum of a softmax has no gradient: weigh the codes.
        weighed = [(c * torch.arange(c.shape[1])).sum(1, keepdim=True) for c in sample.categories]
        return torch.cat([*weighed, sample.numbers], 1)
    assert isinstance(network, GanDiscriminator)
    return network.real(codes, numbers)


NETWORKS = {
    "behaviour generator": lambda s: BehaviourGenerator(s, R, noise_dim=3, hidden=16),
    "behaviour discriminator": lambda s: BehaviourDiscriminator(s, R, hidden=16),
    "behaviour discriminator, spectral": lambda s: BehaviourDiscriminator(s, R, hidden=16, spectral=True),
    "gan generator": lambda s: GanGenerator(s, noise_dim=3, hidden=16),
    "gan discriminator": lambda s: GanDiscriminator(s, hidden=16),
    "gan discriminator, spectral": lambda s: GanDiscriminator(s, hidden=16, spectral=True),
}


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


def test_the_gan_never_emits_codes_that_stand_for_no_value() -> None:
    torch.manual_seed(0)
    codes = GanGenerator(TableShape((6, 4), 1), noise_dim=3, hidden=8)(torch.randn(500, 3)).codes()
    assert not ((codes == UNKNOWN) | (codes == RARE)).any()
    assert codes[:, 0].unique().numel() > 2


def test_relaxed_and_looked_up_rows_are_judged_alike() -> None:
    shape = TableShape((5, 7), 2)
    judge = GanDiscriminator(shape, hidden=8).eval()
    codes, numbers = rows(shape)
    hard = [torch.nn.functional.one_hot(codes[:, j], k).float() for j, k in enumerate(shape.cardinalities)]
    from synthspark_models import Sample

    torch.testing.assert_close(judge.real(codes, numbers), judge(Sample(hard, numbers)))


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
