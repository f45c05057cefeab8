"""What a run has published, read without Spark: content, not files, since how rows lie in files says nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq

TABLES = ("clean/users", "clean/items", "clean/events", "clean/rejects", "features/interactions", "features/users",
          "features/items", "factors/users", "factors/items", "item_factors/users", "item_factors/items",
          "feeds/profile_items", "feeds/profile_items_validation", "feeds/profile_users", "feeds/behaviour_items",
          "feeds/behaviour_users", "synthetic/users", "synthetic/items", "synthetic/events",
          "recommendations")  # fmt: skip


def recorded(lake: Path, run_id: str, stage: str) -> bool:
    """Whether a stage has been published."""
    return (lake / "runs" / run_id / f"{stage}.json").exists()


def staging(lake: Path, run_id: str, stage: str) -> bool:
    """Whether a stage has begun to write."""
    return any((lake / "_staging").glob(f"{run_id}-{stage}-*"))


def contents(lake: Path, run_id: str) -> dict[str, str]:
    """SHA-256 of the sorted rows of every table, and of the weights of every model."""
    found = {table: _digest(rows(lake, run_id, table)) for table in TABLES if _folder(lake, run_id, table).exists()}
    for about in sorted(lake.glob(f"models/*/run_id={run_id}/*.json")):
        digest = json.loads(about.read_text()).get("sha256")
        if digest is not None and about.name in ("model.json", "judge.json"):
            found[f"{about.parent.parent.name}/{about.name}"] = digest
    report = lake / "reports" / run_id / "metrics.json"
    if report.exists():
        metrics = json.loads(report.read_text())
        found["reports/metrics.json"] = _digest([json.dumps([metrics[part] for part in ("protocols", "verdict")])])
    return found


def rows(lake: Path, run_id: str, table: str) -> list[str]:
    """The rows of a table, sorted, each as one exact text."""
    return sorted(repr(tuple(r.values())) for r in pq.ParquetDataset(_folder(lake, run_id, table)).read().to_pylist())


def doubled(lake: Path, run_id: str, table: str) -> int:
    """How many rows are there more than once."""
    found = rows(lake, run_id, table)
    return len(found) - len(set(found))


def _folder(lake: Path, run_id: str, table: str) -> Path:
    return lake / table / f"run_id={run_id}"


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
