"""Publication of one stage: write to staging, move into place at the end, then record."""

from __future__ import annotations

import itertools
import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from synthspark.runs.tables import Table

if TYPE_CHECKING:
    from synthspark.runs.lake import Lake

log = logging.getLogger(__name__)

IMMOVABLE = frozenset({"iceberg"})
"""Formats whose tables store absolute paths, so that they cannot be read after a rename."""


class Publication:
    """Tables and files that one stage is about to publish; nothing is visible before the block ends."""

    def __init__(self, lake: Lake, run_id: str, stage: str) -> None:
        self._lake, self._run_id, self.stage = lake, run_id, stage
        self._staging = f"{lake.root}/_staging/{run_id}-{stage}-{uuid.uuid4().hex[:8]}"
        self.rows: dict[str, int] = {}
        self.details: dict[str, Any] = {}
        self._names: list[str] = []
        self._numbers = itertools.count()
        self.scratch_folder = "scratch"
        """Folder to which `keep` currently writes."""
        self._places: dict[str, str] = {}
        self._schemas: dict[str, T.StructType] = {}
        """Schemas of staged Parquet tables, by name."""
        self._shown: list[Table] = []
        """Tables to be published in the catalogue."""

    def write(self, table: Table, df: DataFrame, row_group_bytes: int | None = None) -> int:
        """Stage a table and return its number of rows, counted in the written files."""
        if not table.feed and self._lake.catalogue is not None:
            folder = self._lake.path(table.name, self._run_id).rpartition("/")[0]
            self._lake.catalogue.prepare(table.name, df.schema, folder)
            self._shown.append(table)
        elif not table.feed and self._lake.format in IMMOVABLE:
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
        """Have a table that cannot be moved written at its final place; nobody reads it before it is recorded."""
        self._lake.unrecord(self._run_id, self.stage)
        self._places[table.name] = self._lake.path(table.name, self._run_id)
        self._lake.delete(self._places[table.name])

    def scratch(self, table: Table, df: DataFrame, row_group_bytes: int | None = None) -> None:
        """Write a temporary table, deleted when the block ends and not counted; read it with `read` or `url`."""
        self._save(table, df, row_group_bytes)

    def read(self, table: Table) -> DataFrame:
        """Return a table staged by this publication."""
        reader = self._lake.spark.read.format(self._lake.format_of(table))
        schema = self._schemas.get(table.name)  # without it Spark starts a job to infer the schema
        return (reader if schema is None else reader.schema(schema)).load(self.url(table))

    def url(self, table: Table) -> str:
        """Return the URL at which a table is staged, for readers that open the files themselves."""
        return self._places.get(table.name, f"{self._staging}/{table.name}")

    def keep(self, name: str, df: DataFrame) -> DataFrame:
        """Write `df` to a temporary table and read it back, so that later queries plan from a file.

        (Persisting does not shorten a plan, and planning time grows with the square of its length: seconds per query
        after a few joins.)
        """
        table = Table(f"{self.scratch_folder}/{next(self._numbers):03d}/{name}", feed=True)
        self.scratch(table, df)
        return self.read(table)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Delete what `keep` wrote in the block when the block ends."""
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
        """Stage a folder of text files with one JSON object per row, the bulk format of search engines."""
        with self._lake.guarded(f"writing {folder}"):
            df.write.mode("errorifexists").json(f"{self._staging}/{folder}")
        self._names.append(folder)

    def copy_in(self, source: str, folder: str) -> None:
        """Stage a copy of the directory `source` as `folder`."""
        self._lake.copy(source, f"{self._staging}/{folder}")
        if folder not in self._names:
            self._names.append(folder)

    def commit(self) -> None:
        """Move everything into place, update the catalogue, then record the stage.

        Until then this stage and later ones count as not published. Tables that the stage published before but not now
        (their source is gone) are removed. If a step fails, moved folders are moved back and the catalogue shows
        nothing of the stage.
        """
        lake = self._lake
        before = (lake.record(self._run_id, self.stage) or {}).get("published", [])
        in_place = {*self._places, *(table.name for table in self._shown if lake.holds_rows(table))}
        moved: list[tuple[str, str]] = []

        def move(source: str, target: str) -> None:
            lake.rename(source, target)
            moved.append((source, target))

        with lake.guarded(f"publishing stage {self.stage}"):
            lake.unrecord(self._run_id, self.stage)
            try:
                names = [name for name in dict.fromkeys([*self._names, *before]) if name not in in_place]
                for number, name in enumerate(names):
                    final = lake.path(name, self._run_id)
                    if lake.exists(final):
                        move(final, f"{self._staging}/_replaced/{number}")
                    if name in self._names:
                        move(f"{self._staging}/{name}", final)
                columns = self._show({name for name in before if name not in self._names})
                record = {"stage": self.stage, "run_id": self._run_id, "published": self._names, "rows": self.rows}
                lake.write_text(lake.record_path(self._run_id, self.stage),
                                json.dumps({**record, "columns": columns, **self.details}, indent=1))  # fmt: skip
            except BaseException:
                lake.unrecord(self._run_id, self.stage)  # may just have been written, for tables that are moved back
                for source, target in reversed(moved):
                    lake.rename(target, source)
                self._hide()
                raise

    def _show(self, gone: set[str]) -> dict[str, list[str]]:
        """Publish this stage's tables in the catalogue, withdraw those in `gone`, and return the columns by table."""
        catalogue, lake = self._lake.catalogue, self._lake
        if catalogue is None:
            return {}
        for table in self._shown:
            if lake.holds_rows(table):
                catalogue.replace_rows(table.name, self._run_id, self.read(table))
            else:
                catalogue.point_to(table.name, self._run_id, lake.path(table.name, self._run_id))
        for name in gone.intersection(catalogue.names()) if gone else ():
            catalogue.withdraw(name, self._run_id)
        return {table.name: self._schemas[table.name].names for table in self._shown}

    def _hide(self) -> None:
        """Undo `_show` as far as the catalogue responds; the next publication of the stage replaces the rest."""
        catalogue = self._lake.catalogue
        for table in self._shown if catalogue is not None else ():
            try:
                catalogue.withdraw(table.name, self._run_id)  # type: ignore[union-attr]
            except (Py4JError, PySparkException) as error:
                log.warning("catalogue table of %s still shows run %s, which is not published: %s",
                            table.name, self._run_id, error)  # fmt: skip

    def abandon(self) -> None:
        """Delete everything that was written."""
        for place in self._places.values():
            self._lake.delete(place)
        self.discard()

    def discard(self) -> None:
        """Delete the staging folder."""
        self._lake.delete(self._staging)
