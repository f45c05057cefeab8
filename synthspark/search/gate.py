"""Gate of searches: ship only if new items are found better than by words alone and known items are not hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthspark.ranking.gate import WARM_TOLERANCE, Difference, Verdict, depth
from synthspark.ranking.measures import SliceResult, paired_difference
from synthspark.search.proof import BM25, HYBRID, PRODUCT, REAL, WORDS, called

Found = Mapping[str, Sequence[Mapping[str, Mapping[str, SliceResult]]]]
"""Protocol -> splits -> arm -> slice -> result."""
SERVED, PLAIN, CLICKED = called(PRODUCT, HYBRID), called(BM25, WORDS), called(REAL, WORDS)


def decided(found: Found, ks: Sequence[int], resamples: int, seed: int) -> Verdict:
    """Decide by the following rules, each with its interval and only if its protocol was evaluated.

    New items among all items rank better than by BM25, and better than with a field of real clicks. Known items among
    all items lose at most WARM_TOLERANCE against the field of real clicks. Queries without clicks lose at most
    WARM_TOLERANCE against BM25.
    """
    k = depth(ks)

    def difference(protocol: str, part: str, before: str) -> Difference | None:
        splits = [of for of in found.get(protocol, ()) if part in of.get(before, {}) and part in of.get(SERVED, {})]
        if not splits:
            return None
        real, product = ([of[arm][part].sums for of in splits] for arm in (before, SERVED))
        return paired_difference(real, product, ks, f"ndcg_{k}", resamples, seed)

    rules: list[tuple[str, Difference | None, float | None]] = []
    for before, words in ((PLAIN, "BM25"), (CLICKED, "real clicks")):
        rules.append((f"new items among all, against {words}",
                      difference("search_cold_item", "cold_in_all", before), 0.0))  # fmt: skip
    rules.append(("known items among all, against real clicks",
                  difference("search_cold_item", "warm_in_all", CLICKED), -WARM_TOLERANCE))  # fmt: skip
    rules.append(("queries never typed before, against BM25",
                  difference("search_cold_query", "unseen", PLAIN), -WARM_TOLERANCE))  # fmt: skip
    judged = [(words, d, least) for words, d, least in rules if d is not None and least is not None]
    if not judged:
        return Verdict(False, "do not ship: nothing could be judged")
    failed = [_told(words, d, k) for words, d, least in judged if not _holds(d, least)]
    told = "; ".join(failed or [_told(words, d, k) for words, d, _ in judged])
    return Verdict(not failed, f"{'do not ship' if failed else 'ship'}: {told}")


def _holds(difference: Difference, least: float) -> bool:
    """Return whether the interval is above zero or, if a loss is allowed, not below minus that loss."""
    return difference.low > 0 if least == 0 else difference.low >= least * difference.real


def _told(words: str, d: Difference, k: int) -> str:
    return f"{words}: NDCG@{k} {d.real:.4f} -> {d.product:.4f} (difference {d.low:+.4f} to {d.high:+.4f})"
