"""The only reader and writer of tables. A stage's tables are published completely or not at all.

Layout under the root: `<table>/run_id=<run>/`, so that each table is partitioned by run, and
`runs/<run>/<stage>.json`, the record that a stage has been published. Everything is written under `_staging/` first,
then renamed, then recorded. The job reads only what is recorded, so that nothing half-written is seen even in a store
whose renames are not atomic.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from synthspark.errors import LakeError, did_you_mean
from synthspark.runs.catalogue import Catalogue, literal
from synthspark.runs.files import PART, Files
from synthspark.runs.lease import LEASE, leased, require_free
from synthspark.runs.memory import PeakMemory
from synthspark.runs.publication import Publication
from synthspark.runs.tables import Table

log = logging.getLogger(__name__)

STAGES = ("clean", "featurize", "train", "synthesize", "recommend", "evaluate")
DROP = "drop"
"""Name part of the staging folder to which a dropped run's folders are moved before they are deleted."""
TABLE_DEPTH = 3
"""Maximum number of folder levels below the root down to `run_id=`, inclusive: a/b/run_id=R."""
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_run_id(run_id: str) -> None:
    """Raise LakeError for an invalid run id: an empty id or `..` would name a folder of other runs."""
    if not RUN_ID.fullmatch(run_id):
        raise LakeError(
            f"run id {run_id!r}: use letters, digits, '.', '_' and '-', at most 100, and a letter or digit first"
        )


