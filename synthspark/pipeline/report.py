"""report.html of a run, from what it has published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pyspark.sql import functions as F

from synthspark.config import public_yaml
from synthspark.pipeline.context import Context, read_encoding, side_name
from synthspark.pipeline.featurize import attribute_kinds
from synthspark.pipeline.synthesize import model_meta
from synthspark.pipeline.train import ROLES
from synthspark.report import Curve, Distribution, Example, Facts, Heat, Traversal
from synthspark.report.codes import traversals
from synthspark.report.distributions import Parts, by_class, by_reach, by_size, by_value, by_year
from synthspark.report.nearest import nearest_rows
from synthspark.schemas import quoted
from synthspark.training.artifacts import load_generator
from synthspark_models import InfoGanGenerator

ATTRIBUTES = 8
"""Of a table, the first declared: more pictures are not looked at."""
EXAMPLES = 3
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
KEYS = ("item_id", "user_id")
REAL, MADE = "real", "synthetic"


def report_path(context: Context) -> str:
    """Where the report of a run is."""
    return f"{context.lake.path('reports', context.run_id)}/report.html"


def write_report(context: Context) -> None:
    """Write the report beside metrics.json, which must be there."""
    from synthspark.report.page import page  # what draws is no business of the stages before

    metrics = json.loads(context.lake.read_text(f"{context.lake.path('reports', context.run_id)}/metrics.json"))
    facts = Facts(
        run_id=context.run_id,
        metrics=metrics,
        stages=list(context.lake.records(context.run_id).values()),
        distributions=list(_distributions(context)),
        heats=_heats(metrics["fidelity"]),
        curves=list(_curves(context)),
        traversals=[t for key in KEYS for t in _traversals(context, key)],
        examples=[e for key in KEYS for e in _examples(context, key)],
        rejects=_rejects(context),
        configuration=public_yaml(context.config),
    )
    context.lake.write_text(report_path(context), page(facts))


def _distributions(context: Context) -> Iterator[Distribution]:
    events = _parts(context, "events")
    if events is not None:
        yield from filter(None, _of_events(context, events))
    for key in KEYS:
        parts = _parts(context, side_name(key), "origin like 'new_%'")
        if parts is not None:
            yield from filter(None, _of_attributes(context, key, parts))


def _of_events(context: Context, events: Parts) -> Iterator[Distribution | None]:
    present = set(events[REAL].columns)
    yield by_reach(events, "item_id", "Popularity: events per item, at least")
    new = {REAL: events[REAL], "new users": events[MADE].where("origin = 'new_user'")}
    yield by_reach(new, "user_id", "Activity: events per user, at least")
    for name, title in (("price", "Price of an event"), ("value", "Value of an event")):
        if name in present:
            yield by_size(events, F.col(name), title)
    yield by_value(events, F.col("event_type"), "Kinds of events")
    local = F.from_utc_timestamp("ts", context.config.source.events.timezone)
    yield by_class(events, F.hour(local), [str(h) for h in range(24)], "Hour of the day")
    yield by_class(events, F.weekday(local), WEEKDAYS, "Day of the week")


def _of_attributes(context: Context, key: str, parts: Parts) -> Iterator[Distribution | None]:
    for name, kind in list(attribute_kinds(context, key).items())[:ATTRIBUTES]:
        title, column = f"{name}, {side_name(key)}", F.col(quoted(name))
        if kind == "multi":
            each = {n: df.select(F.explode(column).alias("v")) for n, df in parts.items()}
            yield by_value(each, F.col("v"), title)
        elif kind == "categorical":
            yield by_value(parts, column, title)
        elif kind == "numeric":
            yield by_size(parts, column, title)
        elif kind == "datetime":
            yield by_year(parts, column, title)


def _parts(context: Context, table: str, condition: str = "true") -> Parts | None:
    if not context.has(f"clean/{table}") or not context.has(f"synthetic/{table}"):
        return None
    made = context.read(f"synthetic/{table}").where(condition)
    return {REAL: context.read(f"clean/{table}"), MADE: made} if made.take(1) else None


def _examples(context: Context, key: str) -> Iterator[Example]:
    side, kinds = side_name(key), attribute_kinds(context, key)
    parts = _parts(context, side, "origin like 'new_%'")
    if parts is None:
        return
    made = [r.asDict() for r in parts[MADE].orderBy(key).limit(EXAMPLES).collect()]
    for new, real in zip(made, nearest_rows(parts[REAL], made, kinds), strict=True):
        yield Example(side, {name: (new[name], real[name]) for name in (key, *kinds)})


def _curves(context: Context) -> Iterator[Curve]:
    for name in ROLES:
        path = f"{context.lake.path(f'models/{name}', context.run_id)}/history.jsonl"
        if not context.lake.exists(path):
            continue
        records = [json.loads(line) for line in context.lake.read_text(path).splitlines() if line.strip()]
        losses = [k for k in (records[0] if records else {}) if k.endswith("_loss") or k == "mutual_information"]
        known = {k.removesuffix("_loss"): [r[k] for r in records] for k in losses if all(k in r for r in records)}
        if known:
            yield Curve(name, known)


def _traversals(context: Context, key: str) -> list[Traversal]:
    """Of the profile generator of one side, where it has codes."""
    side = side_name(key)
    meta = model_meta(context, f"profile_{side}")
    if meta is None or meta["network"] != "infogan":
        return []
    network, _ = load_generator(context.lake.path(f"models/profile_{side}", context.run_id))
    assert isinstance(network, InfoGanGenerator)
    return traversals(network, read_encoding(context, side), side, context.config.synthesize.seed)


def _heats(figures: list[dict[str, Any]]) -> list[Heat]:
    heats = []
    for row in figures:
        if row["figure"] == "trend_by_pair":
            pairs = [(a, b, 1 - v) for a, b, v in row["value"] if v is not None]
            columns = list(dict.fromkeys(name for a, b, _ in pairs for name in (a, b)))
            heats.append(Heat(f"new {row['table']}", columns, pairs))
    return heats


def _rejects(context: Context) -> list[dict[str, Any]]:
    if not context.has("clean/rejects"):
        return []
    by_reason = context.read("clean/rejects").groupBy("source", "reason")
    found = by_reason.agg(F.count(F.lit(1)).alias("rows"), F.min("raw").alias("raw"))
    return [r.asDict() for r in found.orderBy(F.desc("rows"), "source", "reason").collect()]
