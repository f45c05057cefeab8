"""Python interface of the job, for notebooks: `import synthspark as ss`, then `ss.run`, `ss.apply` and `ss.open`.

It runs the same engine as the command line. An active Spark session is used and keeps its settings; otherwise a session
is started and stays open for the returned tables.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame

from synthspark.config import QUICK_LOOK, Config, load, parse_text
from synthspark.errors import LakeError
from synthspark.runs.context import Context, open_lake
from synthspark.runs.current import current
from synthspark.runs.lake import Lake, check_run_id, new_run_id
from synthspark.runs.tables import EVENTS, RECOMMENDATIONS, REJECTS, SYNTHETIC_EVENTS, Table, clean, synthetic
from synthspark.session import session
from synthspark.sides import ITEMS, USERS
from synthspark.stages.apply import apply_all
from synthspark.stages.run import run_all

Configuration = str | Path | Mapping[str, Any] | Config
"""Path of a YAML file, its content as a mapping, or a loaded configuration."""


@dataclass(frozen=True)
class Tables:
    """Events, items and users of a run; `clean` and `synthetic` share the contract's columns."""

    events: DataFrame
    items: DataFrame | None
    users: DataFrame | None


@dataclass(frozen=True)
class Report:
    """HTML report of a run; notebooks display it."""

    path: str
    page: str

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self.page)}" width="100%" height="800"></iframe>'


@dataclass(frozen=True)
class Run:
    """A run of a lake."""

    lake: Lake
    id: str

    @property
    def stages(self) -> list[str]:
        """Return the published stages, in order."""
        return list(self.lake.records(self.id))

    @property
    def verdict(self) -> dict[str, Any] | None:
        """Return `ship`, `why` and the details of the verdict; None if the run was not judged."""
        record = self.lake.record(self.id, "evaluate")
        return None if record is None else dict(record["details"]["verdict"])

    @property
    def metrics(self) -> dict[str, Any]:
        """Return the content of metrics.json. Raises LakeError if the run was not judged."""
        return dict(json.loads(self._report_file("metrics.json")))

    def report(self) -> Report:
        """Return report.html. Raises LakeError if the run was not judged."""
        return Report(f"{self.lake.path('reports', self.id)}/report.html", self._report_file("report.html"))

    @property
    def synthetic(self) -> Tables:
        """Return the synthetic events, items and users."""
        items, users = (self._optional(synthetic(side)) for side in (ITEMS, USERS))
        return Tables(self.table(SYNTHETIC_EVENTS), items, users)

    @property
    def clean(self) -> Tables:
        """Return the shop's events, items and users; None for a table that the shop does not have."""
        return Tables(self.table(EVENTS), self._optional(clean(ITEMS)), self._optional(clean(USERS)))

    @property
    def rejects(self) -> DataFrame:
        """Return rejected rows of the sources, each with its reason."""
        return self.table(REJECTS)

    @property
    def recommendations(self) -> DataFrame:
        """Return the recommendations of all users."""
        return self.table(RECOMMENDATIONS)

    def table(self, table: Table | str) -> DataFrame:
        """Return a published table by its lake name. Raises LakeError if the run has not published it."""
        found = Table(table) if isinstance(table, str) else table
        if not self._has(found):
            raise LakeError(f"run {self.id!r} has no table {found.name!r}; it has published {self._published()}")
        return self.lake.read(found, self.id)

    def _optional(self, table: Table) -> DataFrame | None:
        return self.lake.read(table, self.id) if self._has(table) else None

    def _has(self, table: Table) -> bool:
        return table.name in self._published()

    def _published(self) -> list[str]:
        return [name for record in self.lake.records(self.id).values() for name in record.get("rows", {})]

    def _report_file(self, name: str) -> str:
        path = f"{self.lake.path('reports', self.id)}/{name}"
        if not self.lake.exists(path):
            raise LakeError(f"run {self.id!r} has no {name}: it was not judged (stage evaluate)")
        return self.lake.read_text(path)


@dataclass(frozen=True)
class Runs:
    """The runs of a lake."""

    lake: Lake

    @property
    def ids(self) -> list[str]:
        """Return the ids of all runs, ordered by their latest record, newest last."""
        return self.lake.runs()

    @property
    def current(self) -> Run | None:
        """Return the run that was promoted last; None if there is none."""
        now = current(self.lake)
        return None if now is None else Run(self.lake, now["run_id"])

    def run(self, run_id: str) -> Run:
        """Return a run by its id. Raises LakeError if there is none."""
        if run_id not in self.ids:
            raise LakeError(f"lake {self.lake.root}: there is no run {run_id!r}; there are {self.ids}")
        return Run(self.lake, run_id)


def run(
    config: Configuration, run_id: str | None = None, *, overrides: Sequence[str] = (), resume: bool = False,
    quick: bool = False,
) -> Run:  # fmt: skip
    """Run every stage, from the sources to the verdict.

    run_id: id of the run, generated if None; overrides: keys to set, for example `train.epochs=5`; resume: continue the
    run with that id; quick: only a first verdict, on a sample of users.
    """
    with _context(config, run_id, [*QUICK_LOOK, *overrides] if quick else overrides) as context:
        run_all(context, resume, lambda _: None, lambda *_: None, quick)
        return Run(context.lake, context.run_id)


def apply(
    config: Configuration, models: str, run_id: str | None = None, *, overrides: Sequence[str] = (),
    recommend: bool = False, force: bool = False,
) -> Run:  # fmt: skip
    """Place virtual events for today's cold users and items with the models of an earlier run.

    models: id of that run; recommend: publish recommendations for all users, too; force: apply the run even without a
    verdict or with "do not ship".
    """
    with _context(config, run_id, overrides) as context:
        apply_all(context, models, force, recommend, lambda _: None, lambda *_: None)
        return Run(context.lake, context.run_id)


def open(config: Configuration, *, overrides: Sequence[str] = ()) -> Runs:
    """Return the runs of the lake that a configuration names."""
    loaded = _loaded(config, overrides)
    with session("synthspark", loaded.spark, keep=True) as spark:
        return Runs(open_lake(spark, loaded))


@contextmanager
def _context(config: Configuration, run_id: str | None, overrides: Sequence[str]) -> Iterator[Context]:
    if run_id is not None:
        check_run_id(run_id)
    loaded = _loaded(config, overrides)
    with session("synthspark", loaded.spark, keep=True) as spark:
        context = Context(spark, open_lake(spark, loaded), loaded, run_id or new_run_id())
        with context.lake.leased(context.run_id):
            yield context


def _loaded(config: Configuration, overrides: Sequence[str]) -> Config:
    if isinstance(config, Config):
        if not overrides:
            return config
        config = config.model_dump(mode="json", exclude_unset=True)
    if isinstance(config, Mapping):
        return parse_text(json.dumps(config, default=str), "configuration", list(overrides))
    return load(config, list(overrides))
