"""The context that each stage receives, and the report that it returns."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from synthspark import __version__
from synthspark.config import Config
from synthspark.runs.lake import Lake
from synthspark.runs.publication import Publication
from synthspark.runs.tables import Table, model_folder


def _ignore(*_: Any) -> None:
    """Ignore progress."""


def open_lake(spark: SparkSession, config: Config) -> Lake:
    """Return the lake that a configuration names."""
    return Lake(spark, config.lake.root, config.lake.format, config.lake.catalog)


@dataclass(frozen=True)
class Context:
    """One run: its Spark session, lake and configuration."""

    spark: SparkSession
    lake: Lake
    config: Config
    run_id: str
    on_epoch: Callable[[str, dict[str, Any]], None] = _ignore
    """Called with the name of the generator and the record of each epoch."""
    on_step: Callable[[str], None] = _ignore
    """Called with a short description when a stage begins a step."""

    def read(self, table: Table) -> DataFrame:
        """Return a table that this run has published."""
        return self.lake.read(table, self.run_id)

    def url(self, table: Table | str) -> str:
        """Return the URL at which a table or folder of this run is published."""
        return self.lake.path(table if isinstance(table, str) else table.name, self.run_id)

    def has(self, table: Table | str) -> bool:
        """Return whether this run has published a table or folder.

        The records decide: a folder may be left over from an earlier publication.
        """
        name = table if isinstance(table, str) else table.name
        return any(name in record.get("published", ()) for record in self.lake.records(self.run_id).values())

    @contextmanager
    def publication(self, stage: str) -> Iterator[Publication]:
        """Open the lake's publication of a stage; its record includes the configuration and the version."""
        with self.lake.publication(self.run_id, stage) as staged:
            staged.details.update(self.made_by())
            yield staged

    def checkpoints(self) -> str:
        """Return the folder of this run's training checkpoints; they are not published."""
        return f"{self.lake.root}/_checkpoints/{self.run_id}"

    def made_by(self) -> dict[str, str]:
        """Return what determines a stage's tables besides its sources: configuration fingerprint and version."""
        return {"configuration": self.config.fingerprint(), "version": __version__}

    def rows(self, stage: str, table: Table) -> int:
        """Return the number of rows that an earlier stage published; 0 for a table that it did not publish."""
        return int(self.record(stage)["rows"].get(table.name, 0))

    def model_meta(self, name: str) -> dict[str, Any] | None:
        """Return model.json of a generator; None if this run has not trained it."""
        if not self.has(model_folder(name)):
            return None
        return dict(json.loads(self.lake.read_text(f"{self.url(model_folder(name))}/model.json")))

    def record(self, stage: str) -> dict[str, Any]:
        """Return the record of an earlier stage of this run."""
        record = self.lake.record(self.run_id, stage)
        assert record is not None, f"stage {stage} was required before"
        return record


@dataclass
class StageReport:
    """What a stage did: row counts, notes and tables."""

    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0
    notes: list[str] = field(default_factory=list)
    """Notes for the reader, for example excluded attributes or gaps in the data."""
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    """Small tables to display: title -> {label: count}."""
    details: dict[str, Any] = field(default_factory=dict)
    """Figures that later stages need."""
    peak_bytes: int = 0
    """Peak memory of the driver and its child processes, in bytes; set when the stage ends."""

    started: float = field(default_factory=time.monotonic, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for the stage's record, with the seconds elapsed so far."""
        data = asdict(self)
        return {"seconds": round(time.monotonic() - data.pop("started"), 1), **data}
