"""The fault matrix: what a run that was struck has published, held against one that was not, and the page of it."""

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
"""What the names of a stage's tables and models begin with."""
NOBODY, MISSING = "no such process was there", "not measured"
"""What happened where nothing was killed."""
INTRODUCTION = """# Faults

`make benchmark-faults` writes this page and `benchmarks/results/faults.json`. The planted shop of the tests (60
users, 160 items, 1,803 events, three epochs, two processes of training) on a standalone Spark cluster on loopback: a
master, two workers, an executor of one core on each. What is killed is killed by `kill -9`: the driver (its JVM, its
Python), an executor's JVM, a Python worker, a process of torch. "In the middle" is a moment at which the stage has
staged some tables and not others, in training one at which the third generator has a checkpoint; "at the end" is as
soon as the stage's record is there. Whenever the job has ended, it is started again at once with `--resume`.

Everything that a stage has published is compared with that of a run that nobody disturbed: all rows of its tables,
sorted, every bit of every number; the weights of its models; the figures of its report. Rows lost and doubled are
counted over the tables. A stage that is struck at its end is compared itself; what
follows it is compared in its own lines.
"""
COMMANDS = """## Commands and the catalogue

The same shop in a Hive metastore (Derby), every command in a process of its own. `apply`, `promote` and `prune` are
killed as soon as a chosen call has returned, Python and its JVM together; the command is then given again. "The current
run stays": `current.json` and the views show one whole run, and for `apply`, `prune` and `clean` the same as before.
"As if undisturbed": all tables, models and partitions of the catalogue are those of a run that nobody disturbed; of
what is refused, that nothing was published.
"""


@dataclass(frozen=True)
class CommandOutcome:
    """A command that was killed, or that the catalogue refused."""

    command: str
    moment: str
    happened: str
    current_stays: bool
    lost: int
    same: bool
    left: list[str]
    """What is half-written in the lake afterwards."""


@dataclass(frozen=True)
class Outcome:
    """A strike, what happened, and how the stage's results compare with the undisturbed run's."""

    victim: str
    moment: str
    stage: str
    run: str
    happened: str
    said: str = ""
    """The last line of a job that ended without being killed itself."""
    names: int = 0
    """Tables and models that were compared."""
    rows: int = 0
    """Rows in these tables, undisturbed."""
    lost: int = 0
    doubled: int = 0
    differ: list[str] = field(default_factory=list)
    """Tables and models that are not the same to the byte."""
    ended: bool = False
    """Whether the run has been gone on with to its end, and compared then."""
    left: list[str] = field(default_factory=list)
    """What the run has left in the lake that is neither published nor a record, when it had ended."""

    @property
    def place(self) -> tuple[str, str, int, str]:
        """Where it belongs in the table."""
        return self.victim, self.moment, STAGES.index(self.stage), self.run


def compared(lake: Path, expected: str, outcome: Outcome) -> Outcome:
    """The outcome with what the comparison of its run with run `expected` has found in its stage."""
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
    """Staged tables, checkpoints and half-written files of a run, below the root."""
    patterns = (f"_staging/{run_id}-*", f"_checkpoints/{run_id}", f"runs/{run_id}/*.part", f"reports/{run_id}/*.part")
    return sorted(str(p.relative_to(lake)) for pattern in patterns for p in lake.glob(pattern))


def write_page(outcomes: Sequence[Outcome], wanted: Sequence[Outcome]) -> None:
    """docs/faults.md: a line for everything that is wanted, measured or not."""
    measured = {o.place for o in outcomes}
    missing = [o for o in wanted if o.place not in measured]
    PAGE.write_text("\n".join([INTRODUCTION, *_lines([*outcomes, *missing]), ""]))
    write_commands()


def write_commands() -> None:
    """The second part of docs/faults.md, from the results at hand."""
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
    yield f"Left in the lake when all was over: {', '.join(left) if left else 'nothing half-written'}."
    if open_ended := sorted({o.run for o in outcomes if not o.ended and o.happened != MISSING}):
        yield f"Not gone on with to their end when this was written: the runs {', '.join(open_ended)}."


def _repeated(found: Sequence[str]) -> int:
    return sum(n - 1 for n in Counter(found).values())
