"""Stage synthesize: new users and items, and virtual events for them and for all cold entities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark import schemas
from synthspark.coldstart.audience import NOTHING
from synthspark.coldstart.baskets import NO_FORMS
from synthspark.coldstart.learn import Learned, load
from synthspark.coldstart.virtual import DRAWN, audience, baskets_of_new, virtual_events
from synthspark.errors import ConfigError, ContractError
from synthspark.features.published import read_encoding
from synthspark.frames import local_frame
from synthspark.newrows.feeds import AUTOREGRESSIVE
from synthspark.newrows.rows import imputed_rows, new_rows
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import EVENTS, SYNTHETIC_EVENTS, Table, clean, features, model_folder, synthetic
from synthspark.search.published import publish_search
from synthspark.sides import ITEMS, SIDES, USERS, Side
from synthspark.synthesis.events import event_mix, synthetic_events


@dataclass(frozen=True)
class Asking:
    """Entities of a side that get virtual events: index and encoded columns; None for no entity."""

    new: DataFrame | None
    """New entities, also with their attributes."""
    cold: DataFrame | None


def synthesize(context: Context, release: Context | None = None) -> StageReport:
    """Publish synthetic/users, items and events in the clean schemas.

    release: the run whose models these are, if it is another one. Its new users and items, with their events, are
    published again where as many of the same are asked for: they are nobody's, and so nothing of today changes them.
    """
    config, report = context.config.synthesize, StageReport()
    with context.publication("synthesize") as staged:
        learned = load(context, staged)
        report.details["asked"] = asked_for(context)
        again = release if release is not None and _asked_the_same(context, release) else None
        asking = {side: _asking(context, staged, learned, side, report, again is None) for side in SIDES}
        for side in SIDES:
            _write_entities(context, staged, side, asking[side].new, again)
        pairs = staged.keep("events", _pairs(context, staged, learned, asking, report))
        context.on_step("writing events")
        mix = event_mix(context.read(EVENTS))
        events = synthetic_events(pairs, _item_levels(context, asking[ITEMS].new), mix, config.seed)
        schema = T.StructType([*schemas.EVENTS.fields, *schemas.SYNTHETIC.fields])
        if again is not None:
            events = events.unionByName(_events_again(context, staged, again).select(events.columns))
        staged.write(SYNTHETIC_EVENTS, schemas.to_schema(events, schema, SYNTHETIC_EVENTS.name))
        _check(context, staged)
        if context.config.source.has_searches:
            context.on_step("searches: virtual clicks, queries and the index")
        publish_search(context, staged, report)
        written = staged.read(SYNTHETIC_EVENTS).groupBy("origin").agg(
            F.count(F.lit(1)).alias("events"), F.count_distinct("user_id").alias("users"),
            F.count_distinct("item_id").alias("items"))  # fmt: skip
        for row in written.orderBy("origin").collect():
            report.tables[f"events of origin {row['origin']}"] = {k: row[k] for k in ("events", "users", "items")}
        report.rows_in = context.rows("clean", EVENTS)
        report.rows_out = sum(staged.rows.values())
        staged.details.update(report.to_json())
    return report


def asked_for(context: Context) -> dict[str, Any]:
    """Return the settings that determine the new rows, beside the models."""
    config = context.config.synthesize
    names = ("users", "items", "users_where", "items_where", "seed", "max_events", "unjudged_weight")
    return {"run": context.config.seed, **{name: getattr(config, name) for name in names}}


def _asked_the_same(context: Context, release: Context) -> bool:
    return bool(release.record("synthesize")["details"].get("asked") == asked_for(context))


def _of_new(run: Context, table: Table) -> DataFrame:
    return run.read(table).where("origin like 'new_%'")


def _events_again(context: Context, staged: Publication, release: Context) -> DataFrame:
    """Return the events of the release's new users and items, except those on entities that the shop no longer has."""
    events = _of_new(release, SYNTHETIC_EVENTS)
    for side in SIDES:
        known = context.read(features(side)).select(side.key)
        events = events.join(known.unionByName(staged.read(synthetic(side)).select(side.key)).distinct(), on=side.key,
                             how="left_semi")  # fmt: skip
    return events


def _asking(
    context: Context, staged: Publication, learned: Learned, side: Side, report: StageReport, make_new: bool
) -> Asking:
    config, name = context.config.synthesize, f"profile_{side.name}"
    count, with_cold = (config.items, config.cold_items) if side == ITEMS else (config.users, config.cold_users)
    count = count if make_new else 0
    profile, new = context.model_meta(name), None
    if profile is not None and count > 0:
        first = context.rows("featurize", features(side))
        context.on_step(f"making {count:,} new {side.name}")
        rows = new_rows(context, staged, side, count, context.url(model_folder(name)), profile, first)
        new = staged.keep(f"new_{side.name}", rows)
    elif count > 0:
        report.notes.append(f"no new {side.name}: there is no profile generator for them")
    if side.name not in learned.models:
        report.notes.append(f"no virtual events of cold {side.name}: there is no behaviour generator for them")
        return Asking(new, None)
    cold = learned.evidence.cold(side) if with_cold else None
    return Asking(new, cold if cold is not None and cold.take(1) else None)


