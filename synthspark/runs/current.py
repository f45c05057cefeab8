"""The run that others read: chosen, replaced at once, and never removed by accident."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from synthspark.errors import LakeError, did_you_mean
from synthspark.runs.files import PART
from synthspark.runs.lake import STAGES, Lake, check_run_id
from synthspark.runs.lease import leased, require_free
from synthspark.runs.views import show

FILE = "current.json"
PROMOTING = "_staging/current"
"""Folder of the lease that a promotion takes: one at a time."""


def current(lake: Lake) -> dict[str, Any] | None:
    """`run_id`, `promoted_at`, `ship`, `forced` of the run that was promoted last, and its `release` where it was made
    by `synthspark apply`; None where none was.
    """
    path = f"{lake.root}/{FILE}"
    return dict(json.loads(lake.read_text(path))) if lake.exists(path) else None


def promote(lake: Lake, run_id: str, force: bool = False, views: str | None = None) -> dict[str, Any]:
    """Make a run the current one; returns what `current` does from now on.

    views: database of the catalogue in which each table of the run gets a view, `synthetic_events` and so on. Raises
    LakeError for a run that is not whole, or whose verdict is no, unless `force`, and while another promotion runs.
    """
    check_run_id(run_id)
    known = lake.runs()
    if run_id not in known:
        raise LakeError(f"lake {lake.root}: there is no run {run_id!r} to promote.{did_you_mean(run_id, known)} "
                        "`synthspark runs` lists them.")  # fmt: skip
    records = lake.records(run_id)
    release = records.get("train", {}).get("applied")
    # An applied run is judged by its release, and recommends only where it was asked to.
    needed = [s for s in STAGES if release is None or s not in ("recommend", "evaluate")]
    missing = [stage for stage in needed if stage not in records]
    if missing and not (force and missing == ["evaluate"]):
        raise LakeError(f"run {run_id!r} has not published stage '{missing[0]}': go on with it first"
                        + (", or promote it unproven with --force" if missing == ["evaluate"] else ""))  # fmt: skip
    ship, why = verdict_of(lake, release or run_id)
    if not ship and not force:
        of = "its verdict is" if release is None else f"it was made by run {release!r}, whose verdict is"
        raise LakeError(f"run {run_id!r} must not be promoted, {of}: {why} (--force does it all the same, and says so "
                        "in the record)")  # fmt: skip
    now = {"run_id": run_id, "promoted_at": datetime.now(timezone.utc).isoformat(timespec="seconds"), "ship": ship,
           "forced": force and not ship, **({"release": release} if release else {})}  # fmt: skip
    with leased(lake, f"{lake.root}/{PROMOTING}", "the current run"):
        if views is not None:
            show(lake, run_id, tables_of(records), views)
        for path in lake.files(lake.root):  # of a promotion that was killed
            if path.getName().startswith(FILE) and PART.search(path.getName()):
                lake.delete(path.toString())
        lake.replace_text(f"{lake.root}/{FILE}", json.dumps(now, indent=1))
    return now


def verdict_of(lake: Lake, run_id: str) -> tuple[bool, str]:
    """Whether a run should be used, and why (not), by its own proof."""
    record = lake.record(run_id, "evaluate")
    if record is None:
        return False, "it was not judged (stage evaluate)"
    verdict = record["details"]["verdict"]
    return bool(verdict["ship"]), str(verdict["why"])


def prune(lake: Lake, keep: int) -> tuple[list[str], list[str]]:
    """Remove all runs but the newest `keep`, the current one and the release that it was made with; and what is left of
    runs whose removal was killed.

    Returns those removed and those that are in use.
    """
    now = current(lake) or {}
    removed, busy = [], []
    for run_id in [*lake.half_dropped(), *lake.runs()[: -keep or None]]:
        if run_id in (now.get("run_id"), now.get("release")):
            continue
        try:
            require_free(lake, f"{lake.root}/runs/{run_id}")
        except LakeError:
            busy.append(run_id)
            continue
        lake.drop(run_id)
        removed.append(run_id)
    return removed, busy


def require_not_current(lake: Lake, run_id: str) -> None:
    """Raises LakeError for the run that others read, and for the release that it was made with."""
    now = current(lake) or {}
    if now.get("run_id") == run_id:
        raise LakeError(f"run {run_id!r} is the current one, which others read; promote another run first")
    if now.get("release") == run_id:
        raise LakeError(f"run {run_id!r} is the release that the current run {now['run_id']!r} was made with; promote "
                        "another run first")  # fmt: skip


def tables_of(records: dict[str, dict[str, Any]]) -> list[str]:
    """Names of the tables that a run has published for others to read."""
    published = [name for record in records.values() for name in record.get("rows", {})]
    return [name for name in dict.fromkeys(published) if _is_shown(name)]


def _is_shown(name: str) -> bool:
    return name.partition("/")[0] not in ("features", "feeds", "factors", "item_factors")
