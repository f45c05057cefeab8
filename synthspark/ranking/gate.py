"""The gate: ship only virtual events that are proven to help cold entities and not to harm warm ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

WARM_TOLERANCE = 0.01
"""Maximum relative loss of warm accuracy, interval included."""
MIN_GAIN = 0.01
"""Relative cold gain below which more splits are pointless."""
DEPTH = 20
"""Length k of the lists that decide."""


def depth(ks: Collection[int]) -> int:
    """Return the k of `ks` that the verdict and the report use: DEPTH if it was measured, else the largest."""
    return DEPTH if DEPTH in ks else max(ks)


@dataclass(frozen=True)
class Difference:
    """A metric of the product against real data alone, with the paired 95 % interval of the difference."""

    real: float
    product: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """Whether to ship, and the reason in words."""

    ship: bool
    why: str
    undecided: bool = False
    """True if the verdict is not to ship, though both means would pass and only their intervals do not."""


def combine_verdicts(verdicts: Mapping[str, Verdict]) -> Verdict:
    """Combine the verdicts of protocols: ship only if all do. The reason lists each protocol's name and words."""
    if not verdicts:
        return Verdict(False, "do not ship: nothing could be judged")
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    ship = all(v.ship for v in verdicts.values())
    words = "; ".join(f"{name}: {v.why}" for name, v in verdicts.items())
    undecided = not ship and all(v.ship or v.undecided for v in verdicts.values())
    return Verdict(ship, f"{'ship' if ship else 'do not ship'}: {words}", undecided)


def verdict(cold: Difference, warm: Difference, metric: str, drawn: bool = True) -> Verdict:
    """Decide to ship if cold rises with its interval above zero, and warm falls by 1 % at most, interval included.

    drawn: whether further splits could be drawn and judged.
    """
    helps = cold.low > 0
    allowed = -WARM_TOLERANCE * warm.real
    keeps = warm.low >= allowed
    told_cold = f"cold {metric} {cold.real:.4f} -> {cold.product:.4f} (difference {cold.low:+.4f} to {cold.high:+.4f})"
    told_warm = f"warm {metric} {warm.real:.4f} -> {warm.product:.4f} (difference {warm.low:+.4f} to {warm.high:+.4f})"
    if helps and keeps:
        return Verdict(True, f"ship: {told_cold}, {told_warm}")
    reasons = []
    if not helps:
        reasons.append(f"no proven gain for the cold: {told_cold}")
    if not keeps:
        reasons.append(f"warm accuracy may fall by more than {WARM_TOLERANCE:.0%}: {told_warm}")
    undecided = cold.product > (1 + MIN_GAIN) * cold.real and warm.product - warm.real >= allowed
    if undecided:
        advice = ": judge more splits (evaluate.seeds)" if drawn else ""
        reasons.append(f"the means would pass, their intervals are too wide{advice}")
    return Verdict(False, "do not ship: " + "; ".join(reasons), undecided)
