"""The run that others read: chosen, replaced at once, and never removed by accident."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from synthspark.errors import LakeError, did_you_mean
from synthspark.runs.lake import STAGES, Lake, check_run_id
from synthspark.runs.lease import require_free
from synthspark.runs.tables import Table

FILE = "current.json"


def current(lake: Lake) -> dict[str, Any] | None:
    """`run_id`, `promoted_at`, `ship`, `forced` of the run that was promoted last; None where none was."""
    path = f"{lake.root}/{FILE}"
    return dict(json.loads(lake.read_text(path))) if lake.exists(path) else None


def promote(lake: Lake, run_id: str, force: bool = False, views: str | None = None) -> dict[str, Any]:
    """Make a run the current one; returns what `current` does from now on.

    views: database of the catalogue in which each table of the run gets a view, `synthetic_events` and so on. Raises
    LakeError for a run that is not whole, or whose verdict is no, unless `force`.
    """
    check_run_id(run_id)
    known = lake.runs()
    if run_id not in known:
        raise LakeError(f"lake {lake.root}: there is no run {run_id!r} to promote.{did_you_mean(run_id, known)} "
                        "`synthspark runs` lists them.")  # fmt: skip
    records = lake.records(run_id)
    missing = [stage for stage in STAGES if stage not in records]
    if missing and not (force and missing == ["evaluate"]):
        raise LakeError(f"run {run_id!r} has not published stage '{missing[0]}': go on with it first"
                        + (", or promote it unproven with --force" if missing == ["evaluate"] else ""))  # fmt: skip
    verdict = records["evaluate"]["details"]["verdict"] if not missing else None
    ship = bool(verdict and verdict["ship"])
    if not ship and not force:
        assert verdict is not None
        raise LakeError(f"run {run_id!r} must not be promoted, its verdict is: {verdict['why']} (--force does it all "
                        "the same, and says so in the record)")  # fmt: skip
    now = {"run_id": run_id, "promoted_at": datetime.now(timezone.utc).isoformat(timespec="seconds"), "ship": ship,
           "forced": force and not ship}  # fmt: skip
    if views is not None:
        _view(lake, run_id, records, views)
    lake.replace_text(f"{lake.root}/{FILE}", json.dumps(now, indent=1))
    return now


def prune(lake: Lake, keep: int) -> tuple[list[str], list[str]]:
    """Remove all runs but the newest `keep` and the current one; returns those removed and those that are in use."""
    now = current(lake)
    removed, busy = [], []
    for run_id in lake.runs()[: -keep or None]:
        if now is not None and run_id == now["run_id"]:
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
    """Raises LakeError for the run that others read."""
    now = current(lake)
    if now is not None and now["run_id"] == run_id:
        raise LakeError(f"run {run_id!r} is the current one, which others read; promote another run first")


def tables_of(records: dict[str, dict[str, Any]]) -> list[str]:
    """Names of the tables that a run has published for others to read."""
    published = [name for record in records.values() for name in record.get("rows", {})]
    return [name for name in dict.fromkeys(published) if _is_shown(name)]


def _is_shown(name: str) -> bool:
    return name.partition("/")[0] not in ("features", "feeds", "factors", "item_factors")


def _view(lake: Lake, run_id: str, records: dict[str, dict[str, Any]], database: str) -> None:
    for name in tables_of(records):
        target = f"{_quoted([*database.split('.')])}.{_quoted([name.replace('/', '_')])}"
        with lake.guarded(f"writing view {target}"):
            lake.spark.sql(f"create or replace view {target} as {lake.query(Table(name), run_id)}")


def _quoted(parts: Sequence[str]) -> str:
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)
