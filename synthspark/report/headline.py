"""The verdict in one or two plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthspark.ranking.gate import depth

ALTERNATIVES = {
    "knn": "ALS on events placed by content neighbours",
    "ridge": "ALS on events placed by a linear regression on the attributes",
    "attribute_users": "ALS with a user for each attribute value",
    "popular": "the most bought items",
    "popular_lately": "the most bought items of the last four weeks",
    "popular_in_category": "the most bought items of each user's categories",
    "content_knn": "content neighbours alone, without ALS",
}
"""Simple methods that a shop could use without generator and judge."""
MOST_BOUGHT = ("popular", "popular_lately")
HALF = 0.5
"""Share of the gain over all items reached with permuted attributes, above which a caution is reported."""
NEARLY = 0.02
"""Maximum relative difference reported as "as good"; splits and ALS seeds differ by more."""
WARM_KEPT = 0.005
"""Maximum relative change of warm accuracy reported as unchanged; ALS seeds differ by more."""


def headline(metrics: Mapping[str, Any], who: Mapping[str, str]) -> str:
    """Return what the verdict means for a shop, based on the cold and warm NDCG of the first protocol.

    who: protocol -> description of its cold slice.
    """
    verdict, rows = metrics["verdict"], metrics["protocols"]
    ask = "Use the synthetic events" if verdict["ship"] else "Do not use the synthetic events"
    if sample := metrics.get("sample"):
        ask = f"By {sample_in_words(sample)}: {ask[0].lower()}{ask[1:]}"
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
    cold = who.get(protocol.partition("+")[0], "cold entities")
    sentence = (
        f"{ask}. Recommendations for {cold} become {_times(before, after)}, by ALS, which alone does not know them"
    )
    warm = (found["real", "warm"], found["real+synthetic", "warm"])
    if warm[0] and warm[1] is not None:
        change = warm[1] / warm[0] - 1
        rest = f"stay as good as they are ({change:+.1%})" if abs(change) < WARM_KEPT else f"change by {change:+.1%}"
        sentence += f"; those for everybody else {rest}"
    return sentence + "." + against_simple(rows, protocol, k)


def sample_in_words(sample: Mapping[str, int]) -> str:
    """Return the words for a verdict that is based on a sample of users."""
    return f"a sample of about {sample['users']:,} of {sample['of']:,} users"


def against_simple(rows: Sequence[Mapping[str, Any]], protocol: str, k: int) -> str:
    """Return a sentence (after a space) on the best of ALTERNATIVES in the cold slice; empty if none was measured."""
    best = best_simple(rows, protocol, k)
    product = mean(rows, protocol, "real+synthetic", "cold", "ndcg", k)
    if best is None or not product:
        return ""
    value = mean(rows, protocol, best, "cold", "ndcg", k) or 0.0
    ratio = max(value, 1e-9) / product
    how = "is as good" if abs(1 / ratio - 1) < NEARLY else f"is {_ratio(ratio)} (NDCG {value:.3f})"
    return f" The best simple alternative, {ALTERNATIVES[best]}, {how}."


def best_simple(rows: Sequence[Mapping[str, Any]], protocol: str, k: int) -> str | None:
    """Return the arm of ALTERNATIVES with the highest cold NDCG; None if none was measured."""
    known = {arm: mean(rows, protocol, arm, "cold", "ndcg", k) for arm in ALTERNATIVES}
    measured = {arm: value for arm, value in known.items() if value is not None}
    return max(measured, key=lambda arm: measured[arm]) if measured else None


def cautions(rows: Sequence[Mapping[str, Any]], protocol: str, k: int) -> list[str]:
    """Return cautions about the gain over all items."""
    found: list[str] = []
    arms = ("real", "real+synthetic", "permuted", *MOST_BOUGHT)
    every = {a: mean(rows, protocol, a, "all", "ndcg", k) for a in arms}
    real, product = every["real"], every["real+synthetic"]
    if real is None or product is None:
        return found
    permuted = every["permuted"]
    if permuted is not None and product > real and permuted - real > HALF * (product - real):
        found.append(f"{protocol}: over all items most of the gain comes without the attributes: NDCG@{k} {real:.4f} "
                     f"-> {product:.4f}, with permuted attributes {permuted:.4f}; the events smooth ALS")  # fmt: skip
    best = max(MOST_BOUGHT, key=lambda arm: every[arm] or 0.0)
    if (every[best] or 0.0) > max(real, product):
        found.append(f"{protocol}: over all items {ALTERNATIVES[best]} rank better than ALS, with or without synthetic "
                     f"events: NDCG@{k} {every[best]:.4f} against {product:.4f} and {real:.4f}; try `recommend: auto`, "
                     "which tries shorter half-lives, too, or serve these items")  # fmt: skip
    return found


def mean(rows: Sequence[Mapping[str, Any]], protocol: str, arm: str, part: str, metric: str, k: int,
         field: str = "value") -> float | None:  # fmt: skip
    """Return the mean of a field over the split seeds; None if it was not measured."""
    wanted = (protocol, arm, part, metric, k)
    found = [r[field] for r in rows if (r["protocol"], r["arm"], r["slice"], r["metric"], r["k"]) == wanted]
    known = [v for v in found if v is not None]
    return sum(known) / len(known) if known else None


def _times(before: float, after: float) -> str:
    if before <= 0:
        return f"possible at all (NDCG 0 to {after:.3f})"
    return f"{_ratio(after / before)} (NDCG {before:.3f} to {after:.3f})"


def _ratio(ratio: float) -> str:
    if ratio >= 1.5:
        return f"{ratio:.1f} times as good"
    return f"{abs(ratio - 1):.0%} {'better' if ratio >= 1 else 'worse'}"
