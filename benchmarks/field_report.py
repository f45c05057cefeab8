"""docs/field.md from what benchmarks/field.py has measured."""

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

Written by `make benchmark-field`: variants of the shops at hand, what `auto` promises of each by its trial, and what
comes of it. NDCG@20, the configuration's ALS from one start, one split where none is named.

- *best simple*: of the arms knn, ridge and attribute_users and the rankers popular, popular_in_category and
  content_knn.
- *promise*: warm accuracy in the trial, the mean of its questions, against real rows alone; *outcome*: the same on the
  split's held-out interactions.
- *keeps*: warm falls by no more than 1 %, and the accuracy over all items does not fall. *beats*: over all items the
  product is not below the best simple one by more than the interval of either."""
COLUMNS = ("shop", "variant", "protocol", "chosen", "cold: real, product, best simple",
           "all: real, product, best simple", "warm: promise, outcome", "keeps", "beats", "permuted, all")  # fmt: skip


def report(rows: Sequence[Row]) -> str:
    """The page."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    judged = [row for row in rows if PRODUCT in row["arms"] and "warm" in row["arms"][REAL]]
    lines += [_line(row) for row in judged]
    counts = f"Of {len(judged)}, {sum(map(keeps, judged))} keep and {sum(map(beats, judged))} beat."
    return "\n\n".join([HEAD, counts, "\n".join(lines)]) + "\n"


def keeps(row: Row) -> bool:
    """Whether nothing is lost that the gate would not allow."""
    warm, everything = (_change(row, part) for part in ("warm", "all"))
    return warm >= -WARM_TOLERANCE and everything >= 0


def beats(row: Row) -> bool:
    """Whether no simple arm or ranker is better over all items, beyond chance."""
    mine = row["arms"][PRODUCT]["all"]
    best = max((row["arms"][arm]["all"] for arm in SIMPLE if "all" in row["arms"].get(arm, {})), default=mine)
    return bool(mine[0] >= best[1] or mine[2] >= best[0])


def promise(row: Row) -> float | None:
    """Warm accuracy of the chosen placing in the trial, relative to real rows alone; None where nothing was tried."""
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
