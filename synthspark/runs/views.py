"""Catalogue views of the current run, so that downstream queries need no run id."""

from __future__ import annotations

from collections.abc import Sequence

from synthspark.errors import LakeError
from synthspark.runs.catalogue import Catalogue, literal
from synthspark.runs.comments import TABLES
from synthspark.runs.lake import Lake
from synthspark.runs.tables import Table

POINTER = "current_run"
"""View of one row with the current run's id. The other views read it, so replacing it switches all of them at once."""


def show(lake: Lake, run_id: str, tables: Sequence[str], database: str) -> None:
    """Create a view in `database` for each table of a run: `synthetic_events` and so on.

    If the lake is in the catalogue, all views change at once; otherwise they are replaced one by one. Views of tables
    that the run does not have are dropped. Raises LakeError for a table or view that is not synthspark's.
    """
    if lake.catalogue is not None and lake.catalogue.database == database:
        raise LakeError(f"lake.views: {database} is lake.catalog, which holds the tables themselves; name another "
                        f"database, for example {database}_current")  # fmt: skip
    views = Catalogue(lake.spark, database, lake.format)
    there = views.views((POINTER, *TABLES))
    with lake.guarded(f"writing views in {database}"):
        now = f"select {literal(run_id)} as run_id"
        if POINTER not in there:  # the first promotion: some views are missing until it is done
            views.replace_view(POINTER, now)
        for name in tables:
            columns = lake.columns(name, run_id)
            if lake.catalogue is None or columns is None:
                views.replace_view(name, lake.query(Table(name), run_id))
            else:
                current = f"(select run_id from {views.table(POINTER)})"
                views.replace_view(name, lake.catalogue.query(name, current, columns))
        views.replace_view(POINTER, now)
        for name in there:
            if name not in (POINTER, *tables):
                views.drop_view(name)