def new_run_id() -> str:
    """Return a unique run id that sorts by time: UTC to the second and six random hex digits."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


class Lake(Files):
    """Tables and records of all runs, below one root."""

    def __init__(self, spark: SparkSession, root: str, format: str = "parquet", catalog: str | None = None) -> None:
        super().__init__(spark, root)
        self.format = format
        self.catalogue = None if catalog is None else Catalogue(spark, catalog, format)

    def check_writable(self) -> None:
        """Raise LakeError if files cannot be written or if the catalogue's database does not exist."""
        super().check_writable()
        if self.catalogue is not None:
            self.catalogue.check()

    def path(self, name: str, run_id: str) -> str:
        """Return the full URL of a run's table or folder; reports are not a table and have no `run_id=`."""
        check_run_id(run_id)
        return f"{self.root}/{name}/{run_id}" if name == "reports" else f"{self.root}/{name}/run_id={run_id}"

    def record_path(self, run_id: str, stage: str) -> str:
        """Return the path of a stage's record."""
        check_run_id(run_id)
        return f"{self.root}/runs/{run_id}/{stage}.json"

    @contextmanager
    def publication(self, run_id: str, stage: str) -> Iterator[Publication]:
        """Publish everything that is written in the block when it ends, or nothing if it raises.

        The record includes the peak memory of the block and is written once, so it is never seen without that figure.
        """
        staged = Publication(self, run_id, stage)
        try:
            with PeakMemory() as memory:
                yield staged
            staged.details["peak_bytes"] = memory.peak_bytes
            staged.commit()
        except BaseException:
            staged.abandon()
            raise
        try:
            staged.discard()
        except LakeError as error:  # the stage is published; the run's next sweep removes the leftovers
            log.warning("%s", error)

    def leased(self, run_id: str) -> AbstractContextManager[None]:
        """Hold the run's lease during the block; raise LakeError if another driver is at work on the run."""
        check_run_id(run_id)
        return leased(self, f"{self.root}/runs/{run_id}")

    def format_of(self, table: Table) -> str:
        """Return Spark's name of the format of a table's files; rows for catalogue tables are staged as Parquet."""
        return "parquet" if table.feed or self.catalogue is not None else self.format

    def holds_rows(self, table: Table) -> bool:
        """Return whether the rows are in a catalogue table instead of below the lake's root."""
        return not table.feed and self.catalogue is not None and self.catalogue.holds_rows

    def read(self, table: Table, run_id: str) -> DataFrame:
        """Return a published table of a run."""
        with self.guarded(f"reading table {table.name} of run {run_id}"):
            if self.holds_rows(table):
                return self.spark.sql(self.query(table, run_id))
            return self.spark.read.format(self.format_of(table)).load(self.path(table.name, run_id))

    def query(self, table: Table, run_id: str) -> str:
        """Return SQL that selects a run's rows of a published table."""
        if self.catalogue is not None and self.holds_rows(table):
            columns = self.columns(table.name, run_id)
            assert columns is not None, f"run {run_id} has not published {table.name}"
            return self.catalogue.query(table.name, literal(run_id), columns)
        where = self.path(table.name, run_id).replace("`", "``")
        return f"select * from {self.format_of(table)}.`{where}`"

    def columns(self, name: str, run_id: str) -> list[str] | None:
        """Return the columns of a run's table in the catalogue; None if the catalogue does not have it."""
        shown = [record.get("columns", {}) for record in self.records(run_id).values()]
        return next((columns[name] for columns in shown if name in columns), None)

    def record(self, run_id: str, stage: str) -> dict[str, Any] | None:
        """Return the record of a published stage; None if it is not published."""
        path = self.record_path(run_id, stage)
        return dict(json.loads(self.read_text(path))) if self.exists(path) else None

    def unrecord(self, run_id: str, stage: str) -> None:
        """Delete the records of a stage and of all later ones, last first.

        A job that is killed now leaves no records of tables that do not fit together.
        """
        for stale in reversed(STAGES[STAGES.index(stage) :]):
            self.delete(self.record_path(run_id, stale))

    def records(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the records of a run's published stages, by stage, in order."""
        found = {stage: self.record(run_id, stage) for stage in STAGES}
        return {stage: record for stage, record in found.items() if record is not None}

    def require(self, run_id: str, stages: Sequence[str]) -> None:
        """Raise LakeError if one of `stages` is not published; the message names the stage to run first."""
        for stage in stages:
            if self.record(run_id, stage) is None:
                known = self.runs()
                hint = did_you_mean(run_id, known) if run_id not in known else ""
                raise LakeError(
                    f"lake {self.root}: run {run_id!r} has not published stage '{stage}'.{hint} "
                    f"Run `synthspark {stage} --run-id {run_id}` first."
                )

    def runs(self) -> list[str]:
        """Return the ids of all runs that have begun, ordered by their latest record, newest last.

        Modification times of files decide: those of folders are not reliable in object stores.
        """
        found = []
        for folder in self.folders(f"{self.root}/runs"):
            files = self.statuses(folder.toString())
            times = [s.getModificationTime() for s in files if not s.getPath().getName().startswith(LEASE)]
            if times and RUN_ID.fullmatch(folder.getName()):
                found.append((max(times), str(folder.getName())))
        return [name for _, name in sorted(found)]

    def latest_run(self, stage: str) -> str:
        """Return the newest run that has published `stage`; raise LakeError if there is none."""
        for run_id in reversed(self.runs()):
            if self.exists(self.record_path(run_id, stage)):
                return run_id
        raise LakeError(f"lake {self.root}: no run has published stage '{stage}'. Run `synthspark {stage}` first.")

    def sweep(self, run_id: str) -> None:
        """Delete unfinished output of a run's killed stages; none of it was ever visible."""
        check_run_id(run_id)
        left = re.compile(rf"{re.escape(run_id)}-({'|'.join((*STAGES, DROP))})-[0-9a-f]{{8}}")
        for path in self.folders(f"{self.root}/_staging"):
            if left.fullmatch(path.getName()):
                self.delete(path.toString())
        for folder in ("runs", "reports"):
            for path in self.files(f"{self.root}/{folder}/{run_id}"):
                if PART.search(path.getName()):
                    self.delete(path.toString())

    def drop(self, run_id: str) -> list[str]:
        """Remove a run and return the removed folders, relative to the root; other runs are not affected.

        Each folder is moved to the staging folder before it is deleted. Raises LakeError if there is no such run, or if
        a driver is at work on it.
        """
        check_run_id(run_id)
        require_free(self, f"{self.root}/runs/{run_id}")
        records, found = f"runs/{run_id}", self._folders_of(run_id)
        recorded = self.exists(f"{self.root}/{records}")
        if not recorded and not found and run_id not in self.half_dropped():
            known = self.runs()
            raise LakeError(f"lake {self.root}: there is no run {run_id!r}.{did_you_mean(run_id, known)} "
                            f"`synthspark runs` lists the {len(known)} that there are.")  # fmt: skip
        away = f"{self.root}/_staging/{run_id}-{DROP}-{uuid.uuid4().hex[:8]}"
        with self.guarded(f"dropping run {run_id}"):
            if recorded:  # records first: without them the run does not exist for readers
                self.rename(f"{self.root}/{records}", f"{away}/records")
            if self.catalogue is not None:
                self.catalogue.forget(run_id)
            for number, name in enumerate(found):
                self.rename(f"{self.root}/{name}", f"{away}/{number}")
            self.delete(away)
        self.sweep(run_id)
        return [records, *found] if recorded else found

    def half_dropped(self) -> list[str]:
        """Return the ids of runs whose removal was killed: folders or partitions are left.

        A run may have been made anew with the same id since.
        """
        names = [path.getName() for path in self.folders(f"{self.root}/_staging")]
        found = [re.fullmatch(rf"(.+)-{DROP}-[0-9a-f]{{8}}", name) for name in names]
        return sorted({match[1] for match in found if match})

    def _folders_of(self, run_id: str) -> list[str]:
        """Return the run's folders except its records: tables (published or not), report and checkpoints."""
        folders = [f"{folder}/{run_id}" for folder in ("reports", "_checkpoints")]
        found = [name for name in folders if self.exists(f"{self.root}/{name}")]
        tables = [""]
        for _ in range(TABLE_DEPTH):
            below = [f"{t}/{p.getName()}" for t in tables for p in self.folders(f"{self.root}{t}")]
            tables = [n for n in below if not re.search(r"/(_|\.|run_id=|runs$|reports$)", n)]
            found += [n.removeprefix("/") for n in below if n.endswith(f"/run_id={run_id}")]
        return sorted(found)
