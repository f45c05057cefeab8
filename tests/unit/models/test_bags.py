"""Bags of tokens in the networks of behaviour."""

from __future__ import annotations

import pytest
import torch

from synthspark_models import BagShape, BehaviourDiscriminator, BehaviourGenerator, Preference, TableShape
from synthspark_models.tabular import BagEmbedding

SHAPE = TableShape((5,), 2, (BagShape(3, 10), BagShape(2, 4)))
TOKENS = torch.tensor([[1, 2, 10], [0, 0, 0], [3, 900_000, 0]])


def bag(dropout: float = 0.0) -> BagEmbedding:
    torch.manual_seed(0)
    made = BagEmbedding(SHAPE.bags[0], 64, dropout)
    made.weigh(torch.tensor([0.0, *[1.0 + i for i in range(10)]]), 0.5)
    return made


def test_a_bag_is_the_weighed_sum_of_its_tokens() -> None:
    made = bag()
    table, found = made.table.weight, made(TOKENS)
    expected = (1 * table[1] + 2 * table[2] + 10 * table[10]) / (1 + 4 + 100) ** 0.5
    torch.testing.assert_close(found[0], expected)
    assert not found[1].any()
    torch.testing.assert_close(made(TOKENS.flip(1)), found)  # in no order


def test_hashed_tokens_share_few_rows_and_never_one_of_the_vocabulary() -> None:
    made = bag()
    above = torch.arange(11, 11 + 5000)[:, None]
    found = made(torch.cat([above, torch.zeros(5000, 2, dtype=torch.long)], dim=1))
    assert found.unique(dim=0).shape[0] == BagEmbedding.FOLDED
    known = made.table.weight[:11]
    assert torch.cdist(found.detach(), known).min() > 0


@pytest.mark.parametrize("adversary", [False, True])
def test_networks_learn_from_their_tokens_and_keep_the_weights(adversary: bool) -> None:
    torch.manual_seed(0)

    def make() -> BehaviourGenerator | BehaviourDiscriminator:
        plain = {"noise_dim": 3, "hidden": 16, "dropout": 0.0, "attribute_dropout": 0.0}
        return BehaviourDiscriminator(SHAPE, 4, 16) if adversary else BehaviourGenerator(SHAPE, 4, **plain)

    network = make()
    network.encoder.weigh([(torch.arange(11.0), 2.0), (torch.ones(5), 3.0)])
    codes, numbers = torch.randint(0, 5, (3, 1)), torch.rand(3, 2)
    tokens = torch.cat([TOKENS, torch.tensor([[1, 2], [3, 0], [70, 4]])], dim=1)

    def says(of: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
        if isinstance(of, BehaviourDiscriminator):
            sample = Preference(torch.ones(3, 4), torch.ones(3))
            return torch.as_tensor(of(codes, numbers, sample, tokens))
        return torch.as_tensor(of(codes, numbers, torch.zeros(3, 3), tokens=tokens).vector)

    says(network, tokens).square().sum().backward()
    first, second = network.encoder.bags
    touched = first.table.weight.grad.abs().sum(dim=1) > 0
    assert touched[[1, 2, 3, 10]].all() and not touched[0] and touched.sum() == 5
    assert (second.table.weight.grad.abs().sum(dim=1) > 0).sum() == 5
    twin = make()
    twin.load_state_dict(network.state_dict())
    network.eval()
    twin.eval()
    assert torch.equal(says(network, tokens), says(twin, tokens))
    assert not torch.equal(says(network, tokens), says(network, tokens.roll(1, dims=0)))


def test_words_are_withheld_in_training_only() -> None:
    made = bag(0.5)
    tokens = TOKENS[:1].expand(2000, 3)
    assert made(tokens).unique(dim=0).shape[0] == 8  # every subset of three
    assert made.eval()(tokens).unique(dim=0).shape[0] == 1
