"""Stage evaluate: the cold-item protocol, from the split on: encoders, factors and generator see training rows only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.evaluation.arms import MetricRow, SliceResult, judge, metric_rows, paired_difference
from synthspark.evaluation.controls import popularity_pairs
from synthspark.evaluation.gate import Difference, Verdict, verdict
from synthspark.evaluation.split import Split, cold_item_split
from synthspark.features import encoding
from synthspark.lake import STAGES, Publication
from synthspark.pairing import random_pairs
from synthspark.pipeline.audience import Shop, item_space, open_pairs, place, train_judge
from synthspark.pipeline.context import Context, StageReport, factor_vectors, indexed_interactions
from synthspark.pipeline.featurize import (
    als_settings,
    attribute_kinds,
    factor_settings,
    limits,
    write_behaviour_feed,
    write_space,
)  # fmt: skip
from synthspark.pipeline.train import checkpoints, make_task, root_mean_square
from synthspark.recommend import Factors, fit_als, rating
from synthspark.session import task_slots
from synthspark.synthesis.generate import preferences
from synthspark.training import train_all

Results = dict[str, dict[str, SliceResult]]


def evaluate(context: Context) -> StageReport:
    """Publish reports/metrics.json: every arm on every slice, and the verdict."""
    config, report = context.config.evaluate, StageReport()
    with context.lake.publication(context.run_id, "evaluate") as staged:
        rows: list[MetricRow] = []
        results: list[Results] = []
        for seed in config.seeds:
            found, volume = _one_split(context, staged, seed)
            results.append(found)
            rows += metric_rows(found, config.ks, "cold_item", seed, config.bootstrap)
            report.tables[f"cold_item, seed {seed}"] = volume
        decision = _decide(context, results)
        report.rows_in = context.record("featurize")["rows"]["features/interactions"]
        report.rows_out = len(rows)
        report.details = {"verdict": asdict(decision), "protocols": [r.to_json() for r in rows]}
        staged.details.update(report.to_json())
        earlier = [context.lake.record(context.run_id, stage) or {"stage": stage} for stage in STAGES[:-1]]
        metrics = {
            "run_id": context.run_id,
            "protocols": report.details["protocols"],
            "fidelity": [],
            "privacy": [],
            "verdict": report.details["verdict"],
            "stages": [_timing(r) for r in [*earlier, {"stage": "evaluate", **report.to_json()}]],
        }
        staged.write_json("reports/metrics.json", metrics)
    context.lake.delete(checkpoints(context))
    return report


def _timing(record: Mapping[str, Any]) -> dict[str, Any]:
    return {k: record.get(k) for k in ("stage", "seconds", "rows_in", "rows_out", "rows_rejected")}


def _one_split(context: Context, staged: Publication, seed: int) -> tuple[Results, dict[str, int]]:
    """All arms on the split of one seed."""
    config = context.config
    pairs, eligible = (staged.keep(f"{seed}/{n}", df) for n, df in zip("pe", _eligible(context), strict=True))
    split = cold_item_split(pairs, eligible, config.evaluate.cold_fraction, config.evaluate.warm_holdout, seed)
    split = Split(*[staged.keep(f"{seed}/{name}", df) for name, df in split._asdict().items()])
    train = split.train.select("user_index", "item_index", "rating")
    blocks, settings = 2 * task_slots(context.spark), als_settings(context)
    real = _kept(staged, f"{seed}/real", fit_als(train, settings, blocks))
    added = {arm: staged.keep(f"{seed}/virtual/{arm}", df)
             for arm, df in _virtual_pairs(context, staged, split, seed).items()}  # fmt: skip
    volume, weight = added["real+synthetic"].agg(F.count(F.lit(1)), F.avg("weight")).collect()[0]
    users, items = train.select("user_index").distinct(), split.items.select("item_index")
    controls = {
        "random": random_pairs(users, items, volume, seed),
        "popularity": popularity_pairs(train, items, volume, seed),
    }
    added |= {arm: pairs.withColumn("weight", F.lit(weight)) for arm, pairs in controls.items()}
    results: Results = {}
    for arm in config.evaluate.arms:
        factors = real
        if arm != "real":
            fitted = fit_als(_union(train, added[arm]), settings, blocks)
            factors = _kept(staged, f"{seed}/{arm}", fitted)
        results[arm] = judge(split, factors.users, factors.items, config.evaluate.ks)
    results["popular"] = judge(split, *_popular(train, users), config.evaluate.ks)
    roles = {r["role"]: r["count"] for r in split.items.groupBy("role").count().collect()}
    return results, {"training interactions": train.count(), "synthetic interactions": volume, **roles}


def _eligible(context: Context) -> tuple[DataFrame, DataFrame]:
    """Interactions of items with enough users, and those items."""
    unit = context.record("featurize")["details"]["unit_weight"]
    pairs = indexed_interactions(context).withColumn("rating", rating(F.col("weight"), unit))
    items = context.read("features/items", feed=True)
    eligible = items.where(F.col("breadth") >= context.config.features.min_item_users).select("item_index")
    return pairs.select("user_index", "item_index", "rating"), eligible


def _kept(staged: Publication, name: str, factors: Factors) -> Factors:
    return Factors(staged.keep(f"{name}/users", factors.users), staged.keep(f"{name}/items", factors.items))


def _virtual_pairs(context: Context, staged: Publication, split: Split, seed: int) -> dict[str, DataFrame]:
    """Per arm, what the job would add for the items that are cold in the split: learned from training rows only."""
    config, prefix = context.config, f"scratch/seed_{seed}/"
    ids = context.read("features/items", feed=True).select("item_id", "item_index")
    rows = context.read("clean/items").join(ids, on="item_id", how="inner")
    rows = staged.keep(f"{seed}/rows", rows.join(split.items, on="item_index", how="inner"))
    fitted = encoding.fit(rows.where("role = 'warm'"), attribute_kinds(context, "item_id"), limits(context))
    columns = ("item_index", "role", *fitted.code_columns, *fitted.number_columns)
    encoded = staged.keep(f"{seed}/encoded", encoding.encode(rows, fitted).select(*columns))
    train = split.train.select("user_index", "item_index", "rating")
    seen, space = open_pairs(context, train), item_space(context)
    factors = fit_als(seen, factor_settings(context), 2 * task_slots(context.spark))
    write_space(context, staged.scratch, f"{prefix}{space}", factors, seen)
    items = encoded.drop("role")
    write_behaviour_feed(context, staged, staged.scratch, "item_id", prefix, space, seen, items)
    work = f"{checkpoints(context)}/evaluate-{seed}"
    task = make_task(
        context, "behaviour_items", fitted, staged.url(f"{prefix}feeds/behaviour_items"),
        staged.read(f"{prefix}feeds/behaviour_items").count(), staged.url(f"{prefix}{space}/users"),
        root_mean_square(context, staged.url(f"{prefix}{space}/items")), work,
    )  # fmt: skip
    meta = train_all(context.spark, [task], config.train.processes, context.on_epoch)[task.name]
    breadth = train.groupBy("user_index").agg(F.count(F.lit(1)).alias("breadth"))
    vectors = factor_vectors(staged.read(f"{prefix}{space}/users"), config.features.factor_rank, "user_index")
    users = vectors.select("user_index", "vector").join(breadth, on="user_index", how="inner")
    shop = Shop(fitted, items, train.select("user_index", "item_index"), staged.keep(f"{seed}/users", users))
    cold = encoded.where("role != 'warm'").withColumn("noise", F.lit(0.0))
    made = preferences(cold, "item_index", work, meta, config.synthesize.seed + seed)
    made = staged.keep(f"{seed}/made", made)
    judge = train_judge(context, staged, shop, work, meta, f"{work}/judge") if config.judge.enabled else None
    chosen = (f"{work}/judge", judge["sha256"]) if judge else None
    placed = {"real+synthetic": place(context, staged, shop, made, chosen)}
    if "no_judge" in config.evaluate.arms:
        placed["no_judge"] = place(context, staged, shop, made, None)
    return placed


def _union(train: DataFrame, added: DataFrame) -> DataFrame:
    virtual = rating(F.col("weight"), 1.0)
    both = train.unionByName(added.select("user_index", "item_index", virtual.alias("rating")))
    return both.groupBy("user_index", "item_index").agg(F.max("rating").alias("rating"))


def _popular(train: DataFrame, users: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The reference ranker: every user gets the most bought first."""
    counted = train.groupBy("item_index").agg(F.array(F.count(F.lit(1)).cast("float")).alias("vector"))
    return users.withColumn("vector", F.array(F.lit(1.0).cast("float"))), counted


def _decide(context: Context, results: list[Results]) -> Verdict:
    config = context.config.evaluate
    if not {"real", "real+synthetic"} <= set(results[0]):
        return Verdict(False, "do not ship: the arms 'real' and 'real+synthetic' were not both judged")

    k = 20 if 20 in config.ks else max(config.ks)

    def difference(name: str) -> Difference:
        sums: Mapping[str, list[Any]] = {a: [r[a][name].sums for r in results] for a in ("real", "real+synthetic")}
        return paired_difference(
            sums["real"], sums["real+synthetic"], config.ks, f"ndcg_{k}", config.bootstrap, config.seeds[0]
        )

    return verdict(difference("cold"), difference("warm"), f"NDCG@{k}")
