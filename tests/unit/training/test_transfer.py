"""A model of another shop: what is the same is taken over, by column and value."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from synthspark.errors import ConfigError, LakeError
from synthspark.profiles.tokens import CategoryTokens, NumberTokens, TokenEncoding
from synthspark.training import TrainingTask
from synthspark.training.artifacts import save_generator, save_tokens
from synthspark.training.transfer import start_from
from synthspark_models import AutoregressiveGenerator

THERE = TokenEncoding(
    {"brand": "categorical", "price": "numeric", "gone": "categorical"},
    (CategoryTokens("brand", "a", ("x", "y", "z")), NumberTokens("price", "b", (0.0, 10.0), (10.0, 20.0), None),
     CategoryTokens("gone", "c", ("x",))),
)  # fmt: skip
HERE = TokenEncoding(
    {"new": "categorical", "price": "numeric", "brand": "categorical"},
    (CategoryTokens("new", "a", ("x",)), NumberTokens("price", "b", (1.0, 12.0, 19.0), (12.0, 19.0, 30.0), None),
     CategoryTokens("brand", "c", ("w", "z", "x", "v"))),
)  # fmt: skip


def network(encoding: TokenEncoding, hidden: int = 8) -> AutoregressiveGenerator:
    return AutoregressiveGenerator(encoding.cardinalities, hidden, layers=1, dropout=0.0)


@pytest.fixture
def url(tmp_path: Path) -> str:
    torch.manual_seed(1)
    where = f"file://{tmp_path}/other shop"
    save_tokens(where, THERE)
    task = TrainingTask("profile_items", "autoregressive", "", 1, THERE.columns, THERE.cardinalities, [], where, 1, 1,
                        hyper={"hidden": 8, "layers": 1})  # fmt: skip
    source = network(THERE)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.normal_()
    save_generator(task, source, [])
    return where


def test_equal_values_and_near_intervals_are_taken_over_and_the_rest_is_new(url: str) -> None:
    torch.manual_seed(2)
    made, untouched = network(HERE), network(HERE)
    untouched.load_state_dict(made.state_dict())
    source = network(THERE)
    from safetensors.torch import load_file

    source.load_state_dict(load_file(url.removeprefix("file://") + "/model.safetensors"))
    matched = start_from(made, HERE, url)
    assert matched == {"new": 0.0, "price": 1.0, "brand": 5 / 7}
    brand, old = made.embeddings[2].weight, source.embeddings[0].weight
    assert torch.equal(brand[4], old[5])  # z
    assert torch.equal(brand[5], old[3])  # x
    assert torch.equal(brand[3], untouched.embeddings[2].weight[3])  # w: nobody knew it
    price, before = made.embeddings[1].weight, source.embeddings[1].weight
    assert torch.equal(price[3:], before[[3, 4, 4]])  # the middles 6.5, 15.5, 24.5 are near 5, 15, 15
    assert torch.equal(made.layers[0][1].weight, source.layers[0][1].weight)
    assert torch.equal(made.embeddings[0].weight, untouched.embeddings[0].weight)
    assert torch.equal(made.biases[2], untouched.biases[2])


def test_another_size_and_no_model_are_said(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"its trunk has hidden 8 and layers 1, this one 16 and 1; set hyper.hidden"):
        start_from(network(HERE, hidden=16), HERE, url)
    with pytest.raises(LakeError, match="there is no autoregressive model"):
        start_from(network(HERE), HERE, f"file://{tmp_path}/nothing")
