"""Fidelity and privacy of the new rows of a run, against the real ones that their generator learned from or not."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark import schemas
from synthspark.likeness.fidelity import fidelity
from synthspark.likeness.privacy import privacy
from synthspark.newrows.feeds import read_tokens, split_off
from synthspark.runs.context import Context, StageReport
from synthspark.runs.lake import Publication
from synthspark.runs.tables import clean, synthetic, validation_feed
from synthspark.sides import SIDES, Side

COMPARED = ("categorical", "numeric", "datetime")
Figures = list[dict[str, Any]]


def likeness(context: Context, staged: Publication, report: StageReport) -> tuple[Figures, Figures]:
    """One row per figure: `table`, `figure`, `value`; of fidelity and of privacy.

    The holdout are the rows that the generator did not learn from (the judge did); a table without them, or without
    new rows, is left out.
    """
    alike: Figures = []
    apart: Figures = []
    for side in SIDES:
        if not context.has(synthetic(side)) or not context.has(validation_feed(side)):
            continue
        new = context.read(synthetic(side)).where("origin like 'new_%'")
        names = _generated(context, side)
        real = context.read(clean(side))
        train, holdout = split_off(real, side.key, context.rows("clean", clean(side)), context.config.seed)
        if holdout is None or not names or new.isEmpty():
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


def _generated(context: Context, side: Side) -> list[str]:
    """Attributes that new rows have: an id, a text or a column without values says nothing of the generator."""
    tokens = read_tokens(context, side)
    return [n for n, kind in tokens.kinds.items() if kind in COMPARED and tokens.of(n)]


def _attributes(df: DataFrame, names: list[str]) -> DataFrame:
    return df.select([F.col(schemas.quoted(n)) for n in names])


def _rows(table: str, figures: dict[str, Any]) -> Figures:
    return [{"table": table, "figure": name, "value": value} for name, value in figures.items()]
