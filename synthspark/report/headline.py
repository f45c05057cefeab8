"""The verdict in a sentence or two that need no explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthspark.ranking.gate import depth

WARM_KEPT = 0.005
"""Relative change of warm accuracy that is called none: less than ALS's own starts differ by."""


def headline(metrics: Mapping[str, Any], who: Mapping[str, str]) -> str:
    """What the verdict means for a shop, by the cold and warm NDCG of the first protocol judged.

    who: protocol -> whom its cold slice is about.
    """
    verdict, rows = metrics["verdict"], metrics["protocols"]
    ask = "Use the synthetic events" if verdict["ship"] else "Do not use the synthetic events"
    if verdict.get("undecided"):
        ask += " yet: too little was measured to be sure"
    if not rows:
        return f"{ask}."
    protocol, k = rows[0]["protocol"], depth({int(r["k"]) for r in rows})
    found = {(arm, part): mean(rows, protocol, arm, part, "ndcg", k)
             for arm in ("real", "real+synthetic") for part in ("cold", "warm")}  # fmt: skip
    before, after = found["real", "cold"], found["real+synthetic", "cold"]
    if before is None or after is None:
        return f"{ask}."
    cold = who.get(protocol.partition("+")[0], "the cold ones")
    sentence = f"{ask}. Recommendations for {cold} become {_times(before, after)}"
    warm = (found["real", "warm"], found["real+synthetic", "warm"])
    if warm[0] and warm[1] is not None:
        change = warm[1] / warm[0] - 1
        rest = f"stay as good as they are ({change:+.1%})" if abs(change) < WARM_KEPT else f"change by {change:+.1%}"
        sentence += f"; those for everybody else {rest}"
    return sentence + "."


def mean(rows: Sequence[Mapping[str, Any]], protocol: str, arm: str, part: str, metric: str, k: int,
         field: str = "value") -> float | None:  # fmt: skip
    """Over the split seeds; None where that was not measured."""
    wanted = (protocol, arm, part, metric, k)
    found = [r[field] for r in rows if (r["protocol"], r["arm"], r["slice"], r["metric"], r["k"]) == wanted]
    known = [v for v in found if v is not None]
    return sum(known) / len(known) if known else None


def _times(before: float, after: float) -> str:
    if before <= 0:
        return f"possible at all (NDCG 0 to {after:.3f})"
    ratio = after / before
    how = (
        f"{ratio:.1f} times as good" if ratio >= 1.5 else f"{abs(ratio - 1):.0%} {'better' if ratio >= 1 else 'worse'}"
    )
    return f"{how} (NDCG {before:.3f} to {after:.3f})"
