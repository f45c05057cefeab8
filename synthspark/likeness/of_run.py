"""Fidelity and privacy of a run's new rows, compared with real rows that the generator learned from or did not see."""

from __future__ import annotations

from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark import schemas
from synthspark.likeness.fidelity import fidelity
from synthspark.likeness.privacy import privacy
from synthspark.likeness.segments import meets, segment_likeness
from synthspark.likeness.texts import text_likeness
from synthspark.newrows.feeds import read_tokens, split_off
from synthspark.profiles.conditions import parse
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import (
    EVENTS,
    SYNTHETIC_EVENTS,
    clean,
    features,
    model_folder,
    synthetic,
    validation_feed,
)
from synthspark.sides import SIDES, Side
from synthspark.training.artifacts import load_texts

COMPARED = ("categorical", "numeric", "datetime")
Figures = list[dict[str, Any]]


def likeness(context: Context, staged: Publication, report: StageReport) -> tuple[Figures, Figures]:
    """Return fidelity figures and privacy figures, one row per figure: `table`, `figure`, `value`.

    The holdout consists of the rows that the generator did not learn from (the judge did). A table without a holdout or
    without new rows is left out.
    """
    alike: Figures = []
    apart: Figures = []
    for side in SIDES:
        if not context.has(synthetic(side)):
            continue
        new = context.read(synthetic(side)).where("origin like 'new_%'")
        alike += _of_events(context, staged, side, report)
        alike += _of_texts(context, side, new, report)
        if not context.has(validation_feed(side)):
            continue
        names = _generated(context, side)
        real = context.read(clean(side))
        train, holdout = split_off(real, side.key, context.rows("clean", clean(side)), context.config.seed)
        if holdout is None or not names or new.isEmpty():
            continue
        wanted = _segment(context, side)  # new rows of a segment are compared with the real ones of that segment
        train, holdout = train.where(wanted), holdout.where(wanted)
        if train.isEmpty() or holdout.isEmpty():
            report.notes.append(f"new {side.name}: not compared, too few real {side.name} meet {_named(context, side)}")
            continue
        tables = [staged.keep(f"{side.name}_{name}", _attributes(df, names))
                  for name, df in (("train", train), ("holdout", holdout), ("new", new))]  # fmt: skip
        seed = context.config.seed
        alike += _rows(side.name, fidelity(tables[0], tables[1], tables[2], seed).to_json())
        apart += _rows(side.name, privacy(tables[0], tables[1], tables[2], seed).to_json())
        figures = {r["figure"]: r["value"] for r in [*alike, *apart] if r["table"] == side.name}
        shown = {name: figures.get(f) for name, f in SHOWN.items()}
        report.notes.append(f"new {side.name}: " + ", ".join(f"{n} {v:.3f}" for n, v in shown.items() if v is not None))
    return alike, apart


SHOWN = {
    "quality": "quality",
    "detection AUC": "detection_auc",
    "hierarchies kept": "hierarchy_valid",
    "nearer to train than to the holdout": "dcr_train_share",
    "membership AUC": "membership_auc",
}


def _segment(context: Context, side: Side) -> Column:
    """Return the condition that real rows of the requested segment meet."""
    return meets(
        [parse(text) for text in context.config.synthesize.where(side)], context.config.source.attributes(side)
    )


def _named(context: Context, side: Side) -> str:
    return " and ".join(context.config.synthesize.where(side)) or f"all {side.name}"


def _of_events(context: Context, staged: Publication, side: Side, report: StageReport) -> Figures:
    """Return figures that compare the events of new entities with those of real entities of their segment."""
    other = side.other
    new = context.read(SYNTHETIC_EVENTS).where(F.col("origin") == f"new_{side.one}")
    kinds = context.config.source.attributes(other)
    names = [name for name, kind in kinds.items() if kind in ("categorical", "multi")]
    if new.isEmpty():
        return []
    declared = clean(other) if context.has(clean(other)) else features(other)  # a side without a source has no names
    attributes = context.read(declared).select(other.key, *map(F.col, map(schemas.quoted, names)))
    segment = (
        context.read(clean(side)).where(_segment(context, side)) if context.config.synthesize.where(side) else None
    )
    found = segment_likeness(new, context.read(EVENTS), segment, side.key, other.key, staged.keep("others", attributes))
    if found is None:
        return []
    alike = ""
    if found.like_segment is not None:
        alike = f"; similarity to the events of these by the {other.name}' attributes {found.like_segment:.2f}"
    if found.everybody_like_segment is not None:
        alike += f" (all real events: {found.everybody_like_segment:.2f})"
    report.notes.append(f"events of new {side.name} ({_named(context, side)}): {found.events_each:.1f} each (real "
                        f"{found.real_events_each:.1f}){alike}")  # fmt: skip
    return _rows(f"events of new {side.name}", found.figures())


def _of_texts(context: Context, side: Side, new: DataFrame, report: StageReport) -> Figures:
    """Return figures of the generated texts and sets of new rows, each named `figure of attribute`."""
    url = context.url(model_folder(f"texts_{side.name}"))
    if context.model_meta(f"texts_{side.name}") is None:
        return []
    real, seed, least = context.read(clean(side)), context.config.seed, context.config.features.min_category_count
    figures: dict[str, float] = {}
    for text in load_texts(url).texts:
        found = text_likeness(real, new, text.name, text.kind, least, seed)
        if found is None:
            continue
        figures |= {f"{name} of {text.name}": value for name, value in found.to_json().items()}
        report.notes.append(f"{text.name} of new {side.name}: detection AUC {found.detection_auc:.3f}, distinct pairs "
                            f"of words {found.distinct_pairs:.3f} (real {found.real_distinct_pairs:.3f}), copies of "
                            f"rare real values {found.copies_of_rare:.3f}")  # fmt: skip
    return _rows(side.name, figures)


def _generated(context: Context, side: Side) -> list[str]:
    """Return the attributes to compare: those the profile generator makes, without ids, texts and empty columns."""
    tokens = read_tokens(context, side)
    return [n for n, kind in tokens.kinds.items() if kind in COMPARED and tokens.positions_of(n)]


def _attributes(df: DataFrame, names: list[str]) -> DataFrame:
    return df.select([F.col(schemas.quoted(n)) for n in names])


def _rows(table: str, figures: dict[str, Any]) -> Figures:
    return [{"table": table, "figure": name, "value": value} for name, value in figures.items()]
