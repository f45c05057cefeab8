"""Stage clean: sources in, the contract's tables and the rejects out."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import reduce

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from synthspark import schemas
from synthspark.clean import (
    EntityRules,
    classify_entities,
    classify_events,
    kept,
    reason_counts,
    rejected,
    unreadable_values,
)
from synthspark.errors import ContractError, SourceError
from synthspark.lake import Publication
from synthspark.pipeline.checks import Declared, blamed, require_known, require_sound
from synthspark.pipeline.context import Context, StageReport, side_name
from synthspark.pipeline.sources import entity_rules, event_rules, read_source

STORAGE = StorageLevel.MEMORY_AND_DISK
"""Of the classified source: it is written in parts, and must not be scanned again for each."""


def clean(context: Context) -> StageReport:
    """Publish clean/events, items, users and rejects; every source row is in exactly one of them."""
    config, report = context.config, StageReport()
    sources = {"item_id": config.source.items, "user_id": config.source.users}
    rules = {key: entity_rules(source, key) for key, source in sources.items() if source is not None}
    read: dict[str, Declared] = {}
    with blamed(read), context.publication("clean") as staged:
        for key, source in sources.items():
            if source is not None:
                frame = read_source(context.spark, source, side_name(key))
                read[side_name(key)] = Declared(frame, rules[key].columns, rules[key].filter)
        events, asked = read_source(context.spark, config.source.events, "events"), event_rules(config)
        read["events"] = Declared(events, asked.columns)
        entities = {key: _entities(report, staged, read[side_name(key)].frame, rules[key]) for key in rules}
        status = item_status(entities["item_id"]) if "item_id" in entities else None
        counted, seen = _counted(events, "events")
        classified = classify_events(counted, status, asked, datetime.now(UTC)).persist(STORAGE)
        staged.write("clean/events", schemas.conform(kept(classified, schemas.EVENTS.names), schemas.EVENTS, "events"))
        for key, of_side in entities.items():
            source = sources[key]
            assert source is not None
            require_known(classified, of_side, key, source)
        _account(report, staged, events, "events", seen, classified)
        rejects = [rejected(of_side, side_name(key)) for key, of_side in entities.items()]
        staged.write("clean/rejects", reduce(DataFrame.unionByName, [*rejects, rejected(classified, "events")]))
        _check(report, staged)
        for held in (*entities.values(), classified):
            held.unpersist()
        staged.details.update(report.to_json())
    return report


def _entities(report: StageReport, staged: Publication, frame: DataFrame, rules: EntityRules) -> DataFrame:
    """Stage items or users; returns the classified rows, persisted."""
    name = side_name(rules.key)
    counted, seen = _counted(frame, name)
    classified = classify_entities(counted, rules).persist(STORAGE)
    schema = schemas.entity_schema(rules.key, dict(rules.attributes))
    staged.write(f"clean/{name}", schemas.conform(kept(classified, schema.names), schema, f"clean/{name}"))
    _account(report, staged, frame, name, seen, classified)
    for attribute, count in unreadable_values(classified, rules.attributes).items():
        if count:
            report.notes.append(f"{name}.{attribute}: {count} values cannot be read, and are null now")
    return classified


def _counted(source: DataFrame, name: str) -> tuple[DataFrame, Observation]:
    """The source with its rows counted as they are read: no second scan, and not the count of what we made of them."""
    seen = Observation(f"{name}-{uuid.uuid4().hex[:8]}")
    return source.observe(seen, F.count(F.lit(1)).alias("rows")), seen


def item_status(classified: DataFrame) -> DataFrame:
    """`item_id`, `filtered`: an item is filtered if no row of it was kept."""
    known = classified.where(F.col("item_id").isNotNull()).groupBy("item_id")
    return known.agg((~F.max(F.col("reason").isNull())).alias("filtered"))


def _account(
    report: StageReport, staged: Publication, source: DataFrame, name: str, seen: Observation, classified: DataFrame
) -> None:
    reasons = reason_counts(classified)
    out, rows = staged.rows[f"clean/{name}"], int(seen.get["rows"])
    if rows != out + sum(reasons.values()):  # Spark adds up twice what a lost executor had read: count for itself
        rows = source.count()
    require_sound(name, rows, reasons)
    if out == 0:
        most = ", ".join(f"{r} ({n})" for r, n in reasons.items())
        raise SourceError(f"table source.{name}: all {rows} rows were rejected: {most}")
    report.tables[name] = {"rows in": rows, "kept": out, **{f"rejected: {r}": n for r, n in reasons.items()}}
    report.rows_in += rows
    report.rows_out += out


def _check(report: StageReport, staged: Publication) -> None:
    """Rows in = rows kept + rows rejected, counted at the source and on what was written."""
    report.rows_rejected = staged.rows["clean/rejects"]
    if report.rows_in != report.rows_out + report.rows_rejected:
        raise ContractError(
            f"stage clean: {report.rows_in} rows came in, {report.rows_out} were kept and {report.rows_rejected} "
            "rejected: they do not add up, and nothing was published"
        )
