"""The cold-item protocol, from the split on: encoders, factors, generator and judge see training rows only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.evaluation.arms import SliceResult, averaged, judge
from synthspark.evaluation.controls import duplicated_pairs, permuted_items, popularity_pairs
from synthspark.evaluation.split import Split, cold_item_split
from synthspark.features import encoding
from synthspark.features.encoding import TableEncoding
from synthspark.lake import Publication
from synthspark.pairing import random_pairs
from synthspark.pipeline.audience import Shop, item_space, open_pairs, place, train_judge
from synthspark.pipeline.context import Context, factor_vectors, indexed_interactions
from synthspark.pipeline.featurize import (
    als_settings,
    attribute_kinds,
    factor_settings,
    limits,
    write_behaviour_feed,
    write_space,
)  # fmt: skip
from synthspark.pipeline.train import checkpoints, make_task, root_mean_square
from synthspark.recommend import fit_als, rating
from synthspark.session import task_slots
from synthspark.synthesis.generate import preferences
from synthspark.training import train_all

Results = dict[str, dict[str, SliceResult]]


def judge_arms(context: Context, staged: Publication, seed: int) -> tuple[Results, dict[str, int]]:
    """All arms on the split of one seed, and the sizes of what they were judged on."""
    config = context.config
    pairs, eligible = (staged.keep(f"{seed}/{n}", df) for n, df in zip("pe", _eligible(context), strict=True))
    split = cold_item_split(pairs, eligible, config.evaluate.cold_fraction, config.evaluate.warm_holdout, seed)
    split = Split(*[staged.keep(f"{seed}/{name}", df) for name, df in split._asdict().items()])
    train = split.train.select("user_index", "item_index", "rating")
    added = _added(context, staged, split, seed)
    blocks, settings = 2 * task_slots(context.spark), als_settings(context)
    results: Results = {}
    for arm in config.evaluate.arms:
        rows = train if arm == "real" else staged.keep(f"{seed}/{arm}", _union(train, added[arm]))
        judged = []
        for start in range(config.evaluate.als_seeds):
            factors = fit_als(rows, replace(settings, seed=settings.seed + start), blocks)
            users, items = (staged.keep(f"{seed}/{arm}/{n}", getattr(factors, n)) for n in ("users", "items"))
            judged.append(judge(split, users, items, config.evaluate.ks))
        results[arm] = averaged(judged)
    results["popular"] = judge(split, *_popular(train), config.evaluate.ks)
    sizes = {"training interactions": train.count(), "synthetic interactions": added["real+synthetic"].count()}
    return results, sizes | {r["role"]: r["count"] for r in split.items.groupBy("role").count().collect()}


@dataclass(frozen=True)
class _Learned:
    """What the job would know of the shop on the day of the split."""

    shop: Shop
    cold: DataFrame
    """`item_index` and the encoded columns of the items without a sale."""
    model_url: str
    meta: dict[str, Any]
    judge: tuple[str, str] | None


def _eligible(context: Context) -> tuple[DataFrame, DataFrame]:
    """Interactions of items with enough users, and those items."""
    unit = context.record("featurize")["details"]["unit_weight"]
    pairs = indexed_interactions(context).withColumn("rating", rating(F.col("weight"), unit))
    items = context.read("features/items", feed=True)
    eligible = items.where(F.col("breadth") >= context.config.features.min_item_users).select("item_index")
    return pairs.select("user_index", "item_index", "rating"), eligible


def _added(context: Context, staged: Publication, split: Split, seed: int) -> dict[str, DataFrame]:
    """What each arm adds to the training rows: `user_index`, `item_index`, `weight` in median real interactions."""
    arms, learned = context.config.evaluate.arms, _learn(context, staged, split, seed)
    added = {"real+synthetic": _placed(context, staged, learned, learned.cold, seed)}
    if "no_judge" in arms:
        added["no_judge"] = _placed(context, staged, replace(learned, judge=None), learned.cold, seed)
    if "permuted" in arms:
        added["permuted"] = _placed(context, staged, learned, permuted_items(learned.cold, seed), seed)
    added = {arm: staged.keep(f"{seed}/added/{arm}", df) for arm, df in added.items()}
    volume, weight = added["real+synthetic"].agg(F.count(F.lit(1)), F.avg("weight")).collect()[0]
    train, items = split.train, split.items.select("item_index")
    placed_blindly = {
        "random": random_pairs(train.select("user_index").distinct(), items, volume, seed),
        "popularity": popularity_pairs(train, items, volume, seed),
        "duplicated": duplicated_pairs(train, volume, seed),
    }
    return added | {arm: pairs.withColumn("weight", F.lit(weight)) for arm, pairs in placed_blindly.items()}


def _learn(context: Context, staged: Publication, split: Split, seed: int) -> _Learned:
    """Encoders, factors, generator and judge from the training rows of a split."""
    config, prefix = context.config, f"scratch/seed_{seed}/"
    fitted, encoded = _encoded(context, staged, split, seed)
    items, train = encoded.drop("role"), split.train.select("user_index", "item_index", "rating")
    seen, space = open_pairs(context, train), item_space(context)
    factors = fit_als(seen, factor_settings(context), 2 * task_slots(context.spark))
    write_space(context, staged.scratch, f"{prefix}{space}", factors, seen)
    write_behaviour_feed(context, staged, staged.scratch, "item_id", prefix, space, seen, items)
    feed, work = f"{prefix}feeds/behaviour_items", f"{checkpoints(context)}/evaluate-{seed}"
    task = make_task(
        context, "behaviour_items", fitted, staged.url(feed), staged.read(feed).count(),
        staged.url(f"{prefix}{space}/users"), root_mean_square(context, staged.url(f"{prefix}{space}/items")), work,
    )  # fmt: skip
    meta = train_all(context.spark, [task], config.train.processes, context.on_epoch)[task.name]
    breadth = train.groupBy("user_index").agg(F.count(F.lit(1)).alias("breadth"))
    vectors = factor_vectors(staged.read(f"{prefix}{space}/users"), config.features.factor_rank, "user_index")
    users = vectors.select("user_index", "vector").join(breadth, on="user_index", how="inner")
    shop = Shop(fitted, items, train.select("user_index", "item_index"), staged.keep(f"{seed}/users", users))
    judge = train_judge(context, staged, shop, work, meta, f"{work}/judge") if config.judge.enabled else None
    cold = encoded.where("role != 'warm'").drop("role")
    return _Learned(shop, cold, work, meta, (f"{work}/judge", judge["sha256"]) if judge else None)


def _encoded(context: Context, staged: Publication, split: Split, seed: int) -> tuple[TableEncoding, DataFrame]:
    """Encoders fitted on the warm items, and `item_index`, `role` and the encoded columns of all."""
    ids = context.read("features/items", feed=True).select("item_id", "item_index")
    rows = context.read("clean/items").join(ids, on="item_id", how="inner")
    rows = staged.keep(f"{seed}/rows", rows.join(split.items, on="item_index", how="inner"))
    fitted = encoding.fit(rows.where("role = 'warm'"), attribute_kinds(context, "item_id"), limits(context))
    columns = ("item_index", "role", *fitted.code_columns, *fitted.number_columns)
    return fitted, staged.keep(f"{seed}/encoded", encoding.encode(rows, fitted).select(*columns))


def _placed(context: Context, staged: Publication, learned: _Learned, cold: DataFrame, seed: int) -> DataFrame:
    """The virtual events of items that look as `cold` says."""
    asked = cold.withColumn("noise", F.lit(0.0))
    seed += context.config.synthesize.seed
    made = staged.keep(f"{seed}/made", preferences(asked, "item_index", learned.model_url, learned.meta, seed))
    warm = learned.shop.items.join(cold.select("item_index"), on="item_index", how="left_anti")
    items = staged.keep(f"{seed}/items", warm.unionByName(cold))
    return place(context, staged, replace(learned.shop, items=items), made, learned.judge)


def _union(train: DataFrame, added: DataFrame) -> DataFrame:
    """Weights of the same pair add up, as they do in recommend."""
    real = train.select("user_index", "item_index", F.expm1("rating").alias("weight"))
    both = real.unionByName(added.select("user_index", "item_index", F.col("weight").cast("double").alias("weight")))
    summed = both.groupBy("user_index", "item_index").agg(F.sum("weight").alias("weight"))
    return summed.select("user_index", "item_index", rating(F.col("weight"), 1.0).alias("rating"))


def _popular(train: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The reference ranker: every user gets the most bought first."""
    users = train.select("user_index").distinct().withColumn("vector", F.array(F.lit(1.0).cast("float")))
    return users, train.groupBy("item_index").agg(F.array(F.count(F.lit(1)).cast("float")).alias("vector"))
