"""Stage clean: convert the sources to the contract's tables and the rejects."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timezone
from functools import reduce

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from synthspark import schemas
from synthspark.clean import (
    EntityRules,
    SearchRules,
    accepted_rows,
    classify_entities,
    classify_events,
    classify_searches,
    item_status,
    reason_counts,
    rejected_rows,
    searches_of,
    unreadable_values,
)
from synthspark.errors import ContractError, SourceError
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import EVENTS, REJECTS, SEARCHES, Table
from synthspark.runs.tables import clean as clean_table
from synthspark.sides import ITEMS, SIDES, Side
from synthspark.stages.checks import Declared, blamed, require_known, require_sound
from synthspark.stages.sources import STORAGE, entity_rules, event_rules, read_source, sample_of_users, search_rules


def clean(context: Context) -> StageReport:
    """Publish clean/events, items, users and rejects; every source row is in exactly one of them."""
    config, report = context.config, StageReport()
    sources = {side: source for side in SIDES if (source := config.source.of(side)) is not None}
    rules = {side: entity_rules(source, side) for side, source in sources.items()}
    read: dict[str, Declared] = {}
    asked, searches = event_rules(config), config.source.searches
    with blamed(read), context.publication("clean") as staged:
        for side, source in sources.items():
            frame = read_source(context.spark, source, side.name)
            read[side.name] = Declared(frame, rules[side].columns, rules[side].filter)
        read["events"] = Declared(read_source(context.spark, config.source.events, "events"), asked.columns)
        if searches is not None:
            rules_of_searches = search_rules(searches)
            read["searches"] = Declared(read_source(context.spark, searches, "searches"), rules_of_searches.columns)
        _sample(context, report, read)
        entities = {
            side: _entities(context, report, staged, read[side.name].frame, side, rules[side]) for side in rules
        }
        status = item_status(entities[ITEMS]) if ITEMS in entities else None
        context.on_step("reading and checking events")
        events = read["events"].frame
        counted, seen = _counted(events, "events")
        classified = classify_events(counted, status, asked, datetime.now(timezone.utc)).persist(STORAGE)
        staged.write(
            EVENTS, schemas.to_schema(accepted_rows(classified, schemas.EVENTS.names), schemas.EVENTS, "events")
        )
        for side, of_side in entities.items():
            require_known(classified, of_side, side, sources[side])
        _account(report, staged, events, "events", EVENTS, seen, classified)
        rejects = [rejected_rows(of_side, side.name) for side, of_side in entities.items()]
        held = [*entities.values(), classified]
        if searches is not None:
            context.on_step("reading and checking searches")
            typed = _searches(report, staged, read["searches"].frame, status, rules_of_searches)
            rejects.append(rejected_rows(typed, "searches"))
            held.append(typed)
        elif config.source.has_searches:
            staged.write(SEARCHES, schemas.to_schema(searches_of(staged.read(EVENTS)), schemas.SEARCHES, SEARCHES.name))
        context.on_step("writing rejected rows")
        staged.write(REJECTS, reduce(DataFrame.unionByName, [*rejects, rejected_rows(classified, "events")]))
        _check(report, staged)
        for frame in held:
            frame.unpersist()
        staged.details.update(report.to_json())
    return report


def _sample(context: Context, report: StageReport, read: dict[str, Declared]) -> None:
    """Restrict the tables in `read` that have user ids to a sample of users, if the configuration asks for one."""
    source = context.config.source
    if source.max_users is not None:
        context.on_step("counting users")
    sample = sample_of_users(context.config, read["events"].frame)
    if sample is None:
        return
    for name, table in read.items():
        if (column := table.columns.get("user_id")) is not None:
            words = getattr(source, name).null_values
            read[name] = replace(table, frame=sample.of(table.frame, column, f"source.{name}", words))
    report.details["sample"] = {"users": source.max_users, "of": sample.users}
    report.notes.append(sample.words())


def _entities(
    context: Context, report: StageReport, staged: Publication, frame: DataFrame, side: Side, rules: EntityRules
) -> DataFrame:
    """Stage items or users; returns the classified rows, persisted."""
    table = clean_table(side)
    context.on_step(f"reading and checking {side.name}")
    counted, seen = _counted(frame, side.name)
    classified = classify_entities(counted, rules).persist(STORAGE)
    schema = schemas.entity_schema(side.key, dict(rules.attributes))
    staged.write(table, schemas.to_schema(accepted_rows(classified, schema.names), schema, table.name))
    _account(report, staged, frame, side.name, table, seen, classified)
    for attribute, count in unreadable_values(classified, rules.attributes).items():
        if count:
            report.notes.append(f"{side.name}.{attribute}: {count} values cannot be read, and are null now")
    return classified


def _searches(
    report: StageReport, staged: Publication, frame: DataFrame, status: DataFrame | None, rules: SearchRules
) -> DataFrame:
    """Stage searches; returns the classified rows, persisted."""
    counted, seen = _counted(frame, "searches")
    classified = classify_searches(counted, status, rules, datetime.now(timezone.utc)).persist(STORAGE)
    staged.write(
        SEARCHES, schemas.to_schema(accepted_rows(classified, schemas.SEARCHES.names), schemas.SEARCHES, SEARCHES.name)
    )
    _account(report, staged, frame, "searches", SEARCHES, seen, classified)
    return classified


def _counted(source: DataFrame, name: str) -> tuple[DataFrame, Observation]:
    """Count the rows of the source while they are read, which needs no second scan; returns (source, count)."""
    seen = Observation(f"{name}-{uuid.uuid4().hex[:8]}")
    return source.observe(seen, F.count(F.lit(1)).alias("rows")), seen


def _account(
    report: StageReport, staged: Publication, source: DataFrame, name: str, table: Table, seen: Observation,
    classified: DataFrame,
) -> None:  # fmt: skip
    reasons = reason_counts(classified)
    out, rows = staged.rows[table.name], int(seen.get["rows"])
    if rows != out + sum(reasons.values()):  # Spark counts rows of a lost executor twice: count again
        rows = source.count()
    require_sound(name, rows, reasons)
    if out == 0:
        most = ", ".join(f"{r} ({n})" for r, n in reasons.items())
        raise SourceError(f"table source.{name}: all {rows} rows were rejected: {most}")
    report.tables[name] = {"rows in": rows, "kept": out, **{f"rejected: {r}": n for r, n in reasons.items()}}
    report.rows_in += rows
    report.rows_out += out


def _check(report: StageReport, staged: Publication) -> None:
    """Check that rows in = rows kept + rows rejected, counted in the source and in the written tables."""
    report.rows_rejected = staged.rows[REJECTS.name]
    if report.rows_in != report.rows_out + report.rows_rejected:
        raise ContractError(
            f"stage clean: {report.rows_in} rows were read, {report.rows_out} kept and {report.rows_rejected} "
            "rejected; the numbers do not add up, and nothing was published"
        )
