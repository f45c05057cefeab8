"""The only reader and writer of tables. A run's tables are published whole or not at all.

Layout under the root: `<table>/run_id=<run>/` (so that a table reads as one, partitioned by run), and
`runs/<run>/<stage>.json`, the record that a stage has been published. Everything is written under `_staging/` first,
renamed, and only then recorded; readers of the job go by the records, so that a store whose renames are not atomic
shows nothing half-written either.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from synthspark.errors import LakeError, did_you_mean
from synthspark.runs.files import PART, Files
from synthspark.runs.lease import LEASE, leased, require_free
from synthspark.runs.memory import PeakMemory
from synthspark.runs.tables import Table

log = logging.getLogger(__name__)

STAGES = ("clean", "featurize", "train", "synthesize", "recommend", "evaluate")
DROP = "drop"
"""In the name of what a dropped run's folders are moved to before they are deleted."""
TABLE_DEPTH = 3
"""Folders from the root to `run_id=`, that one included, at most: a/b/run_id=R."""
IMMOVABLE = frozenset({"iceberg"})
"""Formats whose tables hold their own place: after a rename they could not be read."""
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_run_id(run_id: str) -> None:
    """Raises LakeError for what cannot name a run: an empty id, or `..`, would be a folder of other runs."""
    if not RUN_ID.fullmatch(run_id):
        raise LakeError(
            f"run id {run_id!r}: use letters, digits, '.', '_' and '-', at most 100, and a letter or digit first"
        )


