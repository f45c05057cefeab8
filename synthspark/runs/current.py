"""The current run, which downstream jobs read: promote, replace in one step, protect from removal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from synthspark.errors import LakeError, did_you_mean
from synthspark.runs.files import PART
from synthspark.runs.lake import STAGES, Lake, check_run_id
from synthspark.runs.lease import leased, require_free
from synthspark.runs.views import show

FILE = "current.json"
PROMOTING = "_staging/current"
"""Folder of the lease that allows one promotion at a time."""


def current(lake: Lake) -> dict[str, Any] | None:
    """Return the run that was promoted last; None if there is none.

    Keys: `run_id`, `promoted_at`, `ship`, `forced`, and `release` if `synthspark apply` made the run.
    """
    path = f"{lake.root}/{FILE}"
    return dict(json.loads(lake.read_text(path))) if lake.exists(path) else None


def promote(lake: Lake, run_id: str, force: bool = False, views: str | None = None) -> dict[str, Any]:
    """Make a run the current one and return what `current` returns from then on.

    views: database of the catalogue in which each table of the run gets a view, `synthetic_events` and so on. Raises
    LakeError if the run is incomplete, if its verdict is "do not ship" and `force` is not set, or if another promotion
    is in progress.
    """
    check_run_id(run_id)
    known = lake.runs()
    if run_id not in known:
        raise LakeError(f"lake {lake.root}: there is no run {run_id!r} to promote.{did_you_mean(run_id, known)} "
                        "`synthspark runs` lists them.")  # fmt: skip
    records = lake.records(run_id)
    release = records.get("train", {}).get("applied")
    # An applied run takes its release's verdict, and `recommend` is optional for it.
    needed = [s for s in STAGES if release is None or s not in ("recommend", "evaluate")]
    missing = [stage for stage in needed if stage not in records]
    if missing and not (force and missing == ["evaluate"]):
        raise LakeError(f"run {run_id!r} has not published stage '{missing[0]}': continue the run first"
                        + (", or promote it unproven with --force" if missing == ["evaluate"] else ""))  # fmt: skip
    ship, why = verdict_of(lake, release or run_id)
    if not ship and not force:
        of = "its verdict is" if release is None else f"it was made by run {release!r}, whose verdict is"
        raise LakeError(f"run {run_id!r} must not be promoted, {of}: {why} (--force promotes it anyway and records "
                        "that)")  # fmt: skip
    now = {"run_id": run_id, "promoted_at": datetime.now(timezone.utc).isoformat(timespec="seconds"), "ship": ship,
           "forced": force and not ship, **({"release": release} if release else {})}  # fmt: skip
    with leased(lake, f"{lake.root}/{PROMOTING}", "the current run"):
        if views is not None:
            show(lake, run_id, tables_of(records), views)
        for path in lake.files(lake.root):  # left by a promotion that was killed
            if path.getName().startswith(FILE) and PART.search(path.getName()):
                lake.delete(path.toString())
        lake.replace_text(f"{lake.root}/{FILE}", json.dumps(now, indent=1))
    return now


def sample_of(records: Mapping[str, Mapping[str, Any]]) -> Mapping[str, int] | None:
    """Return the size of the sample that a run's tables were made from, `users` and `of`; None if of all users.

    records: stage -> its record.
    """
    found: Mapping[str, int] | None = records.get("clean", {}).get("details", {}).get("sample")
    return found


def verdict_of(lake: Lake, run_id: str) -> tuple[bool, str]:
    """Return whether a run should be used by its own proof, and the reason."""
    record = lake.record(run_id, "evaluate")
    if record is None:
        return False, "it was not judged (stage evaluate)"
    verdict = record["details"]["verdict"]
    if sample_of(lake.records(run_id)):
        return False, f"its tables are of a sample of the users (source.max_users): {verdict['why']}"
    return bool(verdict["ship"]), str(verdict["why"])


def prune(lake: Lake, keep: int) -> tuple[list[str], list[str]]:
    """Remove all runs except the newest `keep`, the current one and the release that it was made with.

    Removals that were killed are completed, too. Returns the ids removed and the ids kept because a driver is at work
    on them.
    """
    now = current(lake) or {}
    removed, busy = [], []
    runs = lake.runs()
    for run_id in [*(r for r in lake.half_dropped() if r not in runs), *runs[: -keep or None]]:
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
    """Raise LakeError for the current run and for the release that it was made with."""
    now = current(lake) or {}
    if now.get("run_id") == run_id:
        raise LakeError(f"run {run_id!r} is the current one, which others read; promote another run first")
    if now.get("release") == run_id:
        raise LakeError(f"run {run_id!r} is the release that the current run {now['run_id']!r} was made with; promote "
                        "another run first")  # fmt: skip


def tables_of(records: dict[str, dict[str, Any]]) -> list[str]:
    """Return the names of the tables that a run has published for other jobs."""
    published = [name for record in records.values() for name in record.get("rows", {})]
    return [name for name in dict.fromkeys(published) if _is_shown(name)]


def _is_shown(name: str) -> bool:
    return name.partition("/")[0] not in ("features", "feeds", "factors", "item_factors")
