"""report.html of a run, made from its published tables and records."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from pyspark.sql import functions as F

from synthspark.config import public_yaml
from synthspark.newrows.feeds import read_rows_encoding
from synthspark.proof.protocols import PROTOCOLS
from synthspark.report import Curve, Distribution, Example, Facts, Heat, Traversal
from synthspark.report.codes import traversals
from synthspark.report.distributions import Parts, by_class, by_reach, by_size, by_value, by_year
from synthspark.report.facts import in_short
from synthspark.report.nearest import nearest_rows
from synthspark.report.texts import as_bounded_text, as_text
from synthspark.runs.context import Context
from synthspark.runs.tables import EVENTS, GENERATORS, REJECTS, SYNTHETIC_EVENTS, Table, clean, model_folder, synthetic
from synthspark.schemas import quoted
from synthspark.sides import SIDES, Side
from synthspark.training.artifacts import load_generator
from synthspark_models import InfoGanGenerator

ATTRIBUTES = 8
"""Number of attributes per table that are drawn, the first declared ones, to keep the report short."""
EXAMPLES = 3
MAX_ROW_LENGTH = 2000
"""Maximum number of characters of a rejected row."""
BY_KIND = {"categorical": by_value, "numeric": by_size, "datetime": by_year}
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
REAL, MADE = "real", "synthetic"
Part = TypeVar("Part")
Asked = tuple[str, Callable[[], Distribution | None]]
"""Title of a distribution and the function that computes it."""
log = logging.getLogger(__name__)


def report_path(context: Context) -> str:
    """Return the path of a run's report."""
    return f"{context.lake.path('reports', context.run_id)}/report.html"


def write_report(context: Context) -> None:
    """Write the report beside metrics.json, which must exist."""
    from synthspark.report.page import page  # imported late: earlier stages need no drawing library

    metrics = json.loads(context.lake.read_text(f"{context.lake.path('reports', context.run_id)}/metrics.json"))
    lacking: list[str] = []
    facts = Facts(
        run_id=context.run_id,
        metrics=metrics,
        stages=list(context.lake.records(context.run_id).values()),
        distributions=_collected(_distributions(context, lacking), lacking, "distributions"),
        heats=_collected(_heats(metrics["fidelity"]), lacking, "pairs of columns"),
        curves=_collected(_curves(context), lacking, "curves of training"),
        traversals=[
            t for side in SIDES for t in _collected(_traversals(context, side), lacking, f"codes of {side.name}")
        ],
        examples=[
            e for side in SIDES for e in _collected(_examples(context, side), lacking, f"examples of {side.name}")
        ],
        rejects=_collected(_rejects(context), lacking, "rejected rows"),
        configuration=public_yaml(context.config),
        who={name: protocol.who for name, protocol in PROTOCOLS.items()},
        lacking=lacking,
    )
    context.lake.write_text(report_path(context), page(facts))


def _collected(parts: Iterable[Part], lacking: list[str], what: str) -> list[Part]:
    """Collect `parts` up to an error and add the error to `lacking`, so that the rest of the report is still made."""
    found: list[Part] = []
    try:
        for part in parts:
            found.append(part)
    except Exception as error:
        log.warning("report: %s could not be made", what, exc_info=True)
        lacking.append(f"{what}: {in_short(error)}")
    return found


def _distributions(context: Context, lacking: list[str]) -> Iterator[Distribution]:
    events = _parts(context, EVENTS, SYNTHETIC_EVENTS)
    asked = list(_of_events(context, events)) if events is not None else []
    for side in SIDES:
        parts = _of_side(context, side)
        if parts is not None:
            asked += _of_attributes(context, side, parts)
    for title, make in asked:
        yield from filter(None, _collected((make() for _ in range(1)), lacking, title))


