"""Fault matrix: compare a run with killed processes to an undisturbed run, and write the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from published import contents, doubled, rows

from synthspark.runs.lake import STAGES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "faults.md"
COMMAND_RESULTS = Path(__file__).resolve().parent / "results" / "command_faults.json"
PUBLISHED = {
    "clean": ("clean/",),
    "featurize": ("features/", "factors/", "item_factors/", "feeds/"),
    "train": ("profile_", "behaviour_", "judge_"),
    "synthesize": ("synthetic/",),
    "recommend": ("recommendations",),
    "evaluate": ("reports/",),
}
"""Name prefixes of each stage's tables and models."""
NOBODY, MISSING = "no such process was there", "not measured"
"""Outcomes without a kill."""
INTRODUCTION = """# Faults

`make benchmark-faults` writes this page and `benchmarks/results/faults.json`. The test shop (60 users, 160 items,
1,803 events, three epochs, two training processes) runs on a standalone Spark cluster on loopback: a master and two
workers with one executor of one core each. Processes are killed by `kill -9`: the driver (its JVM and its Python), an
executor's JVM, a Python worker, or a torch process. "In the middle" means that the stage has staged some of its tables
but not all, or, in training, that the third generator has a checkpoint; "at the end" means as soon as the stage's
record exists. Whenever the job has ended, it is started again at once with `--resume`.

Everything that a stage has published is compared with an undisturbed run: all rows of its tables, sorted, with every
bit of every number; the weights of its models; the figures of its report. Lost and duplicated rows are counted over all
tables. For a kill at the end of a stage, that stage is compared; the stages after it have their own lines.
"""
COMMANDS = """## Commands and the catalogue

The same shop in a Hive metastore (Derby), with every command in a separate process. `apply`, `promote` and `prune` are
killed as soon as a chosen call has returned, Python and its JVM together; then the command is repeated. "The current
run stays" means that `current.json` and the views show one whole run, and for `apply`, `prune` and `clean` the same run
as before. "As if undisturbed" means that all tables, models and catalogue partitions equal those of an undisturbed run;
for a refused command, that nothing was published.
"""


@dataclass(frozen=True)
class CommandOutcome:
    """Outcome of a command that was killed, or that the catalogue refused."""

    command: str
    moment: str
    happened: str
    current_stays: bool
    lost: int
    same: bool
    left: list[str]
    """Half-written files in the lake afterwards."""


@dataclass(frozen=True)
class Outcome:
    """A kill, what happened, and the comparison of the stage's results with the undisturbed run."""

    victim: str
    moment: str
    stage: str
    run: str
    happened: str
    said: str = ""
    """Last line of output if the job ended although its driver was not killed."""
    names: int = 0
    """Number of compared tables and models."""
    rows: int = 0
    """Number of rows of these tables in the undisturbed run."""
    lost: int = 0
    doubled: int = 0
    differ: list[str] = field(default_factory=list)
    """Tables and models that are not identical byte for byte."""
    ended: bool = False
    """True if the run was completed before it was compared."""
    left: list[str] = field(default_factory=list)
    """Files left in the lake after the run's end that are neither published nor records."""

    @property
    def place(self) -> tuple[str, str, int, str]:
        """Return the key of the outcome's line in the table."""
        return self.victim, self.moment, STAGES.index(self.stage), self.run


def compared(lake: Path, expected: str, outcome: Outcome) -> Outcome:
    """Return the outcome with the comparison of its stage in its run and in run `expected`."""
    wanted, found = contents(lake, expected), contents(lake, outcome.run)
    names = sorted(n for n in {*wanted, *found} if n.startswith(PUBLISHED[outcome.stage]))
    assert names, f"{expected} has published nothing in {outcome.stage}"
    tables = [n for n in names if n in wanted and not n.endswith(".json")]
    before = {t: rows(lake, expected, t) for t in tables}
    after = {t: rows(lake, outcome.run, t) if t in found else [] for t in tables}
    return replace(
        outcome,
        names=len(names),
        rows=sum(map(len, before.values())),
        lost=sum(max(0, len(before[t]) - len(after[t])) for t in tables),
        doubled=sum(_repeated(after[t]) - doubled(lake, expected, t) for t in tables),
        differ=[n for n in names if wanted.get(n) != found.get(n)],
    )


def left_over(lake: Path, run_id: str) -> list[str]:
    """Return staged tables, checkpoints and half-written files of a run, relative to the root."""
    patterns = (f"_staging/{run_id}-*", f"_checkpoints/{run_id}", f"runs/{run_id}/*.part", f"reports/{run_id}/*.part")
    return sorted(str(p.relative_to(lake)) for pattern in patterns for p in lake.glob(pattern))


def write_page(outcomes: Sequence[Outcome], wanted: Sequence[Outcome]) -> None:
    """Write docs/faults.md with a line for every wanted outcome, measured or not."""
    measured = {o.place for o in outcomes}
    missing = [o for o in wanted if o.place not in measured]
    PAGE.write_text("\n".join([INTRODUCTION, *_lines([*outcomes, *missing]), ""]))
    write_commands()


def write_commands() -> None:
    """Write the second part of docs/faults.md from the existing results."""
    first = PAGE.read_text().partition(COMMANDS.splitlines()[0])[0].rstrip()
    if not COMMAND_RESULTS.exists():
        return
    found = [CommandOutcome(**row) for row in json.loads(COMMAND_RESULTS.read_text())]
    left = sorted({name for o in found for name in o.left})
    PAGE.write_text("\n".join([first, "", COMMANDS, *_command_lines(found), "", "Left in the lake: "
                               f"{', '.join(left) if left else 'nothing half-written'}.", ""]))  # fmt: skip


def _command_lines(found: Sequence[CommandOutcome]) -> Iterator[str]:
    yield "| command | when | what happened | the current run stays | rows lost | as if undisturbed |"
    yield "|---|---|---|---|---|---|"
    words = {True: "yes", False: "**no**"}
    for o in found:
        happened = o.happened.replace("|", "\\|")
        yield f"| {o.command} | {o.moment} | {happened} | {words[o.current_stays]} | {o.lost} | {words[o.same]} |"


def _lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "| killed | when | stage | what happened | rows lost | rows doubled | same bytes |"
    yield "|---|---|---|---|---|---|---|"
    for o in sorted(outcomes, key=lambda o: o.place):
        moment = {"middle": "in the middle", "end": "at the end"}.get(o.moment, o.moment)
        if o.happened in (NOBODY, MISSING):
            yield f"| {o.victim} | {moment} | {o.stage} | {o.happened} | | | |"
            continue
        same = "yes" if not o.differ else f"**no**: {', '.join(o.differ)}"
        lost = f"{o.lost:,} of {o.rows:,}" if o.rows else "no table"
        yield f"| {o.victim} | {moment} | {o.stage} | {o.happened} | {lost} | {o.doubled} | {same} |"
    left = sorted({name for o in outcomes for name in o.left})
    yield ""
    yield f"Left in the lake after all runs: {', '.join(left) if left else 'nothing half-written'}."
    if open_ended := sorted({o.run for o in outcomes if not o.ended and o.happened != MISSING}):
        yield f"Not yet completed when this page was written: the runs {', '.join(open_ended)}."


def _repeated(found: Sequence[str]) -> int:
    return sum(n - 1 for n in Counter(found).values())
