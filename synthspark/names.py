"""Names of columns: reserved ones, which later tables use, and those that Spark cannot distinguish."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

RESERVED = frozenset(
    ("origin", "weight", "seed", "run_id", "reason", "raw", "user_id", "item_id", "user_index", "item_index", "index",
     "id", "vector", "num_events", "first_ts", "last_ts")
)  # fmt: skip
_ENCODED = re.compile(r"(?:code|number)_\d{3}")
"""Prefix of the encoders' columns."""


def require_names(names: Iterable[str], where: str) -> None:
    """Raise ValueError, with a suggested rename, for a name that no attribute can have. where: e.g. `source.items`."""
    seen: dict[str, str] = {}
    for name in names:
        fault = _fault(name, seen)
        if fault is not None:
            free = free_name(name, seen)
            advice = f"{where}.columns: {{{free}: {json.dumps(name)}}} and {where}.attributes: {{{free}: ...}}"
            raise ValueError(f"{where}.attributes: {fault}; rename it: {advice}")
        seen[name.lower()] = name


def free_name(name: str, taken: Iterable[str] = ()) -> str:
    """Return `name`, changed if necessary to be valid for an attribute and not in `taken`."""
    used = {t.lower() for t in taken}
    bare = name.strip().lstrip("_") or "attribute"
    bare = f"own_{bare}" if _is_reserved(bare) else bare
    free, number = bare, 2
    while free.lower() in used:
        free, number = f"{bare}_{number}", number + 1
    return free


def distinct_names(names: Sequence[str]) -> list[str]:
    """Number names that differ by letter case only, except the alphabetically first; other names are unchanged.

    The alphabetical order makes the result independent of the order of columns, which may differ between files.
    """
    made = {}
    for key in {n.strip().lower() for n in names}:
        same = sorted({n for n in names if n.strip().lower() == key})
        made.update({n: n if place == 0 else f"{n.strip()}_{place + 1}" for place, n in enumerate(same)})
    return [made[n] for n in names]


def _fault(name: str, seen: dict[str, str]) -> str | None:
    if not name.strip():
        return "a name is blank"
    if _is_reserved(name):
        return f"{name!r} is a column that the job itself adds"
    if name.startswith("_"):
        return f"{name!r} begins with an underscore, as the job's own columns do"
    if name.lower() in seen:
        return f"{name!r} and {seen[name.lower()]!r} differ by letter case only, which Spark does not tell apart"
    return None


def _is_reserved(name: str) -> bool:
    return name.lower() in RESERVED or _ENCODED.match(name.lower()) is not None