def new_run_id() -> str:
    """A run id that sorts by time and does not collide: UTC to the second and six random digits."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


class Publication:
    """The tables and files that one stage is about to publish; nothing is visible before the block ends."""

    def __init__(self, lake: Lake, run_id: str, stage: str) -> None:
        self._lake, self._run_id, self.stage = lake, run_id, stage
        self._staging = f"{lake.root}/_staging/{run_id}-{stage}-{uuid.uuid4().hex[:8]}"
        self.rows: dict[str, int] = {}
        self.details: dict[str, Any] = {}
        self._names: list[str] = []
        self._numbers = itertools.count()
        self.scratch_folder = "scratch"
        """Where `keep` and `scratch` are to write now."""
        self._places: dict[str, str] = {}
        self._schemas: dict[str, T.StructType] = {}
        """Of Parquet tables."""

    def write(self, table: Table, df: DataFrame, row_group_bytes: int | None = None) -> int:
        """Stage a table and return its rows, counted on what was written."""
        if not table.feed and self._lake.format in IMMOVABLE:
            self._claim(table)
        self._save(table, df, row_group_bytes)
        with self._lake.guarded(f"counting table {table.name}"):
            self.rows[table.name] = self.read(table).count()
        self._names.append(table.name)
        return self.rows[table.name]

    def _save(self, table: Table, df: DataFrame, row_group_bytes: int | None) -> None:
        where = self.url(table)
        writer = df.write.mode("errorifexists")
        if row_group_bytes is not None:
            writer = writer.option("parquet.block.size", row_group_bytes)
        with self._lake.guarded(f"writing table {table.name}"):
            writer.format(self._lake.format_of(table)).save(where)
        if self._lake.format_of(table) == "parquet":
            self._schemas[table.name] = df.schema

    def _claim(self, table: Table) -> None:
        """Have a table that cannot be moved written where it will be: nobody goes by it until it is recorded."""
        self._unrecord()
        self._places[table.name] = self._lake.path(table.name, self._run_id)
        self._lake.delete(self._places[table.name])

    def scratch(self, table: Table, df: DataFrame, row_group_bytes: int | None = None) -> None:
        """As `write`, but gone when the block ends, and not counted; read it by `read` or `url`."""
        self._save(table, df, row_group_bytes)

    def read(self, table: Table) -> DataFrame:
        """A table staged by this publication."""
        reader = self._lake.spark.read.format(self._lake.format_of(table))
        schema = self._schemas.get(table.name)  # else Spark starts a job to look into the files
        return (reader if schema is None else reader.schema(schema)).load(self.url(table))

    def url(self, table: Table) -> str:
        """Where a table is staged, for what reads files itself."""
        return self._places.get(table.name, f"{self._staging}/{table.name}")

    def keep(self, name: str, df: DataFrame) -> DataFrame:
        """`df` computed once and read back from scratch: what follows plans from a file, not from its whole history.

        (Persisting does not shorten a plan, and planning grows with its square: seconds per query after a few joins.)
        """
        table = Table(f"{self.scratch_folder}/{next(self._numbers):03d}/{name}", feed=True)
        self.scratch(table, df)
        return self.read(table)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is kept in the block is gone when it ends."""
        outer = self.scratch_folder
        self.scratch_folder = f"{outer}/{next(self._numbers):03d}"
        try:
            yield
        finally:
            self._lake.delete(f"{self._staging}/{self.scratch_folder}")
            self.scratch_folder = outer

    def write_json(self, name: str, data: Any) -> None:
        """Stage a JSON file `<folder>/<file>`; it is published as `<folder>/run_id=<run>/<file>`."""
        folder, _, file = name.rpartition("/")
        self._lake.write_text(f"{self._staging}/{folder}/{file}", json.dumps(data, indent=1, ensure_ascii=False))
        if folder not in self._names:
            self._names.append(folder)

    def write_lines(self, folder: str, df: DataFrame) -> None:
        """Stage a folder of text files with one JSON object per row, as search engines take them in bulk."""
        with self._lake.guarded(f"writing {folder}"):
            df.write.mode("errorifexists").json(f"{self._staging}/{folder}")
        self._names.append(folder)

    def copy_in(self, source: str, folder: str) -> None:
        """Stage a copy of the directory `source` as `folder`."""
        self._lake.copy(source, f"{self._staging}/{folder}")
        if folder not in self._names:
            self._names.append(folder)

    def commit(self) -> None:
        """Move everything into its place, then record the stage; this and later stages count as undone until then.

        What the stage published before and does not now (its source is gone) goes. If a table cannot be moved, those
        that were are moved back.
        """
        lake = self._lake
        before = (lake.record(self._run_id, self.stage) or {}).get("published", [])
        moved: list[tuple[str, str]] = []

        def move(source: str, target: str) -> None:
            lake.rename(source, target)
            moved.append((source, target))

        with lake.guarded(f"publishing stage {self.stage}"):
            self._unrecord()
            try:
                for number, name in enumerate(
                    n for n in dict.fromkeys([*self._names, *before]) if n not in self._places
                ):
                    final = lake.path(name, self._run_id)
                    if lake.exists(final):
                        move(final, f"{self._staging}/_replaced/{number}")
                    if name in self._names:
                        move(f"{self._staging}/{name}", final)
                record = {"stage": self.stage, "run_id": self._run_id, "published": self._names, "rows": self.rows}
                lake.write_text(lake.record_path(self._run_id, self.stage),
                                json.dumps({**record, **self.details}, indent=1))  # fmt: skip
            except BaseException:
                self._unrecord()  # if it was just written: of tables that are about to go
                for source, target in reversed(moved):
                    lake.rename(target, source)
                raise

    def _unrecord(self) -> None:
        """Undo this and later stages: whoever is killed now leaves no record of tables that do not fit together."""
        for stale in reversed(STAGES[STAGES.index(self.stage) :]):
            self._lake.delete(self._lake.record_path(self._run_id, stale))

    def abandon(self) -> None:
        """Remove everything that was written."""
        for place in self._places.values():
            self._lake.delete(place)
        self.discard()

    def discard(self) -> None:
        """Remove what is still staged."""
        self._lake.delete(self._staging)