def _write_entities(
    context: Context, staged: Publication, side: Side, new: DataFrame | None, again: Context | None
) -> None:
    full = T.StructType([*schemas.entity_schema(side.key, read_encoding(context, side).kinds).fields,
                         *schemas.SYNTHETIC.fields])  # fmt: skip
    table = synthetic(side)
    rows = local_frame(context.spark, [], full)
    for origin, made in {f"new_{side.one}": new, "imputed": _imputed(context, side)}.items():
        if made is not None:
            seed = F.lit(context.config.synthesize.seed).cast("long")
            marked = made.withColumns({"origin": F.lit(origin), "weight": F.lit(1.0), "seed": seed})
            rows = rows.unionByName(schemas.to_schema(marked, full, table.name))
    if again is not None:
        rows = rows.unionByName(schemas.to_schema(_of_new(again, table), full, table.name))
    staged.write(table, rows)


def _imputed(context: Context, side: Side) -> DataFrame | None:
    """Return completed real rows if `synthesize.impute` has the side. Raises ConfigError if no model can do it."""
    if side.name not in context.config.synthesize.impute:
        return None
    meta = context.model_meta(f"profile_{side.name}")
    if meta is None or meta["network"] != AUTOREGRESSIVE:
        raise ConfigError(f"synthesize.impute: {side.name} cannot be completed: there is no {AUTOREGRESSIVE} profile "
                          f"generator of them (train.profile_{side.name}.network)")  # fmt: skip
    return imputed_rows(context, side, context.url(model_folder(f"profile_{side.name}")))


def _pairs(
    context: Context, staged: Publication, learned: Learned, asking: Mapping[Side, Asking], report: StageReport
) -> DataFrame:
    """Place all virtual events: `user_id`, `item_id`, `origin`, `weight`.

    Cold entities are placed by themselves, as in the proof; new ones, which the proof does not cover, do not share
    their budget.
    """
    items, users = asking[ITEMS], asking[USERS]
    cold = virtual_events(context, staged, learned, items.cold, users.cold)
    forms = cold.forms._asdict().items()
    report.details["basket_forms"] = {users: None if form is None else asdict(form) for users, form in forms}
    if cold.tried:
        report.details["baskets"] = cold.tried
        if cold.forms == NO_FORMS:
            report.notes.append("cold users get no virtual events: no form of baskets served warm users who were "
                                f"treated as cold better (NDCG@20 {cold.tried})")  # fmt: skip
    if learned.judge and learned.judge.placing == NOTHING:
        report.notes.append(NOTHING.words())
    made = {
        "cold_item": cold.items,
        "new_item": None
        if items.new is None
        else audience(context, staged, learned, items.new, noise=DRAWN, every=True),
        "cold_user": cold.users,
        "new_user": baskets_of_new(context, staged, learned, users.new) if users.new is not None else None,
    }
    columns = ("user_index", "item_index", F.col("weight").cast("double").alias("weight"))
    parts = [part.select(*columns, F.lit(origin).alias("origin")) for origin, part in made.items() if part is not None]
    schema = "user_index int, item_index int, weight double, origin string"
    pairs = reduce(DataFrame.unionByName, parts) if parts else local_frame(context.spark, [], schema)
    for side in SIDES:
        named = context.read(features(side)).select(side.key, side.index)
        new = asking[side].new
        named = named if new is None else named.unionByName(new.select(side.key, side.index))
        pairs = pairs.join(named, on=side.index, how="inner")
    return pairs.select("user_id", "item_id", "origin", "weight")


def _item_levels(context: Context, new: DataFrame | None) -> DataFrame:
    """Return the usual `price` and `value` of each `item_id`, from its events, else its declared price."""
    seen = F.when(F.col("has_price") > 0, F.col("mean_price").cast("double"))
    value = F.when(F.col("mean_value") > 0, F.col("mean_value").cast("double"))
    levels = context.read(features(ITEMS)).select("item_id", seen.alias("_seen"), value.alias("value"))
    source = context.config.source.items
    if source is None or source.price_attribute is None:
        return levels.withColumnRenamed("_seen", "price")
    price = F.col(schemas.quoted(source.price_attribute)).alias("_declared")
    declared = context.read(clean(ITEMS)).select("item_id", price)
    if new is not None:
        declared = declared.unionByName(new.select("item_id", price))
    joined = declared.join(levels, on="item_id", how="left")
    return joined.select("item_id", F.coalesce("_seen", "_declared").alias("price"), "value")


def _check(context: Context, staged: Publication) -> None:
    """Check foreign keys and ids. Raises ContractError if a key is in no table, or if a new id is also a real one."""
    events = staged.read(SYNTHETIC_EVENTS)
    for side in SIDES:
        table, key = synthetic(side).name, side.key
        new = staged.read(synthetic(side)).where("origin != 'imputed'").select(key)
        real = context.read(features(side)).select(key)
        twice = new.join(real, on=key, how="inner").take(1)
        if twice:
            raise ContractError(f"{table}: id {twice[0][key]!r} is also the id of a real row")
        orphan = events.join(new.unionByName(real), on=key, how="left_anti").take(1)
        if orphan:
            raise ContractError(f"{SYNTHETIC_EVENTS.name}: {key} {orphan[0][key]!r} is the id of no real or new row")
