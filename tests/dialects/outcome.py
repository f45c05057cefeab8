"""What the program makes of a dialect: right, refused, silent or crashed.

Refused is an error of one line, or a comment of init that a column of the events is not read; silent is something wrong
that nobody was told.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import SparkSession

from synthspark.config import parse_text
from synthspark.errors import SynthSparkError
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.stages.init import first_configuration
from synthspark.stages.plan import plan
from synthspark.stages.run import run_stage
from tests.dialects.compare import compare, zones
from tests.dialects.dialect import Dialect
from tests.dialects.drawing import draw
from tests.dialects.tables import Expected, build
from tests.dialects.writers import write

RUN = "dialect"
MOST = 300
"""Characters of a detail."""


@dataclass
class Outcome:
    """Of one seed."""

    seed: int
    outcome: str
    """right, refused, silent or crashed."""
    stage: str
    """Where it ended: init, config, plan, clean or compare."""
    details: list[str]
    left_out: list[str] = field(default_factory=list)
    """Columns that init left out and said why."""
    impossible: str | None = None
    """Why nobody can read this dialect right; refusing it is what is wanted."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Right, or refused where nobody could be right."""
        return self.outcome == "right" or (self.outcome == "refused" and self.impossible is not None)


def outcome_of(spark: SparkSession, seed: int, folder: Path) -> Outcome:
    """Write the tables of a seed into `folder` and let the program read them as a careful user would."""
    dialect, started, stages = draw(seed), time.monotonic(), ["write"]
    try:
        found = _outcome(spark, dialect, folder, stages)
    except SynthSparkError as error:
        lines = str(error).splitlines()
        said = len(lines) == 1 and "Traceback" not in lines[0] and not lines[0].rstrip().endswith(":")
        kind = "refused" if said else "crashed"
        found = Outcome(seed, kind, stages[-1], [str(error)[:MOST]])
    except Exception as error:  # whatever it is, the other seeds go on
        found = Outcome(seed, "crashed", stages[-1], [f"{type(error).__name__}: {cause(error)}"[:MOST]])
    found.impossible, found.seconds = dialect.impossible, round(time.monotonic() - started, 1)
    return found


def _outcome(spark: SparkSession, dialect: Dialect, folder: Path, stages: list[str]) -> Outcome:
    context, expected, text = read_shop(spark, dialect, folder, stages)
    verdict = compare(context, dialect, expected, text)
    outcome = "silent" if verdict.wrong else "refused" if verdict.not_read else "right"
    return Outcome(dialect.seed, outcome, "compare", verdict.wrong or verdict.not_read, verdict.left_out)


def read_shop(spark: SparkSession, dialect: Dialect, folder: Path, stages: list[str]) -> tuple[Context, Expected, str]:
    """Write a shop and run init, plan and clean over it; returns the run, the truth and what init wrote.

    stages: gets the name of each that begins.
    """
    tables, expected = build(dialect)
    paths = {table.side: write(dialect, table, folder) for table in tables}
    root = folder / "lake"
    stages.append("init")
    text = first_configuration(spark, paths, str(root), kind=None, given=None)
    (folder / "init.yaml").write_text(text, encoding="utf-8")
    stages.append("config")
    config = parse_text(text, "init.yaml")
    config = parse_text(text, "init.yaml", zones(config, dialect, expected))
    stages.append("plan")
    context = Context(spark, Lake(spark, str(root)), config, RUN)
    list(plan(context))
    stages.append("clean")
    with _quiet():
        run_stage(context, "clean")
    stages.append("compare")
    return context, expected, text


def cause(error: Exception) -> str:
    """What happened in one line; of Java's exceptions what they were caused by."""
    lines = str(error).strip().splitlines() or [""]
    return next((line for line in lines if line.startswith("Caused by: ")), lines[0])


@contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
