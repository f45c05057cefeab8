"""Stage featurize: encodings, features, interactions, preference spaces and training feeds."""

from __future__ import annotations

from pyspark.sql import DataFrame

from synthspark.coldstart import learn
from synthspark.coldstart.als_choice import choose_als
from synthspark.coldstart.entities import write_features
from synthspark.coldstart.evidence import Evidence, of_run
from synthspark.coldstart.half_life import choose_half_life
from synthspark.coldstart.shop import open_pairs
from synthspark.coldstart.spaces import Place, write_feed
from synthspark.errors import SourceError
from synthspark.features.encoding import TableEncoding
from synthspark.features.interactions import interactions, pair_statistics
from synthspark.newrows.feeds import profiles, split_off, written_kinds
from synthspark.newrows.texts import texts_feed
from synthspark.quantiles import median
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import (
    EVENTS,
    INTERACTIONS,
    Table,
    clean,
    encoding_folder,
    profile_feed,
    text_feed,
    text_validation_feed,
    validation_feed,
)
from synthspark.sides import SIDES, Side


def featurize(context: Context) -> StageReport:
    """Read the clean tables; publish features, factors and feeds."""
    config, report = context.config, StageReport()
    with context.publication("featurize") as staged:
        context.on_step("adding up events per user and item")
        events = context.read(EVENTS)
        days = config.events.half_life_days
        if config.recommend.auto:
            context.on_step("trying half-lives of events")
            days = choose_half_life(context, staged, events, report)
        pairs = staged.keep("pairs", pair_statistics(events, config.events.weights, days))
        report.rows_in = context.rows("clean", EVENTS)
        unit = median(pairs, "weight")
        if unit is None:
            raise SourceError("table clean/events: no event is left to learn from; see clean/rejects for the reasons")
        report.details["unit_weight"] = unit
        staged.write(INTERACTIONS, interactions(pairs))
        encodings: dict[Side, TableEncoding] = {}
        for side in SIDES:
            context.on_step(f"encoding {side.name}")
            encodings[side] = _features(context, staged, pairs, side, encodings, report)
        _learnable(context, staged, of_run(context, staged.read, unit, encodings), report)
        report.rows_out = staged.rows[INTERACTIONS.name]
        staged.details.update(report.to_json())
    return report


def _features(
    context: Context, staged: Publication, pairs: DataFrame, side: Side, known: dict[Side, TableEncoding],
    report: StageReport,
) -> TableEncoding:  # fmt: skip
    """Stage the features of one side and the feeds that its new rows are learned from; return its encoding.

    known: encodings of the sides that are staged already.
    """
    declared, fitted = write_features(context, staged, pairs, side, known, report)
    kinds = context.config.source.attributes(side)
    for name, why in fitted.left_out.items():
        report.notes.append(f"attribute {name!r} of {side.name} is left out: {why}, among the {side.name} that can be "
                            "learned from")  # fmt: skip
    if not fitted.encoders:
        new = "" if kinds else f"no new {side.name}, and "
        report.notes.append(f"{side.name} have no attribute to learn from: {new}nothing is known of cold {side.name}")
    staged.write_json(f"{encoding_folder(side)}/encoding.json", fitted.to_json())
    if kinds:  # profiles are learned from declared rows, not from ids seen in events only
        count, written = context.rows("clean", clean(side)), written_kinds(context, declared, side)
        rows = profiles(context, staged, declared, side, written, report)
        _learned_and_held(context, staged, rows, side, (profile_feed(side), validation_feed(side)), count)
        rows = texts_feed(context, staged, declared, side, written, fitted, report)
        _learned_and_held(context, staged, rows, side, (text_feed(side), text_validation_feed(side)), count)
    return fitted


def _learned_and_held(
    context: Context, staged: Publication, rows: DataFrame | None, side: Side, feeds: tuple[Table, Table], count: int
) -> None:
    """Stage the training feed and the validation feed (for early stopping) of a generator of new rows."""
    parts = split_off(rows, side.key, count, context.config.seed) if rows is not None else (None, None)
    for feed, part in zip(feeds, parts, strict=True):
        if part is not None:
            write_feed(context, staged.write, feed, part.drop(side.key), count)


def _learnable(context: Context, staged: Publication, evidence: Evidence, report: StageReport) -> None:
    """Stage the preference spaces of warm entities and the behaviour feeds."""
    f = context.config.features
    warm = staged.keep("warm", evidence.warm_pairs())
    count = warm.count()
    if count == 0:
        raise SourceError(
            f"table clean/events: no item has {f.min_item_users} users who have {f.min_user_items} items each; "
            "lower features.min_item_users and features.min_user_items, or bring more events"
        )
    report.tables["features"]["warm interactions"] = count
    if not open_pairs(context, warm).take(1):
        raise SourceError(
            f"table clean/events: all {count} warm interactions are of items in the judge's fold; set "
            "judge.enabled to false, or bring more events"
        )
    if context.config.recommend.auto:
        context.on_step("trying settings of ALS on real events")
        context = choose_als(context, staged, warm, report)
    learn.prepare(context, Place.of_stage(staged), evidence, warm)
