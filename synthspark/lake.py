"""The only reader and writer of tables. A run's tables are published whole or not at all.

Layout under the root: `<table>/run_id=<run>/` (so that a table reads as one, partitioned by run), and
`runs/<run>/<stage>.json`, the record that a stage has been published. Everything is written under `_staging/` first,
renamed, and only then recorded; readers of the job go by the records, so that a store whose renames are not atomic
shows nothing half-written either.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from synthspark.errors import LakeError, did_you_mean

STAGES = ("clean", "featurize", "train", "synthesize", "recommend", "evaluate")
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def new_run_id() -> str:
    """A run id that sorts by time and does not collide: UTC to the second and six random digits."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


class Publication:
    """The tables and files that one stage is about to publish; nothing is visible before the block ends."""

    def __init__(self, lake: Lake, run_id: str, stage: str) -> None:
        self._lake, self._run_id, self.stage = lake, run_id, stage
        self._staging = f"{lake.root}/_staging/{run_id}-{stage}-{uuid.uuid4().hex[:8]}"
        self.rows: dict[str, int] = {}
        self.details: dict[str, Any] = {}
        self._names: list[str] = []
        self._formats: dict[str, str] = {}

    def write(self, table: str, df: DataFrame, *, feed: bool = False, row_group_bytes: int | None = None) -> int:
        """Stage a table and return its rows, counted on what was written. Feeds are Parquet in every lake."""
        kind = self._save(table, df, feed, row_group_bytes)
        with self._lake.guarded(f"counting table {table}"):
            self.rows[table] = self._lake.spark.read.format(kind).load(self.url(table)).count()
        self._names.append(table)
        return self.rows[table]

    def _save(self, table: str, df: DataFrame, feed: bool, row_group_bytes: int | None) -> str:
        where = f"{self._staging}/{table}"
        writer = df.write.mode("errorifexists")
        if row_group_bytes is not None:
            writer = writer.option("parquet.block.size", row_group_bytes)
        kind = "parquet" if feed else self._lake.format
        self._formats[table] = kind
        with self._lake.guarded(f"writing table {table}"):
            writer.format(kind).save(where)
        return kind

    def scratch(self, table: str, df: DataFrame, *, feed: bool = True, row_group_bytes: int | None = None) -> None:
        """As `write`, but gone when the block ends, and not counted; read it by `read` or `url`."""
        self._save(table, df, feed, row_group_bytes)

    def read(self, table: str) -> DataFrame:
        """A table staged by this publication."""
        return self._lake.spark.read.format(self._formats[table]).load(self.url(table))

    def url(self, table: str) -> str:
        """Where a table is staged, for what reads files itself."""
        return f"{self._staging}/{table}"

    def keep(self, name: str, df: DataFrame) -> DataFrame:
        """`df` computed once and read back from scratch: what follows plans from a file, not from its whole history.

        (Persisting does not shorten a plan, and planning grows with its square: seconds per query after a few joins.)
        """
        table = f"scratch/{len(self._formats):03d}/{name}"
        self.scratch(table, df)
        return self.read(table)

    def write_json(self, name: str, data: Any) -> None:
        """Stage a JSON file `<folder>/<file>`; it is published as `<folder>/run_id=<run>/<file>`."""
        folder, _, file = name.rpartition("/")
        self._lake.write_text(f"{self._staging}/{folder}/{file}", json.dumps(data, indent=1, ensure_ascii=False))
        if folder not in self._names:
            self._names.append(folder)

    def copy_in(self, source: str, folder: str) -> None:
        """Stage a copy of the directory `source` as `folder`."""
        self._lake.copy(source, f"{self._staging}/{folder}")
        if folder not in self._names:
            self._names.append(folder)

    def commit(self) -> None:
        """Move everything into its place, then record the stage; later stages of this run count as undone."""
        lake = self._lake
        with lake.guarded(f"publishing stage {self.stage}"):
            for number, name in enumerate(self._names):
                final = lake.path(name, self._run_id)
                if lake.exists(final):
                    lake.rename(final, f"{self._staging}/_replaced/{number}")
                lake.rename(f"{self._staging}/{name}", final)
            for later in STAGES[STAGES.index(self.stage) + 1 :]:
                lake.delete(lake.record_path(self._run_id, later))
        record = {"stage": self.stage, "run_id": self._run_id, "published": self._names, "rows": self.rows}
        lake.write_text(lake.record_path(self._run_id, self.stage), json.dumps({**record, **self.details}, indent=1))
        self.discard()

    def discard(self) -> None:
        """Remove what is still staged."""
        self._lake.delete(self._staging)


