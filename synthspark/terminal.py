"""Terminal output of a run: a line per stage, small tables, progress bars, metrics and the verdict."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import SparkSession
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from synthspark.report.headline import mean
from synthspark.report.summary import duration
from synthspark.runs.context import Context, StageReport
from synthspark.runs.current import sample_of
from synthspark.runs.lake import STAGES
from synthspark.runs.progress import SparkWatch

log = logging.getLogger(__name__)

SHOWN = (("ndcg", 20), ("recall", 20))
"""Metrics in the terminal's table; metrics.json has all of them."""
BAR_SECONDS, LINE_SECONDS = 0.5, 60.0
"""Intervals at which Spark's progress is polled for a bar and for a line in a log."""
SYNTHETIC = ("synthetic/users", "synthetic/items", "synthetic/events")


class Terminal:
    """Writes to one console: progress bars if it is a terminal, else log lines."""

    def __init__(self, console: Console) -> None:
        self._out = console
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        self._started = time.monotonic()
        self._reports: dict[str, StageReport] = {}
        self._watch: SparkWatch | None = None
        self._bar = TaskID(0)
        self._stage = self._step = self._earlier = ""
        self._began = self._started
        self._seconds: dict[str, float] = {}
        """Stage -> seconds that it took in an earlier run."""

    def header(self, context: Context) -> None:
        """Show the run and its lake."""
        others = [run_id for run_id in context.lake.runs() if run_id != context.run_id]
        if others:
            self._earlier = others[-1]
            records = context.lake.records(self._earlier)
            self._seconds = {stage: float(record.get("seconds") or 0) for stage, record in records.items()}
        self._out.print(f"run {context.run_id} -> {escape(context.lake.root)}")

    def before(self, stage: str, spark: SparkSession) -> None:
        """Show that a stage starts, and about how long it will take, by the last run that has published it."""
        self._stage, self._step, self._began = stage, "", time.monotonic()
        before = self._seconds.get(stage)
        about = f" (about {duration(before)}, as in run {self._earlier})" if before else ""
        log.info("%s ...%s", stage, about)
        if not self._out.is_terminal:
            self._watch = SparkWatch(spark, LINE_SECONDS, self._say)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=self._out, transient=True)
        self._progress.start()
        self._bar = self._progress.add_task(stage, total=None, words="")
        self._watch = SparkWatch(spark, BAR_SECONDS, self._move)

    def on_step(self, words: str) -> None:
        """Show what the stage does now."""
        if words == self._step:
            return
        self._step = words
        if self._progress is None:
            log.info("%s: %s (%.0f s)", self._stage, words, time.monotonic() - self._began)
        else:
            self._progress.update(self._bar, description=f"{self._stage}: {escape(words)}", completed=0, total=None)

    def _say(self, done: int, tasks: int) -> None:
        doing = self._step or "Spark"
        log.info("%s: %s (%.0f s), Spark has done %d of %d tasks", self._stage, doing,
                 time.monotonic() - self._began, done, tasks)  # fmt: skip

    def _move(self, done: int, tasks: int) -> None:
        if self._progress is not None:
            self._progress.update(self._bar, completed=done, total=tasks, words=f"{done} of {tasks} tasks")

    def on_epoch(self, name: str, record: dict[str, Any]) -> None:
        """Show the losses of a finished epoch of a generator."""
        losses = " ".join(f"{k.removesuffix('_loss')} {v:.3f}" for k, v in record.items() if k.endswith("_loss"))
        if self._progress is None:
            log.info("%s epoch %d/%d %s (%.1f s)", name, record["epoch"], record["epochs"], losses, record["seconds"])
            return
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=record["epochs"], words="")
        self._progress.update(self._bars[name], completed=record["epoch"], words=losses)

    def after(self, stage: str, report: StageReport | None) -> None:
        """Show the report of a published stage; report: None if the stage was already published."""
        self.close()
        if report is None:
            self._out.print(f"{stage:<11} already published")
            return
        self._reports[stage] = report
        seconds = report.to_json()["seconds"]
        rejected = f", {report.rows_rejected:,} rejected" if report.rows_rejected else ""
        self._out.print(
            f"[bold]{stage:<11}[/bold]{seconds:7.1f} s   "
            f"{report.rows_in:>10,} rows in -> {report.rows_out:,} out{rejected}"
        )
        for title, rows in report.tables.items():
            self._out.print(f"    {escape(title)}: " + ", ".join(f"{escape(k)} {v:,}" for k, v in rows.items()))
        for note in report.notes:
            self._out.print(f"    {escape(note)}")

    def close(self) -> None:
        """Stop showing progress, after success or failure of the stage."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._progress is not None:
            self._progress.stop()
            self._progress, self._bars = None, {}

    def footer(self, context: Context) -> None:
        """Show the duration and peak memory, and the metrics and the verdict if the run was evaluated."""
        peak_bytes = max((report.peak_bytes for report in self._reports.values()), default=0)
        report = self._reports.get("evaluate")
        if report is not None:
            rows = report.details["protocols"]
            for protocol in dict.fromkeys(row["protocol"] for row in rows):
                self._out.print(metrics_table(protocol, [r for r in rows if r["protocol"] == protocol]))
        self._out.print(
            f"{len(self._reports)} of {len(STAGES)} stages in {time.monotonic() - self._started:.0f} s; "
            f"at most {peak_bytes / 1024**3:.1f} GiB in all processes here"
        )
        if report is not None:
            self._out.print(
                f"report: {escape(context.lake.path('reports', context.run_id))}/report.html (figures: metrics.json)"
            )
            verdict = report.details["verdict"]
            colour = "green" if verdict["ship"] else "red"
            self._out.print(f"[bold {colour}]verdict: {escape(verdict['why'])}[/]")


def metrics_table(protocol: str, rows: list[dict[str, Any]]) -> Table:
    """Return a table with one row per arm: metrics per slice with intervals, averaged over seeds; "-" if missing."""
    ks = {row["k"] for row in rows}
    shown = [(m, k if k in ks else max(ks)) for m, k in SHOWN]
    table = Table(
        title=f"{protocol}: full ranking, mean over users (95 % interval)",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("arm", no_wrap=True)
    slices = [("cold", *shown[0]), ("warm", *shown[0]), ("all", *shown[0]), ("all", *shown[1])]
    for name, metric, k in slices:
        table.add_column(f"{name}\n{metric.upper() if metric == 'ndcg' else metric}@{k}", justify="right", no_wrap=True)
    for arm in dict.fromkeys(row["arm"] for row in rows):
        cells = []
        for name, metric, k in slices:
            value, low, high = (mean(rows, protocol, arm, name, metric, k, c) for c in ("value", "ci_low", "ci_high"))
            interval = "" if low is None or high is None else f"\n{low:.4f}-{high:.4f}"
            cells.append("-" if value is None else f"{value:.4f}{interval}")
        table.add_row(arm, *cells)
    return table


def runs_table(records: dict[str, dict[str, dict[str, Any]]], current: str | None = None) -> Table:
    """Return a table with one row per run: state, seconds of all published stages, synthetic rows, verdict.

    current: id of the current run.
    """
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name in ("run", "state", "seconds", "new users", "new items", "events", "verdict"):
        table.add_column(name, justify="left" if name in ("run", "state", "verdict") else "right", no_wrap=True)
    for run_id, stages in records.items():
        missing = [stage for stage in STAGES if stage not in stages]
        whole = "current" if run_id == current else "complete"
        state = whole if not missing else f"{len(stages)} of {len(STAGES)}; next: {missing[0]}"
        seconds = sum(record.get("seconds", 0.0) for record in stages.values())
        rows = stages.get("synthesize", {}).get("rows", {})
        made = [f"{rows[t]:,}" if t in rows else "" for t in SYNTHETIC]
        verdict = stages.get("evaluate", {}).get("details", {}).get("verdict")
        shown = "" if verdict is None else "ship" if verdict["ship"] else "do not ship"
        if shown and sample_of(stages):
            shown += " (sample)"
        table.add_row(escape(run_id), state, f"{seconds:,.0f}", *made, shown)
    return table


def answers_table(query: str, answers: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table with one row per item that answers a query, with the parts of its score."""
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, title=escape(query), title_justify="left")
    for name in ("", "item", "text", "score", "words", "other words", "clicks", "virtual"):
        table.add_column(name, justify="left" if name in ("item", "text") else "right", no_wrap=name != "text")
    for place, row in enumerate(answers, 1):
        figures = (f"{row['score']:.2f}", f"{row['words']:.2f}", f"{row['expanded']:.2f}", f"{row['clicks']:,}",
                   f"{row['virtual']:.2f}")  # fmt: skip
        table.add_row(str(place), escape(str(row["item_id"])), escape(row["text"] or ""), *figures)
    return table
