"""Contents of the report as plain values, without Spark or drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

MAX_SAID = 200
"""Maximum number of characters of an error message."""


@dataclass(frozen=True)
class Distribution:
    """Shares of real and synthetic rows over the same classes."""

    title: str
    classes: Sequence[str] | Sequence[float]
    """Names of the bars, the n + 1 edges of n bins, or the thresholds of `tail`."""
    series: Mapping[str, Sequence[float]]
    """Series name, such as `real`, -> share per class."""
    form: Literal["bars", "bins", "tail"]
    """`tail`: share that reaches each threshold, on logarithmic axes."""


@dataclass(frozen=True)
class Heat:
    """A value between 0 and 1 per pair of columns; pairs without a value are left out."""

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
    """One attribute of the rows generated at each value of a code."""

    attribute: str
    shares: Mapping[str, Sequence[float]]
    """Class -> its share at each value of the code."""
    ordered: bool
    """True if the classes are ranges of a number, in ascending order."""


@dataclass(frozen=True)
class Traversal:
    """Attributes of generated rows as one latent code varies."""

    title: str
    values: Sequence[str]
    """Values of the code."""
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Example:
    """A new row and its nearest real row: attribute -> (new, real)."""

    table: str
    values: Mapping[str, tuple[object, object]]


@dataclass(frozen=True)
class Facts:
    """Everything that the report shows of one run; missing parts are empty."""

    run_id: str
    metrics: Mapping[str, Any]
    """Content of metrics.json."""
    stages: Sequence[Mapping[str, Any]]
    """Records of the published stages."""
    distributions: Sequence[Distribution] = ()
    heats: Sequence[Heat] = ()
    curves: Sequence[Curve] = ()
    traversals: Sequence[Traversal] = ()
    examples: Sequence[Example] = ()
    rejects: Sequence[Mapping[str, Any]] = ()
    """`source`, `reason`, `rows`, and `raw`, an example row."""
    configuration: str = ""
    """Configuration as YAML, without secrets."""
    who: Mapping[str, str] = field(default_factory=dict)
    """Protocol -> description of its cold slice."""
    lacking: Sequence[str] = ()
    """Parts that could not be made and the reason, one line each."""


def in_short(error: Exception) -> str:
    """Return one line for an error: its class and the first line of its message."""
    said = str(error).strip().partition("\n")[0][:MAX_SAID]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
