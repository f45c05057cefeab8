from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from synthspark.features.encoding import TableEncoding
from synthspark.report.codes import ROWS, STEPS, traversals
from synthspark_models import CodeShape, InfoGanGenerator, Sample, TableShape

ENCODING = TableEncoding.from_json({
    "kinds": {"kind": "categorical", "price": "numeric", "colour": "categorical", "title": "text", "gone": "numeric"},
    "encoders": [
        {"type": "CategoricalEncoder", "name": "kind", "column": "c0", "vocabulary": ["a", "b"], "has_missing": True},
        {"type": "NumericEncoder", "name": "price", "column": "n0", "missing_column": "n0_missing",
         "knots": [0.0, 10.0], "integers": False},
        {"type": "CategoricalEncoder", "name": "colour", "column": "c1", "vocabulary": ["x"], "has_missing": False},
    ],
    "left_out": {"gone": "all null"},
})  # fmt: skip


class Planted(InfoGanGenerator):
    """The categorical code picks `kind` (missing, a, b), the continuous one is `price`; `colour` is always x."""

    def forward(self, latent: Tensor) -> Sample:
        codes = self.codes(latent)
        kinds = F.one_hot(torch.tensor([1, 3, 4])[codes.categorical[:, 0]], 5).float()
        colours = F.one_hot(torch.full((len(latent),), 3), 4).float()
        return Sample([kinds, colours], torch.stack([codes.continuous[:, 0], -torch.ones(len(latent))], dim=1))


def planted() -> Planted:
    return Planted(TableShape((5, 4), 2), CodeShape(1, 3, 1), noise_dim=2, hidden=4)


def test_a_code_is_shown_with_what_it_moves_at_each_of_its_values() -> None:
    categorical, continuous = traversals(planted(), ENCODING, "items", seed=1)
    assert categorical.title == "categorical code 1 of new items" and list(categorical.values) == ["1", "2", "3"]
    kind = categorical.panels[0]
    assert kind.attribute == "kind" and not kind.ordered
    assert kind.shares == {"a": [0, 1, 0], "b": [0, 0, 1], "(missing or rare)": [1, 0, 0]}
    assert list(continuous.values) == ["-1", "-0.5", "0", "0.5", "1"]
    price = continuous.panels[0]
    assert price.attribute == "price" and price.ordered
    assert price.shares["up to 2.5"] == [1, 1, 0, 0, 0] and price.shares["above 7.5"] == [0, 0, 0, 0, 1]
    assert {p.attribute for t in (categorical, continuous) for p in t.panels} == {"kind", "price", "colour"}


def test_under_each_value_lie_the_same_noise_and_other_codes() -> None:
    seen: list[Tensor] = []

    class Watched(Planted):
        def forward(self, latent: Tensor) -> Sample:
            seen.append(latent)
            return super().forward(latent)

    traversals(Watched(TableShape((5, 4), 2), CodeShape(1, 3, 1), noise_dim=2, hidden=4), ENCODING, "items", seed=1)
    assert len(seen) == 3 + len(STEPS) and all(latent.shape == (ROWS, 2 + 3 + 1) for latent in seen)
    assert all(torch.equal(latent[:, :2], seen[0][:, :2]) for latent in seen)
    assert all(torch.equal(latent[:, 5], seen[0][:, 5]) for latent in seen[:3])
    assert len({float(latent[0, 5]) for latent in seen[3:]}) == len(STEPS)


@pytest.mark.parametrize("codes", [CodeShape(2, 3, 0), CodeShape(0, 2, 1)])
def test_every_code_has_a_picture_and_the_bars_are_whole(codes: CodeShape) -> None:
    network = InfoGanGenerator(TableShape((5, 4), 2), codes, noise_dim=2, hidden=4).eval()
    found = traversals(network, ENCODING, "users", seed=3)
    assert len(found) == codes.categorical + codes.continuous
    for panel in (p for t in found for p in t.panels):
        assert torch.tensor(list(panel.shares.values())).sum(dim=0) == pytest.approx(1)
    assert found == traversals(network, ENCODING, "users", seed=3)
