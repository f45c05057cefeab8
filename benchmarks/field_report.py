"""docs/field.md from the results of benchmarks/field.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthspark.coldstart.audience import NOTHING, Placing
from synthspark.config import RANKERS
from synthspark.ranking.gate import WARM_TOLERANCE

Row = Mapping[str, Any]
REAL, PRODUCT = "real", "real+synthetic"
SIMPLE = ("knn", "ridge", "attribute_users", *RANKERS)
HEAD = """# A field of shops

Written by `make benchmark-field`: variants of the available shops, with the promise of `auto` from its trial and the
outcome on the held-out interactions. All figures are NDCG@20 with the configuration's ALS settings, one ALS seed, and
one split unless a split seed is named.

- *best simple*: the best of the arms knn, ridge and attribute_users and the rankers popular, popular_lately,
  popular_in_category and content_knn.
- *promise*: change of warm accuracy in the trial relative to real rows alone, averaged over the trial's questions;
  *outcome*: the same change on the split's held-out interactions.
- *keeps*: warm accuracy falls by at most 1 %, and accuracy over all items does not fall. *beats*: over all items the
  product is not below the best simple alternative by more than the interval of either."""
COLUMNS = ("shop", "variant", "protocol", "chosen", "cold: real, product, best simple",
           "all: real, product, best simple", "warm: promise, outcome", "keeps", "beats", "permuted, all")  # fmt: skip


def report(rows: Sequence[Row]) -> str:
    """Return the page."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    judged = [row for row in rows if PRODUCT in row["arms"] and "warm" in row["arms"][REAL]]
    lines += [_line(row) for row in judged]
    counts = f"Of {len(judged)}, {sum(map(keeps, judged))} keep and {sum(map(beats, judged))} beat."
    return "\n\n".join([HEAD, counts, "\n".join(lines)]) + "\n"


def keeps(row: Row) -> bool:
    """Return whether warm accuracy falls by at most the gate's tolerance and accuracy over all items does not fall."""
    warm, everything = (_change(row, part) for part in ("warm", "all"))
    return warm >= -WARM_TOLERANCE and everything >= 0


def beats(row: Row) -> bool:
    """Return whether no simple arm or ranker is better over all items by more than the intervals."""
    mine = row["arms"][PRODUCT]["all"]
    best = max((row["arms"][arm]["all"] for arm in SIMPLE if "all" in row["arms"].get(arm, {})), default=mine)
    return bool(mine[0] >= best[1] or mine[2] >= best[0])


def promise(row: Row) -> float | None:
    """Return the chosen placing's change of warm accuracy in the trial, relative to real rows; None without a trial."""
    chosen = _placing(row)
    if chosen is None or chosen.words() not in row["placing"]["trials"]:
        return None
    real, tried = (row["placing"]["trials"][name] for name in ("real alone", chosen.words()))
    asked = [k for k in real if k.startswith("warm, ")]
    return sum(tried[k] for k in asked) / sum(real[k] for k in asked) - 1


def _placing(row: Row) -> Placing | None:
    told = row["placing"]
    return Placing(told["budget"], told["weight"], told["slack"]) if told else None


def _change(row: Row, part: str) -> float:
    real, made = (row["arms"][arm][part][0] for arm in (REAL, PRODUCT))
    return float(made / real - 1) if real else 0.0


def _line(row: Row) -> str:
    placing, promised = _placing(row), promise(row)
    chosen = placing.words() if placing and placing != NOTHING else "nothing"
    told = "" if promised is None else f"{promised:+.1%}, "
    cells = [row["shop"], row["variant"], row["protocol"] + (f" {row['seed']}" if row["seed"] else ""), chosen,
             _three(row, "cold"), _three(row, "all"), f"{told}{_change(row, 'warm'):+.1%}",
             *("yes" if found else "**no**" for found in (keeps(row), beats(row))),
             _value(row, "permuted", "all")]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _three(row: Row, part: str) -> str:
    found = {arm: row["arms"][arm][part][0] for arm in SIMPLE if part in row["arms"].get(arm, {})}
    best = max(found, key=lambda arm: found[arm], default=None)
    simple = f"{found[best]:.4f} ({best})" if best else ""
    return f"{_value(row, REAL, part)}, **{_value(row, PRODUCT, part)}**, {simple}"


def _value(row: Row, arm: str, part: str) -> str:
    return f"{row['arms'][arm][part][0]:.4f}" if part in row["arms"].get(arm, {}) else ""
