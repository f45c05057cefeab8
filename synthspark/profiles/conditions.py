"""Parse and validate conditions on new rows, such as `brand=X` or `price<5`, and convert them to shares of tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import numpy.typing as npt

from synthspark.errors import ConfigError, did_you_mean
from synthspark.profiles.tokens import ABSENT, PRESENT, CategoryTokens, MemberTokens, NumberTokens, TokenEncoding
from synthspark_models.tabular import FIRST, MISSING

_FORM = re.compile(r"\s*(?P<name>.+?)\s*(?P<sign>!=|<=|>=|=|<|>)\s*(?P<value>.*?)\s*")
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Condition:
    """One condition; `value` is the text as written."""

    name: str
    sign: str
    value: str


@dataclass(frozen=True)
class Wanted:
    """All conditions on a table's rows, converted to tokens."""

    shares: dict[int, Shares]
    """Token column -> share of each code that meets the conditions, shape (V,)."""
    limits: dict[str, tuple[float, float]]
    """Numeric or datetime attribute -> smallest and largest value."""


def parse(text: str) -> Condition:
    """Parse `name=value`, also with !=, <, <=, >, >=; `name=` selects missing values. Raises ConfigError."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ConfigError(f"condition {text!r}: write it as brand=X, brand!=X, price<5, price>=2.5, or size= for none")
    return Condition(match["name"], match["sign"], match["value"])


def condition_shares(encoding: TokenEncoding, conditions: Sequence[Condition]) -> Wanted:
    """Convert conditions to shares of tokens. Raises ConfigError for an unknown column or an impossible value."""
    shares: dict[int, Shares] = {}
    limits: dict[str, tuple[float, float]] = {}
    for condition in conditions:
        places = encoding.positions_of(condition.name)
        if not places:
            raise ConfigError(_no_column(encoding, condition))
        for place, share in _shares(encoding, places, condition, limits):
            shares[place] = shares.get(place, np.ones(len(share))) * share
    never = encoding.forbidden_codes()
    for place, share in shares.items():
        if not share[~never[place]].any():
            name = encoding.tokens[place].name
            said = ", ".join(c.name + c.sign + c.value for c in conditions if c.name == name)
            raise ConfigError(f"condition {said}: no training row has such a {name!r}")
    return Wanted(shares, limits)


def _shares(
    encoding: TokenEncoding, places: Sequence[int], condition: Condition, limits: dict[str, tuple[float, float]]
) -> list[tuple[int, Shares]]:
    tokens = encoding.tokens[places[0]]
    if isinstance(tokens, MemberTokens):
        return _member_shares(encoding, places, condition)
    if not condition.value:
        return [(places[0], _missing(tokens.cardinality, condition))]
    if isinstance(tokens, NumberTokens):
        return [(places[0], _number_shares(tokens, condition, limits))]
    return [(places[0], _category_shares(tokens, condition))]


def _missing(size: int, condition: Condition) -> Shares:
    share = np.zeros(size)
    share[MISSING] = 1.0
    return _either(share, condition)


def _either(share: Shares, condition: Condition) -> Shares:
    if condition.sign not in ("=", "!="):
        raise ConfigError(f"condition {condition.name}{condition.sign}{condition.value}: {condition.name!r} has no "
                          "order; use = or !=")  # fmt: skip
    return share if condition.sign == "=" else 1.0 - share


def _category_shares(tokens: CategoryTokens, condition: Condition) -> Shares:
    share = np.zeros(tokens.cardinality)
    if condition.value not in tokens.vocabulary:
        raise ConfigError(f"condition {condition.name}{condition.sign}{condition.value}: the value "
                          f"{condition.value!r} was never seen in {condition.name!r}, or is too rare to be emitted."
                          f"{did_you_mean(condition.value, tokens.vocabulary)}")  # fmt: skip
    share[FIRST + tokens.vocabulary.index(condition.value)] = 1.0
    return _either(share, condition)


def _member_shares(
    encoding: TokenEncoding, places: Sequence[int], condition: Condition
) -> list[tuple[int, Shares]]:  # fmt: skip
    values = {str(getattr(encoding.tokens[i], "value", "")): i for i in places}
    if condition.value not in values:
        raise ConfigError(f"condition {condition.name}{condition.sign}{condition.value}: no set {condition.name!r} "
                          f"has {condition.value!r}.{did_you_mean(condition.value, values)}")  # fmt: skip
    share = np.zeros(FIRST + 2)
    share[PRESENT] = 1.0
    if condition.sign == "!=":
        share[[ABSENT, PRESENT]] = 1.0, 0.0
    return [(values[condition.value], _either(share, Condition(condition.name, "=", condition.value)))]


def _number_shares(tokens: NumberTokens, condition: Condition, limits: dict[str, tuple[float, float]]) -> Shares:
    value = _number(tokens, condition)
    tiny = abs(float(np.spacing(value)))
    step = tokens.step / 2 if tokens.step is not None else tiny
    least, most = {
        "=": (value, value),
        "<": (-np.inf, value - step),
        "<=": (-np.inf, value + step / 2),
        ">": (value + step, np.inf),
        ">=": (value - step / 2 if tokens.step is not None else value, np.inf),
        "!=": (-np.inf, np.inf),
    }[condition.sign]
    shares = np.zeros(tokens.cardinality)
    if condition.sign == "!=":
        raise ConfigError(f"condition {condition.name}!={condition.value}: for numbers use <, <=, >, >= or =")
    inside = tokens.shares(least, most)
    if condition.sign == "=":
        inside = ((np.array(tokens.lows) <= value) & (value <= np.array(tokens.highs))).astype(float)
        exact = np.array(tokens.lows) == np.array(tokens.highs)
        inside = inside * exact if (inside * exact).any() else inside
    shares[FIRST:] = inside
    before = limits.get(condition.name, (-np.inf, np.inf))
    limits[condition.name] = (max(before[0], least), min(before[1], most))
    return shares


def _number(tokens: NumberTokens, condition: Condition) -> float:
    try:
        if tokens.is_instant:
            instant = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", condition.value))  # Python 3.10 cannot parse Z
            return (instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)).timestamp()
        return float(condition.value)
    except ValueError as error:
        kind = "an ISO date" if tokens.is_instant else "a number"
        raise ConfigError(f"condition {condition.name}{condition.sign}{condition.value}: {condition.value!r} is not "
                          f"{kind}") from error  # fmt: skip


def _no_column(encoding: TokenEncoding, condition: Condition) -> str:
    if condition.name in encoding.kinds:
        return (f"condition {condition.name}{condition.sign}{condition.value}: nothing was learned of "
                f"{condition.name!r} ({encoding.kinds[condition.name]}), so it cannot have conditions")  # fmt: skip
    return (f"condition {condition.name}{condition.sign}{condition.value}: column {condition.name!r} does not exist."
            f"{did_you_mean(condition.name, encoding.kinds)} Known: {', '.join(encoding.kinds)}.")  # fmt: skip