class Lake:
    """Tables and files below one root on any Hadoop file system."""

    def __init__(self, spark: SparkSession, root: str, format: str = "parquet") -> None:
        self.spark, self.format = spark, format
        jvm = spark._jvm
        assert jvm is not None, "the job needs a classic Spark session, not Spark Connect"
        self._jvm: Any = jvm
        try:
            path = self._jvm.org.apache.hadoop.fs.Path(root)
            self._fs = path.getFileSystem(spark._jsc.hadoopConfiguration())
            self.root = str(self._fs.makeQualified(path)).rstrip("/")
        except Py4JError as error:
            raise LakeError(f"lake {root!r}: {_reason(error)}; is the scheme's jar on Spark's path?") from error

    def check_writable(self) -> None:
        """Raises LakeError before any work is done if nothing can be written below the root."""
        probe = f"{self.root}/_staging/probe-{uuid.uuid4().hex[:8]}"
        self.write_text(probe, "")
        self.delete(probe)

    def path(self, name: str, run_id: str) -> str:
        """Where a run's table or folder is published, as a full URL: reports are no table, so theirs is plain."""
        return f"{self.root}/{name}/{run_id}" if name == "reports" else f"{self.root}/{name}/run_id={run_id}"

    def record_path(self, run_id: str, stage: str) -> str:
        """Where the record of a published stage is."""
        return f"{self.root}/runs/{run_id}/{stage}.json"

    @contextmanager
    def publication(self, run_id: str, stage: str) -> Iterator[Publication]:
        """Everything written in the block is published when it ends, or nothing if it raises."""
        if not RUN_ID.fullmatch(run_id):
            raise LakeError(
                f"run id {run_id!r}: use letters, digits, '.', '_' and '-', at most 100, none of them first"
            )
        staged = Publication(self, run_id, stage)
        try:
            yield staged
            staged.commit()
        except BaseException:
            staged.discard()
            raise

    def read(self, table: str, run_id: str, *, feed: bool = False) -> DataFrame:
        """A published table of a run."""
        kind = "parquet" if feed else self.format
        with self.guarded(f"reading table {table} of run {run_id}"):
            return self.spark.read.format(kind).load(self.path(table, run_id))

    def record(self, run_id: str, stage: str) -> dict[str, Any] | None:
        """What a stage recorded when it was published; None if it was not."""
        path = self.record_path(run_id, stage)
        return dict(json.loads(self.read_text(path))) if self.exists(path) else None

    def amend_record(self, run_id: str, stage: str, **details: Any) -> None:
        """Add to the record of a published stage what is known only afterwards."""
        record = self.record(run_id, stage)
        assert record is not None, f"stage {stage} was published before"
        self.write_text(self.record_path(run_id, stage), json.dumps({**record, **details}, indent=1))

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
        """Ids of the runs that have published anything, the newest last."""
        base = self._path(f"{self.root}/runs")
        if not self._fs.exists(base):
            return []
        found = sorted((s.getModificationTime(), s.getPath().getName()) for s in self._fs.listStatus(base))
        return [str(name) for _, name in found]

    def latest_run(self, stage: str) -> str:
        """The newest run that has published `stage`; raises LakeError if there is none."""
        for run_id in reversed(self.runs()):
            if self.exists(self.record_path(run_id, stage)):
                return run_id
        raise LakeError(f"lake {self.root}: no run has published stage '{stage}'. Run `synthspark {stage}` first.")

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        with self.guarded("looking up a path"):
            return bool(self._fs.exists(self._path(path)))

    def read_text(self, path: str) -> str:
        """A small text file, as UTF-8."""
        with self.guarded(f"reading {path}"):
            stream = self._fs.open(self._path(path))
            try:
                return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
            finally:
                stream.close()

    def write_text(self, path: str, text: str) -> None:
        """A small text file, whole: written beside its place, then renamed."""
        part = f"{path}.{uuid.uuid4().hex[:8]}.part"
        with self.guarded(f"writing {path}"):
            stream = self._fs.create(self._path(part), True)
            try:
                stream.write(bytearray(text.encode("utf-8")))
            finally:
                stream.close()
            self.delete(path)
            self.rename(part, path)

    def rename(self, source: str, target: str) -> None:
        """Move a file or folder; the target's parents are made, the target must not exist."""
        self._fs.mkdirs(self._path(target).getParent())
        if not self._fs.rename(self._path(source), self._path(target)):
            raise LakeError(f"lake {self.root}: could not rename {source} to {target}")

    def copy(self, source: str, target: str) -> None:
        """Copy a folder within the lake."""
        files = self._jvm.org.apache.hadoop.fs.FileUtil
        conf = self.spark._jsc.hadoopConfiguration()
        with self.guarded(f"copying {source}"):
            self._fs.mkdirs(self._path(target).getParent())
            files.copy(self._fs, self._path(source), self._fs, self._path(target), False, conf)

    def delete(self, path: str) -> None:
        """Remove a file or folder with all that is in it; nothing happens if it is not there."""
        self._fs.delete(self._path(path), True)

    def _path(self, path: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(path)

    @contextmanager
    def guarded(self, doing: str) -> Iterator[None]:
        """Turn what Spark and Hadoop raise about storage into a LakeError that says what was being done."""
        try:
            yield
        except (Py4JJavaError, PySparkException) as error:
            reason = _reason(error)
            if "java.io" in reason or "hadoop.fs" in reason or "DATA_SOURCE_NOT_FOUND" in reason:
                raise LakeError(f"lake {self.root}: {doing} failed: {reason}{_advice(reason)}") from error
            raise


def _reason(error: BaseException) -> str:
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        return str(cause.toString()).splitlines()[0]
    return str(error).splitlines()[0]


def _advice(reason: str) -> str:
    if "Permission denied" in reason or "Mkdirs failed" in reason or "Read-only" in reason:
        return " (the lake must be writable: check its permissions, or set lake.root elsewhere)"
    if "DATA_SOURCE_NOT_FOUND" in reason or "ClassNotFound" in reason:
        return " (add the format's package to spark.jars.packages)"
    return ""
