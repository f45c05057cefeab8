"""Intervals decode into themselves, and conditions become the shares of them."""

from __future__ import annotations

import numpy as np
import pytest

from synthspark.errors import ConfigError
from synthspark.profiles.conditions import Condition, condition_shares, parse
from synthspark.profiles.fitting import _intervals
from synthspark.profiles.tokens import CategoryTokens, Hierarchy, MemberTokens, NumberTokens, TokenEncoding

PRICE = NumberTokens("price", "p", (0.5, 1.0, 1.005, 10.0), (1.0, 1.0, 10.0, 1000.005), 0.01)
ENCODING = TokenEncoding(
    {"brand": "categorical", "price": "numeric", "tags": "multi", "born": "datetime", "note": "text",
     "shop": "categorical"},
    (
        CategoryTokens("brand", "b", ("Ä", "B", "never")),
        PRICE,
        MemberTokens("tags", "t0", "x"),
        MemberTokens("tags", "t1", "y"),
        NumberTokens("born", "d", (0.0, 86400.0), (86400.0, 10 * 86400.0), 86400.0, is_instant=True),
    ),
    constants={"shop": "only"},
    hierarchies=(Hierarchy("b", "t0", ((3, 3),)),),
    counts=((0, 1, 2, 5, 5, 0), (0, 0, 0, 3, 3, 3, 3), (0, 0, 0, 5, 5), (0, 0, 0, 5, 5), (0, 2, 0, 4, 4)),
)  # fmt: skip


def test_json_gives_it_back() -> None:
    assert TokenEncoding.from_json(ENCODING.to_json()) == ENCODING


@pytest.mark.parametrize("noise", [0.0, 0.3, 0.999999])
def test_values_stay_in_their_interval_and_on_the_grid(noise: float) -> None:
    codes = np.arange(7)
    values = PRICE.decode(codes, np.full(7, noise))
    assert np.isnan(values[:3]).all()
    assert values[4] == 1.0  # the frequent value is itself
    assert 0.5 <= values[3] < 1.0
    assert 1.0 < values[5] < 10.0
    assert 10.0 <= values[6] <= 1000.0
    assert all(v == round(v, 2) for v in values[3:])


def test_there_is_no_negative_zero() -> None:
    tokens = NumberTokens("n", "n", (-1.0, -0.5, 0.0), (-1.0, 0.5, 0.0), 1.0)
    zeros = tokens.decode(np.array([4, 5]), np.array([0.2, 0.2]))
    assert (zeros == 0).all()
    assert not np.signbit(zeros).any()


def test_a_wide_bin_is_even_in_its_logarithm() -> None:
    values = PRICE.decode(np.full(10_001, 6), np.linspace(0, 1, 10_001))
    assert np.median(values) == pytest.approx(100, rel=0.02)


def test_frequent_values_are_points_and_bins_that_hold_no_multiple_are_left_out() -> None:
    """Whole numbers 0..4, of which 1 and 2 are frequent: there is nothing between them."""
    tokens = _intervals("n", "numeric", [1.0, 2.0], [0.0, 2.0, 3.0, 4.0], 1.0)
    assert tokens is not None
    assert tokens.lows == (0.0, 1.0, 2.0, 3.0)
    assert [h - low for low, h in zip(tokens.lows, tokens.highs, strict=True)] == [1.0, 0.0, 0.0, 1.5]
    drawn = tokens.decode(np.repeat([3, 4, 5, 6], 50), np.tile(np.linspace(0, 0.99, 50), 4))
    assert sorted(set(drawn)) == [0.0, 1.0, 2.0, 3.0, 4.0]
    continuous = _intervals("x", "numeric", [0.0], [0.1, 0.7, 1.3], None)
    assert continuous is not None
    assert continuous.highs[-1] > 1.3 - 1e-9
    assert _intervals("x", "numeric", [], [], None) is None
    single = _intervals("x", "numeric", [], [7.0, 7.0], 1.0)
    assert single is not None
    assert (single.lows, single.highs) == ((7.0,), (7.0,))


def test_a_row_decodes_into_every_kind_and_a_constant_stays() -> None:
    codes = np.array([[3, 4, 4, 4, 3], [1, 1, 3, 3, 1]])
    row = ENCODING.decode(codes, np.full(codes.shape, 0.5))
    assert list(row["brand"]) == ["Ä", None]
    assert row["tags"] == [["x", "y"], None]
    assert row["born"][0] == np.datetime64("1970-01-01")
    assert np.isnat(row["born"][1])
    assert row["shop"] == ["only", "only"]
    assert row["note"] == [None, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("brand=X", Condition("brand", "=", "X")),
        (" my price <= 5 ", Condition("my price", "<=", "5")),
        ("size=", Condition("size", "=", "")),
        ("a!=b=c", Condition("a", "!=", "b=c")),
    ],
)
def test_conditions_are_read(text: str, expected: Condition) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("texts", "place", "shares"),
    [
        (["brand=B"], 0, [0, 0, 0, 0, 1, 0]),
        (["brand!=B"], 0, [1, 1, 1, 1, 0, 1]),
        (["brand="], 0, [0, 1, 0, 0, 0, 0]),
        (["price<=1"], 1, [0, 0, 0, 1, 1, 0, 0]),
        (["price<1"], 1, [0, 0, 0, 0.99, 0, 0, 0]),
        (["price>1", "price<=10"], 1, [0, 0, 0, 0, 0, 1, 0]),
        (["tags=y"], 3, [0, 0, 0, 0, 1]),
        (["tags!=y"], 3, [0, 0, 0, 1, 0]),
        (["born<1970-01-02"], 4, [0, 0, 0, 0.5, 0]),
    ],
)
def test_conditions_become_shares(texts: list[str], place: int, shares: list[float]) -> None:
    found = condition_shares(ENCODING, [parse(t) for t in texts]).shares[place]
    assert found == pytest.approx(shares, abs=0.011)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("brnd=B", r"column 'brnd' does not exist. Did you mean 'brand'"),
        ("brand=b", r"the value 'b' was never seen in 'brand', .* Did you mean 'B'"),
        ("price<cheap", r"'cheap' is not a number"),
        ("born<soon", r"'soon' is not an ISO date"),
        ("brand<B", r"'brand' has no order"),
        ("tags=z", r"no set 'tags' has 'z'"),
        ("note=x", r"nothing was learned of 'note' \(text\)"),
        ("price>5000", r"condition price>5000: no training row has such a 'price'"),
        ("brand=never", r"no training row has such a 'brand'"),
        ("price", r"write it as brand=X"),
    ],
)
def test_what_cannot_be_met_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        condition_shares(ENCODING, [parse(text)])


@pytest.mark.parametrize(
    "limits", [None, (0.5 * 86400.0, np.inf), (-np.inf, 6.5 * 86400.0), (86400.0 * 1.5, 86400.0 * 4)]
)
def test_dates_are_decoded_as_dates_within_the_real_range(limits: tuple[float, float] | None) -> None:
    born = _intervals("born", "datetime", [86400.0 * 3], [-86400.0 * 2, 0.0, 86400.0 * 5, 86400.0 * 9], 86400.0)
    assert born is not None
    codes, noise = np.repeat(np.arange(3, born.cardinality), 500), np.tile(np.linspace(0, 1, 500, endpoint=False), 4)
    codes, noise = codes[: len(noise)], noise[: len(codes)]
    values = born.decode_within(codes, noise, *(limits or (-np.inf, np.inf)))
    assert (values == values.astype("datetime64[D]")).all()
    days = values.astype("datetime64[D]").astype(int)
    assert days.min() >= -2 and days.max() <= 9
