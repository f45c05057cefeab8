"""Searches in the stages of a run: training, loading and evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from pyspark.sql import functions as F

from synthspark.coldstart.spaces import Place
from synthspark.judging import load_judge, save_judge
from synthspark.judging.trees import TreeJudge
from synthspark.ranking.measures import MetricRow, metric_rows
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import (
    SEARCHES,
    clean,
    model_folder,
)
from synthspark.search import gate
from synthspark.search.learn import (
    KNOWN,
    UNKNOWN,
    Learned,
    fitted_by,
    learn,
    read_texts,
)
from synthspark.search.log import SearchLog, of_searches, with_texts
from synthspark.search.proof import Results, judge_search
from synthspark.search.protocols import held_out
from synthspark.search.towers import NAME, Tower
from synthspark.search.writing import NAME as WRITER
from synthspark.search.writing import Writer, train_writer
from synthspark.sides import ITEMS
from synthspark.training import TrainingTask, storage

JUDGES = {KNOWN: "search_judge_known", UNKNOWN: "search_judge_unknown"}
MIN_CLICKS = 100
"""Minimum number of clicks on items with a text for learning from searches."""


def fields_of(context: Context) -> list[str]:
    """Return the attributes of items that are searched."""
    attributes = context.config.source.attributes(ITEMS)
    asked = context.config.search.fields
    return [n for n, kind in attributes.items() if kind in ("text", "multi")] if asked is None else list(asked)


def why_not(context: Context) -> str | None:
    """Return the reason for not learning from searches, in one line; None if they are learned."""
    if not context.config.search.enabled:
        return "search.enabled is false"
    if not context.has(SEARCHES):
        return "no table tells what was typed (source.searches, or a query of events)"
    if not fields_of(context):
        return "items have no text that could be searched (search.fields)"
    titled = with_texts(context.read(clean(ITEMS)), fields_of(context)).where(F.col("text").isNotNull())
    clicks = context.read(SEARCHES).join(titled, on="item_id", how="left_semi").limit(MIN_CLICKS).count()
    return f"{clicks} clicks on items with a text are too few" if clicks < MIN_CLICKS else None


def published_log(context: Context, staged: Publication) -> SearchLog:
    """Build and materialise the log of the run's clean tables."""
    log = of_searches(context.read(SEARCHES), context.read(clean(ITEMS)), fields_of(context))
    return SearchLog(*[staged.keep(f"search_{name}", df) for name, df in log._asdict().items()])


Card = Callable[[Context, TrainingTask, dict[str, Any]], None]
"""Function that writes the card of a trained model next to it."""


def train_search(context: Context, staged: Publication, report: StageReport, write_card: Card) -> None:
    """Train and stage the two-tower network, the judges and the query writer, or report why they are not trained."""
    reason = why_not(context)
    if reason is not None:
        if context.config.source.has_searches:
            report.notes.append(f"searches are not learned: {reason}")
        return
    with staged.scope():
        log = published_log(context, staged)
        learned = learn(context, staged, read_texts(context, staged, log), log.clicks, "search")
        for kind, judge in learned.judges.items():
            folder = f"{context.checkpoints()}/{JUDGES[kind]}"
            save_judge(judge, {}, partial(_write, folder))
            staged.copy_in(folder, model_folder(JUDGES[kind]))
        made: list[Tower | Writer | None] = [learned.fitted.tower]
        if context.config.search.queries_per_item:
            work = f"{context.checkpoints()}/{WRITER}"
            made.append(train_writer(context, Place.scratch(staged, WRITER), log, learned.fitted.clicks, work))
        for folder, model in zip(("search-whole", WRITER), made, strict=False):
            if model is not None and model.task is not None:
                write_card(context, model.task, model.meta)
                staged.copy_in(f"{context.checkpoints()}/{folder}", model_folder(model.task.name))
    report.details["search"] = learned.about
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in learned.about.items())
    report.notes.append(f"searches: {told}")
    if not learned.judges:
        report.notes.append("no virtual clicks: the fold has too few clicks to learn which proposals come true")


def _write(folder: str, name: str, data: bytes) -> None:
    storage.write(f"{folder}/{name}", data)


def load(context: Context, staged: Publication) -> tuple[SearchLog, Learned] | None:
    """Load the log and the models learned from it; None if the run has none."""
    if not context.has(model_folder(NAME)):
        return None
    log = published_log(context, staged)
    texts, url = read_texts(context, staged, log), context.url(model_folder(NAME))
    meta = context.model_meta(NAME)
    assert meta is not None
    fitted = fitted_by(staged, texts, log.clicks.select("query_index", "item_index"), Tower(url, meta))
    judges: dict[str, TreeJudge] = {}
    for kind, name in JUDGES.items():
        if context.has(model_folder(name)):
            at = context.url(model_folder(name))
            sha256 = str(json.loads(storage.read(f"{at}/judge.json"))["sha256"])
            judge = load_judge(at, sha256, storage.read)
            assert isinstance(judge, TreeJudge)
            judges[kind] = judge
    return log, Learned(texts, fitted, judges, context.record("train")["details"].get("search", {}))


def prove_search(
    context: Context, staged: Publication, report: StageReport
) -> tuple[list[MetricRow], dict[str, Any] | None]:
    """Return (metrics of the search protocols, details with the verdict); ([], None) if searches are not learned."""
    reason = why_not(context)
    if reason is not None:
        return [], None
    config, rows = context.config.evaluate, list[MetricRow]()
    found: dict[str, list[Results]] = {}
    about: dict[str, Any] = {}
    with staged.scope():
        log = published_log(context, staged)
        texts = read_texts(context, staged, log)
        for seed in config.seeds:
            for held in held_out(context, staged, log, context.config.search.protocols, seed, report):
                name = "+".join(held.slices)
                with staged.scope():
                    results, told = judge_search(context, staged, texts, log, held, f"{name}-{seed}")
                about[f"{name}, seed {seed}"] = told
                for protocol, slices in held.slices.items():
                    of = {arm: {n: r for n, r in parts.items() if n in slices} for arm, parts in results.items()}
                    found.setdefault(protocol, []).append(of)
                    rows += metric_rows(of, config.ks, protocol, seed, config.bootstrap)
    verdict = gate.decided(found, config.ks, config.bootstrap, config.seeds[0])
    report.details["search"] = {"verdict": asdict(verdict), "placed": about}
    report.notes.append(f"searches: {verdict.why}")
    return rows, report.details["search"]
