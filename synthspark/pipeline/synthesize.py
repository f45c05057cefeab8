"""Stage synthesize: new users and items, and virtual events for them and for every cold one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark import schemas
from synthspark.errors import ConfigError, ContractError
from synthspark.frames import local_frame
from synthspark.lake import Publication
from synthspark.pipeline.audience import ALS_SPACE, ChosenJudge, place, published_shop
from synthspark.pipeline.baskets import baskets, best_form, cold_users, new_baskets
from synthspark.pipeline.context import (
    Context,
    StageReport,
    factor_vectors,
    indexed_interactions,
    read_encoding,
    side_name,
)  # fmt: skip
from synthspark.pipeline.profiles import AUTOREGRESSIVE, imputed_rows, new_rows
from synthspark.pipeline.train import JUDGE
from synthspark.recommend import rating
from synthspark.synthesis.events import event_mix, synthetic_events
from synthspark.synthesis.generate import preferences


@dataclass(frozen=True)
class Side:
    """Items or users: the real ones, the new ones, and which of them want virtual events."""

    key: str
    index: str
    real: DataFrame
    """features/<side>, with the index, the encoded columns and `breadth`."""
    new: DataFrame | None
    """New entities with the same index and encoded columns; None if none are made."""
    wanting: DataFrame | None
    """Key, index, encoded columns, `origin` and `noise` of the cold and the new; None without a behaviour generator."""
    meta: dict[str, Any]
    """model.json of the behaviour generator."""


def synthesize(context: Context) -> StageReport:
    """Publish synthetic/users, items and events in the clean schemas."""
    config, report = context.config.synthesize, StageReport()
    with context.publication("synthesize") as staged:
        items = _side(context, staged, "item_id", config.items, config.cold_items, report)
        users = _side(context, staged, "user_id", config.users, config.cold_users, report)
        for side in (items, users):
            _write_entities(context, staged, side)
        pairs = staged.keep("pairs", _pairs(context, staged, items, users, report))
        mix = event_mix(context.read("clean/events"))
        events = synthetic_events(pairs, _item_levels(context, items), mix, config.seed)
        schema = T.StructType([*schemas.EVENTS.fields, *schemas.SYNTHETIC.fields])
        staged.write("synthetic/events", schemas.conform(events, schema, "synthetic/events"))
        _check(context, staged)
        written = staged.read("synthetic/events").groupBy("origin").agg(
            F.count(F.lit(1)).alias("events"), F.count_distinct("user_id").alias("users"),
            F.count_distinct("item_id").alias("items"))  # fmt: skip
        for row in written.orderBy("origin").collect():
            report.tables[f"events of origin {row['origin']}"] = {k: row[k] for k in ("events", "users", "items")}
        report.rows_in = context.record("clean")["rows"]["clean/events"]
        report.rows_out = sum(staged.rows.values())
        staged.details.update(report.to_json())
    return report


def model_meta(context: Context, name: str) -> dict[str, Any] | None:
    """model.json of a generator that this run has trained."""
    if not context.has(f"models/{name}"):
        return None
    return dict(json.loads(context.lake.read_text(f"{context.lake.path(f'models/{name}', context.run_id)}/model.json")))


def _side(context: Context, staged: Publication, key: str, count: int, cold: bool, report: StageReport) -> Side:
    name, index = side_name(key), f"{key.removesuffix('_id')}_index"
    features = context.config.features
    least = features.min_item_users if key == "item_id" else features.min_user_items
    real = context.read(f"features/{name}", feed=True)
    profile, behaviour = model_meta(context, f"profile_{name}"), model_meta(context, f"behaviour_{name}")
    new = None
    if profile is not None and count > 0:
        first = context.record("featurize")["rows"][f"features/{name}"]
        url = context.lake.path(f"models/profile_{name}", context.run_id)
        new = staged.keep(f"new_{name}", new_rows(context, key, count, url, profile, first))
    elif count > 0:
        report.notes.append(f"no new {name}: there is no profile generator for them")
    if behaviour is None:
        report.notes.append(f"no virtual events of cold {name}: there is no behaviour generator for them")
        return Side(key, index, real, new, None, {})
    encoded = [key, index, *behaviour["code_columns"], *behaviour["number_columns"]]
    origins = {origin: F.lit(f"{origin}_{key.removesuffix('_id')}").alias("origin") for origin in ("cold", "new")}
    wanting = real.where(F.col("breadth") < least).where(F.lit(cold))
    # A real entity gets what is most likely of it; new ones differ from each other beyond their attributes.
    wanting = wanting.select(*encoded, origins["cold"], F.lit(0.0).alias("noise"))
    if new is not None:
        wanting = wanting.unionByName(new.select(*encoded, origins["new"], F.lit(1.0).alias("noise")))
    return Side(key, index, real, new, wanting, behaviour)


def _write_entities(context: Context, staged: Publication, side: Side) -> None:
    encoding = read_encoding(context, side_name(side.key))
    schema = schemas.entity_schema(side.key, encoding.kinds)
    full = T.StructType([*schema.fields, *schemas.SYNTHETIC.fields])
    table = f"synthetic/{side_name(side.key)}"
    parts = {f"new_{side.key.removesuffix('_id')}": side.new, "imputed": _imputed(context, side.key)}
    rows = local_frame(context.spark, [], full)
    for origin, made in parts.items():
        if made is not None:
            seed = F.lit(context.config.synthesize.seed).cast("long")
            marked = made.withColumns({"origin": F.lit(origin), "weight": F.lit(1.0), "seed": seed})
            rows = rows.unionByName(schemas.conform(marked, full, table))
    staged.write(table, rows)


def _imputed(context: Context, key: str) -> DataFrame | None:
    """Real rows with what they lack, if they are asked for. Raises ConfigError where nothing can complete them."""
    side = side_name(key)
    if side not in context.config.synthesize.impute:
        return None
    meta = model_meta(context, f"profile_{side}")
    if meta is None or meta["network"] != AUTOREGRESSIVE:
        raise ConfigError(f"synthesize.impute: {side} cannot be completed: there is no {AUTOREGRESSIVE} profile "
                          f"generator of them (train.profile_{side}.network)")  # fmt: skip
    return imputed_rows(context, key, context.lake.path(f"models/profile_{side}", context.run_id))


def _pairs(context: Context, staged: Publication, items: Side, users: Side, report: StageReport) -> DataFrame:
    """`user_id`, `item_id`, `origin`, `weight` of every virtual event."""
    columns = ("user_id", "item_id", "origin", "weight")
    made = (_audiences(context, staged, items, users), _baskets(context, staged, items, users, report))
    parts = [part.select(*columns) for part in made if part is not None]
    if not parts:
        fields = [T.StructField(c, T.DoubleType() if c == "weight" else T.StringType()) for c in columns]
        return local_frame(context.spark, [], T.StructType(fields))
    return reduce(DataFrame.unionByName, parts)


def _audiences(context: Context, staged: Publication, items: Side, users: Side) -> DataFrame | None:
    """Events of cold and new items: placed among the real users."""
    if items.wanting is None:
        return None
    url = context.lake.path("models/behaviour_items", context.run_id)
    made = preferences(items.wanting, "item_index", url, items.meta, context.config.synthesize.seed)
    made = staged.keep("made_items", made)
    shop = published_shop(context)
    encoded = shop.items.columns
    if items.new is not None:
        shop = replace(shop, items=shop.items.unionByName(items.new.select(*encoded)))
    shop = replace(shop, items=staged.keep("items", shop.items), pairs=staged.keep("warm", shop.pairs))
    judge = context.record("train")["details"].get(JUDGE)
    place_of = context.lake.path(f"models/{JUDGE}", context.run_id)
    chosen = ChosenJudge.of(place_of, judge) if judge else None
    placed = place(context, staged, shop, made, chosen, known=indexed_interactions(context))
    named = placed.join(items.wanting.select("item_index", "item_id", "origin"), on="item_index", how="inner")
    return named.join(users.real.select("user_index", "user_id"), on="user_index", how="inner")


def _baskets(context: Context, staged: Publication, items: Side, users: Side, report: StageReport) -> DataFrame | None:
    """Events of cold and new users: baskets of the warm items."""
    if users.wanting is None:
        return None
    url = context.lake.path("models/behaviour_users", context.run_id)
    targets = factor_vectors(context.read(f"{ALS_SPACE}/items", feed=True), "item_index")
    asked = {o: users.wanting.where(F.col("origin") == f"{o}_user") for o in ("cold", "new")}
    placed = new_baskets(context, staged, asked["new"], targets, url, users.meta)
    if asked["cold"].take(1):
        unit = context.record("featurize")["details"]["unit_weight"]
        train = staged.keep("train", indexed_interactions(context).withColumn("rating", rating(F.col("weight"), unit)))
        cold = cold_users(context, staged, asked["cold"], targets, train, url, users.meta)
        form, shares = best_form(context, staged, cold)
        report.details["baskets"] = shares
        if form is None:
            report.notes.append("cold users get no virtual events: ALS would serve them worse than the most bought "
                                f"items ({shares})")  # fmt: skip
        else:
            placed = placed.unionByName(baskets(context, cold, form))
    named = placed.join(users.wanting.select("user_index", "user_id", "origin"), on="user_index", how="inner")
    return named.join(items.real.select("item_index", "item_id"), on="item_index", how="inner")


def _item_levels(context: Context, items: Side) -> DataFrame:
    """`item_id`, `price`, `value`: what its events say, else its own price attribute where it has one."""
    seen = F.when(F.col("has_price") > 0, F.col("mean_price").cast("double"))
    value = F.when(F.col("mean_value") > 0, F.col("mean_value").cast("double"))
    levels = items.real.select("item_id", seen.alias("_seen"), value.alias("value"))
    kinds = read_encoding(context, "items").kinds
    if kinds.get("price") != "numeric":
        return levels.withColumnRenamed("_seen", "price")
    declared = context.read("clean/items").select("item_id", "price")
    if items.new is not None:
        declared = declared.unionByName(items.new.select("item_id", "price"))
    joined = declared.join(levels, on="item_id", how="left")
    return joined.select("item_id", F.coalesce("_seen", "price").alias("price"), "value")


def _check(context: Context, staged: Publication) -> None:
    """Every foreign key holds, and no new id is a real one."""
    events = staged.read("synthetic/events")
    for key in ("user_id", "item_id"):
        new = staged.read(f"synthetic/{side_name(key)}").where("origin != 'imputed'").select(key)
        real = context.read(f"features/{side_name(key)}", feed=True).select(key)
        twice = new.join(real, on=key, how="inner").take(1)
        if twice:
            raise ContractError(f"synthetic/{side_name(key)}: id {twice[0][key]!r} is a real one")
        orphan = events.join(new.unionByName(real), on=key, how="left_anti").take(1)
        if orphan:
            raise ContractError(f"synthetic/events: {key} {orphan[0][key]!r} is in no table")
