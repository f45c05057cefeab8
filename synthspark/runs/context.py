"""What every stage is given, and what it reports."""

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
    """Progress that nobody watches."""


def open_lake(spark: SparkSession, config: Config) -> Lake:
    """The lake that a configuration names."""
    return Lake(spark, config.lake.root, config.lake.format, config.lake.catalog)


@dataclass(frozen=True)
class Context:
    """One run: its session, its lake, its configuration."""

    spark: SparkSession
    lake: Lake
    config: Config
    run_id: str
    on_epoch: Callable[[str, dict[str, Any]], None] = _ignore
    """Called with the generator's name and the record of each epoch."""
    on_step: Callable[[str], None] = _ignore
    """Called with a few words when a stage begins another step."""

    def read(self, table: Table) -> DataFrame:
        """A table that this run has published."""
        return self.lake.read(table, self.run_id)

    def url(self, table: Table | str) -> str:
        """Where a table or folder of this run is published."""
        return self.lake.path(table if isinstance(table, str) else table.name, self.run_id)

    def has(self, table: Table | str) -> bool:
        """Whether this run has published a table or folder: by the records, as a folder may be of a time before."""
        name = table if isinstance(table, str) else table.name
        return any(name in record.get("published", ()) for record in self.lake.records(self.run_id).values())

    @contextmanager
    def publication(self, stage: str) -> Iterator[Publication]:
        """The lake's, whose record tells what the stage was made by."""
        with self.lake.publication(self.run_id, stage) as staged:
            staged.details.update(self.made_by())
            yield staged

    def checkpoints(self) -> str:
        """Where this run's training goes on after a crash; not part of what is published."""
        return f"{self.lake.root}/_checkpoints/{self.run_id}"

    def made_by(self) -> dict[str, str]:
        """What decides over a stage's tables, besides its sources."""
        return {"configuration": self.config.fingerprint(), "version": __version__}

    def rows(self, stage: str, table: Table) -> int:
        """Rows that an earlier stage of this run has published; 0 of a table that it has not."""
        return int(self.record(stage)["rows"].get(table.name, 0))

    def model_meta(self, name: str) -> dict[str, Any] | None:
        """model.json of a generator that this run has trained."""
        if not self.has(model_folder(name)):
            return None
        return dict(json.loads(self.lake.read_text(f"{self.url(model_folder(name))}/model.json")))

    def record(self, stage: str) -> dict[str, Any]:
        """What an earlier stage of this run recorded."""
        record = self.lake.record(self.run_id, stage)
        assert record is not None, f"stage {stage} was required before"
        return record


@dataclass
class StageReport:
    """What a stage did, in figures and in words."""

    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0
    notes: list[str] = field(default_factory=list)
    """What the user should know: attributes kept out, what the data lacks."""
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    """Small tables to show: title -> {label: count}."""
    details: dict[str, Any] = field(default_factory=dict)
    """Figures that later stages need."""
    peak_bytes: int = 0
    """Of the driver and what runs below it; known when the stage is over."""

    started: float = field(default_factory=time.monotonic, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the stage's record, with the seconds so far."""
        data = asdict(self)
        return {"seconds": round(time.monotonic() - data.pop("started"), 1), **data}