class Lake(Files):
    """A run's tables and what it recorded, below one root."""

    def __init__(self, spark: SparkSession, root: str, format: str = "parquet") -> None:
        super().__init__(spark, root)
        self.format = format

    def path(self, name: str, run_id: str) -> str:
        """Where a run's table or folder is published, as a full URL: reports are no table, so theirs is plain."""
        check_run_id(run_id)
        return f"{self.root}/{name}/{run_id}" if name == "reports" else f"{self.root}/{name}/run_id={run_id}"

    def record_path(self, run_id: str, stage: str) -> str:
        """Where the record of a published stage is."""
        check_run_id(run_id)
        return f"{self.root}/runs/{run_id}/{stage}.json"

    @contextmanager
    def publication(self, run_id: str, stage: str) -> Iterator[Publication]:
        """Everything written in the block is published when it ends, or nothing if it raises.

        The record tells the peak memory of the block, too: it is written once, so that there is no moment without it.
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
        except LakeError as error:  # the stage is published; the next sweep of the run removes what is left
            log.warning("%s", error)

    def leased(self, run_id: str) -> AbstractContextManager[None]:
        """The run is this driver's while the block runs; raises LakeError if another one is at work on it."""
        check_run_id(run_id)
        return leased(self, f"{self.root}/runs/{run_id}")

    def format_of(self, table: Table) -> str:
        """As Spark calls it."""
        return "parquet" if table.feed else self.format

    def read(self, table: Table, run_id: str) -> DataFrame:
        """A published table of a run."""
        with self.guarded(f"reading table {table.name} of run {run_id}"):
            return self.spark.read.format(self.format_of(table)).load(self.path(table.name, run_id))

    def record(self, run_id: str, stage: str) -> dict[str, Any] | None:
        """What a stage recorded when it was published; None if it was not."""
        path = self.record_path(run_id, stage)
        return dict(json.loads(self.read_text(path))) if self.exists(path) else None

    def records(self, run_id: str) -> dict[str, dict[str, Any]]:
        """What every published stage of a run recorded, by stage, in order."""
        found = {stage: self.record(run_id, stage) for stage in STAGES}
        return {stage: record for stage, record in found.items() if record is not None}

    def require(self, run_id: str, stages: Sequence[str]) -> None:
        """Raises LakeError that names the stage to run first."""
        for stage in stages:
            if self.record(run_id, stage) is None:
                known = self.runs()
                hint = did_you_mean(run_id, known) if run_id not in known else ""
                raise LakeError(
                    f"lake {self.root}: run {run_id!r} has not published stage '{stage}'.{hint} "
                    f"Run `synthspark {stage} --run-id {run_id}` first."
                )

    def runs(self) -> list[str]:
        """Ids of the runs that have begun, the one that something was last recorded of at the end.

        By the times of files: those of folders are made up by object stores.
        """
        found = []
        for folder in self.folders(f"{self.root}/runs"):
            files = self.statuses(folder.toString())
            times = [s.getModificationTime() for s in files if not s.getPath().getName().startswith(LEASE)]
            if times and RUN_ID.fullmatch(folder.getName()):
                found.append((max(times), str(folder.getName())))
        return [name for _, name in sorted(found)]

    def latest_run(self, stage: str) -> str:
        """The newest run that has published `stage`; raises LakeError if there is none."""
        for run_id in reversed(self.runs()):
            if self.exists(self.record_path(run_id, stage)):
                return run_id
        raise LakeError(f"lake {self.root}: no run has published stage '{stage}'. Run `synthspark {stage}` first.")

    def sweep(self, run_id: str) -> None:
        """Remove what killed stages of a run have left half-written; none of it was ever visible."""
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
        """Take a run back and return what was removed, below the root; other runs are not touched.

        Each folder is moved out of sight before it is deleted. Raises LakeError if there is no such run, or if a driver
        is at work on it.
        """
        check_run_id(run_id)
        require_free(self, f"{self.root}/runs/{run_id}")
        found = [f"runs/{run_id}"] if self.exists(f"{self.root}/runs/{run_id}") else []  # first: no record, no run
        found += self._folders_of(run_id)
        if not found:
            known = self.runs()
            raise LakeError(f"lake {self.root}: there is no run {run_id!r}.{did_you_mean(run_id, known)} "
                            f"`synthspark runs` lists the {len(known)} that there are.")  # fmt: skip
        away = f"{self.root}/_staging/{run_id}-{DROP}-{uuid.uuid4().hex[:8]}"
        with self.guarded(f"dropping run {run_id}"):
            for number, name in enumerate(found):
                self.rename(f"{self.root}/{name}", f"{away}/{number}")
            self.delete(away)
        self.sweep(run_id)
        return found

    def _folders_of(self, run_id: str) -> list[str]:
        """All of a run but its records: `<table>/run_id=<run>`, published or not, its report, its checkpoints."""
        folders = [f"{folder}/{run_id}" for folder in ("reports", "_checkpoints")]
        found = [name for name in folders if self.exists(f"{self.root}/{name}")]
        tables = [""]
        for _ in range(TABLE_DEPTH):
            below = [f"{t}/{p.getName()}" for t in tables for p in self.folders(f"{self.root}{t}")]
            tables = [n for n in below if not re.search(r"/(_|\.|run_id=|runs$|reports$)", n)]
            found += [n.removeprefix("/") for n in below if n.endswith(f"/run_id={run_id}")]
        return sorted(found)
