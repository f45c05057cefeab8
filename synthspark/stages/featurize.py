"""Stage featurize: encodings, features, interactions, preference spaces, and the feeds of training."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart import learn
from synthspark.coldstart.als_choice import choose_als
from synthspark.coldstart.evidence import Evidence, fit_encoding, least_partners, of_run
from synthspark.coldstart.shop import open_pairs
from synthspark.coldstart.spaces import Place, write_feed
from synthspark.errors import SourceError
from synthspark.features import encoding
from synthspark.features.encoding import TableEncoding
from synthspark.features.interactions import behaviour_features, category_shares, interactions, pair_statistics
from synthspark.indexing import with_index
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
    features,
    profile_feed,
    text_feed,
    text_validation_feed,
    validation_feed,
)
from synthspark.sides import ITEMS, SIDES, USERS, Side

CATEGORY_SHARES = 8


def featurize(context: Context) -> StageReport:
    """Read clean, publish features, factors and feeds."""
    config, report = context.config, StageReport()
    with context.publication("featurize") as staged:
        events = context.read(EVENTS)
        pairs = staged.keep("pairs", pair_statistics(events, config.events.weights, config.events.half_life_days))
        report.rows_in = context.rows("clean", EVENTS)
        unit = median(pairs, "weight")
        if unit is None:
            raise SourceError("table clean/events: no event is left to learn from; see clean/rejects for the reasons")
        report.details["unit_weight"] = unit
        staged.write(INTERACTIONS, interactions(pairs))
        encodings: dict[Side, TableEncoding] = {}
        for side in SIDES:
            encodings[side] = _features(context, staged, pairs, side, encodings, report)
        _learnable(context, staged, of_run(context, staged.read, unit, encodings), report)
        report.rows_out = staged.rows[INTERACTIONS.name]
        staged.details.update(report.to_json())
    return report


def _features(
    context: Context, staged: Publication, pairs: DataFrame, side: Side, known: dict[Side, TableEncoding],
    report: StageReport,
) -> TableEncoding:  # fmt: skip
    """Stage the features of one side; returns its encoding. known: those of the sides that are staged already."""
    kinds, seen = context.config.source.attributes(side), pairs.select(side.key).distinct()
    declared = context.read(clean(side)) if context.has(clean(side)) else seen
    entities = declared.join(seen, on=side.key, how="full") if context.has(clean(side)) else seen
    fitted = fit_encoding(context, _warm(context, staged, declared, pairs, side), side)
    for name, why in fitted.left_out.items():
        report.notes.append(f"attribute {name!r} of {side.name} is left out: {why}, among the {side.name} that can be "
                            "learned from")  # fmt: skip
    if not fitted.encoders:
        new = "" if kinds else f"no new {side.name}, and "
        report.notes.append(f"{side.name} have no attribute to learn from: {new}nothing is known of cold {side.name}")
    behaviour = behaviour_features(pairs, side.key)
    if side == USERS and ITEMS in known:
        behaviour = _with_category_shares(staged, behaviour, pairs, known[ITEMS])
    filled = [F.coalesce(c, F.lit(0)).alias(c) if t == "int" else F.coalesce(c, F.lit(0.0).cast(t)).alias(c)
              for c, t in behaviour.dtypes if c != side.key]  # fmt: skip
    encoded = encoding.encode(with_index(entities, side.key, side.index), fitted)
    table = encoded.join(behaviour, on=side.key, how="left").select(side.key, side.index, *fitted.columns, *filled)
    count = context.rows("clean", clean(side))
    write_feed(context, staged.write, features(side), table, max(count, seen.count()))
    staged.write_json(f"{encoding_folder(side)}/encoding.json", fitted.to_json())
    report.tables.setdefault("features", {})[side.name] = staged.rows[features(side).name]
    if kinds:  # a profile is learned from those who have one, not from ids seen in events only
        written = written_kinds(context, declared, side)
        rows = profiles(context, staged, declared, side, written, report)
        _learned_and_held(context, staged, rows, side, (profile_feed(side), validation_feed(side)), count)
        rows = texts_feed(context, staged, declared, side, written, fitted, report)
        _learned_and_held(context, staged, rows, side, (text_feed(side), text_validation_feed(side)), count)
    return fitted


def _learned_and_held(
    context: Context, staged: Publication, rows: DataFrame | None, side: Side, feeds: tuple[Table, Table], count: int
) -> None:
    """Stage what a generator of new rows learns from, and what it stops by."""
    parts = split_off(rows, side.key, count, context.config.seed) if rows is not None else (None, None)
    for feed, part in zip(feeds, parts, strict=True):
        if part is not None:
            write_feed(context, staged.write, feed, part.drop(side.key), count)


def _warm(context: Context, staged: Publication, declared: DataFrame, pairs: DataFrame, side: Side) -> DataFrame:
    """Declared rows of those who can be learned from."""
    met = pairs.groupBy(side.key).agg(F.count(F.lit(1)).alias("breadth"))
    enough = met.where(F.col("breadth") >= least_partners(context, side))
    return staged.keep(f"warm_{side.name}", declared.join(enough, on=side.key, how="left_semi"))


def _with_category_shares(
    staged: Publication, behaviour: DataFrame, pairs: DataFrame, items: TableEncoding
) -> DataFrame:
    """Of each user, by the items' first categorical attribute."""
    if not items.categorical:
        return behaviour
    code = items.categorical[0].column
    shares = category_shares(pairs, staged.read(features(ITEMS)), code, encoding.FIRST, CATEGORY_SHARES)
    return behaviour.join(shares, on=USERS.key, how="left")


def _learnable(context: Context, staged: Publication, evidence: Evidence, report: StageReport) -> None:
    """Stage the spaces of the warm and the behaviour feeds."""
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
            f"table clean/events: all {count} warm interactions are of items that the judge's fold took; set "
            "judge.enabled to false, or bring more events"
        )
    if context.config.recommend.auto:
        context = choose_als(context, staged, warm, report)
    learn.prepare(context, Place.of_stage(staged), evidence, warm)
