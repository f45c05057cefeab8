"""What the report shows, as plain values: no Spark, no drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

MOST_SAID = 200
"""Characters of an error that are shown."""


@dataclass(frozen=True)
class Distribution:
    """Shares of real and synthetic rows over the same classes."""

    title: str
    classes: Sequence[str] | Sequence[float]
    """Names of bars; or of n bins the n + 1 edges; or the thresholds of `tail`."""
    series: Mapping[str, Sequence[float]]
    """Name, such as `real`, -> a share per class."""
    form: Literal["bars", "bins", "tail"]
    """tail: the share of those that reach each threshold, on logarithmic axes."""


@dataclass(frozen=True)
class Heat:
    """A value between 0 and 1 per pair of columns; pairs without one are left out."""

    title: str
    columns: Sequence[str]
    pairs: Sequence[tuple[str, str, float]]


@dataclass(frozen=True)
class Curve:
    """Losses of a generator by epoch."""

    title: str
    losses: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Panel:
    """One attribute of the rows that were generated at each value of a code."""

    attribute: str
    shares: Mapping[str, Sequence[float]]
    """Class -> its share at each value."""
    ordered: bool
    """The classes are ranges of a number, from the lowest."""


@dataclass(frozen=True)
class Traversal:
    """What a latent code moves."""

    title: str
    values: Sequence[str]
    """Of the code."""
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Example:
    """A new row and the real row that is nearest to it: attribute -> (new, real)."""

    table: str
    values: Mapping[str, tuple[object, object]]


@dataclass(frozen=True)
class Facts:
    """One run. Whatever it has not got is empty."""

    run_id: str
    metrics: Mapping[str, Any]
    """metrics.json."""
    stages: Sequence[Mapping[str, Any]]
    """The records of the published stages."""
    distributions: Sequence[Distribution] = ()
    heats: Sequence[Heat] = ()
    curves: Sequence[Curve] = ()
    traversals: Sequence[Traversal] = ()
    examples: Sequence[Example] = ()
    rejects: Sequence[Mapping[str, Any]] = ()
    """`source`, `reason`, `rows`, and `raw`, one of them."""
    configuration: str = ""
    """YAML, without secrets."""
    who: Mapping[str, str] = field(default_factory=dict)
    """Protocol -> whom its cold slice is about."""
    lacking: Sequence[str] = ()
    """What could not be made, and why, a line each."""


def in_short(error: Exception) -> str:
    """An error in a line: its kind, and the first line of what it says."""
    said = str(error).strip().partition("\n")[0][:MOST_SAID]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