def _of_events(context: Context, events: Parts) -> Iterator[Asked]:
    present = set(events[REAL].columns)
    title = "Popularity: events per item, at least"
    yield title, partial(by_reach, events, "item_id", title)
    new = {REAL: events[REAL], "new users": events[MADE].where("origin = 'new_user'")}
    title = "Activity: events per user, at least"
    yield title, partial(by_reach, new, "user_id", title)
    for name, title in (("price", "Price of an event"), ("value", "Value of an event")):
        if name in present:
            yield title, partial(by_size, events, F.col(name), title)
    yield "Kinds of events", partial(by_value, events, F.col("event_type"), "Kinds of events")
    local = F.from_utc_timestamp("ts", context.config.source.events.timezone)
    hours = [str(h) for h in range(24)]
    yield "Hour of the day", partial(by_class, events, F.hour(local), hours, "Hour of the day")
    yield "Day of the week", partial(by_class, events, F.weekday(local), WEEKDAYS, "Day of the week")


def _of_attributes(context: Context, side: Side, parts: Parts) -> Iterator[Asked]:
    for name, kind in list(context.config.source.attributes(side).items())[:ATTRIBUTES]:
        title, column = f"{name}, {side.name}", F.col(quoted(name))
        if kind == "multi":
            each = {n: df.select(F.explode(column).alias("v")) for n, df in parts.items()}
            yield title, partial(by_value, each, F.col("v"), title)
        elif kind in BY_KIND:
            yield title, partial(BY_KIND[kind], parts, column, title)


def _of_side(context: Context, side: Side) -> Parts | None:
    return _parts(context, clean(side), synthetic(side), "origin like 'new_%'")


def _parts(context: Context, real: Table, synthetic: Table, condition: str = "true") -> Parts | None:
    if not context.has(real) or not context.has(synthetic):
        return None
    made = context.read(synthetic).where(condition)
    return {REAL: context.read(real), MADE: made} if not made.isEmpty() else None


def _examples(context: Context, side: Side) -> Iterator[Example]:
    kinds, parts = context.config.source.attributes(side), _of_side(context, side)
    if parts is None:
        return
    made = [r.asDict() for r in as_bounded_text(parts[MADE].orderBy(side.key).limit(EXAMPLES)).collect()]
    for new, real in zip(made, nearest_rows(as_bounded_text(parts[REAL]), made, kinds), strict=True):
        yield Example(side.name, {name: (new[name], real[name]) for name in (side.key, *kinds)})


def _curves(context: Context) -> Iterator[Curve]:
    for name in GENERATORS:
        path = f"{context.url(model_folder(name))}/history.jsonl"
        if not context.lake.exists(path):
            continue
        records = [json.loads(line) for line in context.lake.read_text(path).splitlines() if line.strip()]
        losses = [k for k in (records[0] if records else {}) if k.endswith("_loss") or k == "mutual_information"]
        known = {k.removesuffix("_loss"): [r[k] for r in records] for k in losses if all(k in r for r in records)}
        if known:
            yield Curve(name, known)


def _traversals(context: Context, side: Side) -> list[Traversal]:
    """Return the traversals of a side's profile generator; none unless it is an infogan."""
    name = f"profile_{side.name}"
    meta = context.model_meta(name)
    if meta is None or meta["network"] != "infogan":
        return []
    network, _ = load_generator(context.url(model_folder(name)))
    assert isinstance(network, InfoGanGenerator)
    return traversals(network, read_rows_encoding(context, side), side.name, context.config.synthesize.seed)


def _heats(figures: list[dict[str, Any]]) -> list[Heat]:
    heats = []
    for row in figures:
        if row["figure"] == "trend_by_pair":
            pairs = [(a, b, 1 - v) for a, b, v in row["value"] if v is not None]
            columns = list(dict.fromkeys(name for a, b, _ in pairs for name in (a, b)))
            heats.append(Heat(f"new {row['table']}", columns, pairs))
    return heats


def _rejects(context: Context) -> list[dict[str, Any]]:
    if not context.has(REJECTS):
        return []
    by_reason = context.read(REJECTS).groupBy("source", "reason")
    found = by_reason.agg(F.count(F.lit(1)).alias("rows"), F.min(as_text(F.col("raw"), MAX_ROW_LENGTH)).alias("raw"))
    return [r.asDict() for r in found.orderBy(F.desc("rows"), "source", "reason").collect()]
