"""Metrics of arms: the lists of every judged user, the results of each slice, and paired differences of arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.frames import local_frame
from synthspark.ranking.bootstrap import GroupSums, group_sums, interval, resampled_means
from synthspark.ranking.gate import Difference
from synthspark.ranking.metrics import covered_items, metric_columns, user_metrics
from synthspark.ranking.split import ASIDE, Slice, Split, truth
from synthspark.retrieval import tie_breaker, top_k


@dataclass(frozen=True)
class MetricRow:
    """A row of `protocols` in metrics.json."""

    protocol: str
    seed: int
    arm: str
    slice: str
    metric: str
    k: int
    value: float
    ci_low: float | None
    ci_high: float | None
    num_users: int

    def to_json(self) -> dict[str, object]:
        """Return the row as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class SliceResult:
    """One arm on one slice: sums per group of users, and catalogue coverage per k."""

    sums: GroupSums
    coverage: Mapping[int, float]

    def value(self, ks: Sequence[int], column: str) -> float:
        """Return the mean over users of `column`, one of `metric_columns(ks)`."""
        return float(self.sums.means()[metric_columns(ks).index(column)])


def rank_items(split: Split, user_vectors: DataFrame, item_vectors: DataFrame, k: int) -> DataFrame:
    """Rank the best `k` items per role for each judged user: `user_index`, `item_index`, `score`, `role`, `rank`.

    user_vectors: `user_index`, `vector`; item_vectors: `item_index`, `vector`. It is a full ranking without training
    positives. An item without a vector (ALS never saw it, and Spark would leave it out) has the score 0; a user without
    a vector gets the most bought items, as in a shop. Ties are broken in an order per user (`retrieval.tie_breaker`).
    """
    seen = split.train.groupBy("user_index").agg(F.collect_set("item_index").alias("exclude"))
    popularity = split.train.groupBy("item_index").agg(F.count(F.lit(1)).cast("float").alias("popularity"))
    width = F.broadcast(item_vectors.agg(F.size(F.first("vector")).alias("width")))
    nothing = F.array_repeat(F.lit(0.0).cast("float"), F.col("width"))
    # One more dimension: the popularity of an item, which is nonzero only in vectors of users without a vector.
    asked = split.test.select("user_index").distinct().join(user_vectors, on="user_index", how="left").crossJoin(width)
    known = F.concat("vector", F.array(F.lit(0.0).cast("float")))
    fallback = F.concat(nothing, F.array(F.lit(1.0).cast("float")))
    queries = asked.join(seen, on="user_index", how="left").select(
        F.col("user_index").alias("query_index"), F.coalesce(known, fallback).alias("vector"), F.lit(k).alias("k"),
        "exclude",
    )  # fmt: skip
    judged = split.items.where(F.col("role") != ASIDE)
    items = judged.join(item_vectors, on="item_index", how="left").join(popularity, on="item_index", how="left")
    bought = F.array(F.coalesce("popularity", F.lit(0.0).cast("float")))
    vector = F.concat(F.coalesce("vector", nothing), bought).alias("vector")
    targets = items.crossJoin(width).select(F.col("item_index").alias("target_index"), "role", vector)
    roles = sorted(r["role"] for r in judged.select("role").distinct().collect())
    lists = [top_k(queries, targets.where(F.col("role") == r).drop("role")).withColumn("role", F.lit(r)) for r in roles]
    named = reduce(DataFrame.unionByName, lists)
    return named.withColumnsRenamed({"query_index": "user_index", "target_index": "item_index"})


def best_of(scores: DataFrame, split: Split, k: int) -> DataFrame:
    """Rank like `rank_items`, by the `scores` (`user_index`, `item_index`, `score`) of some pairs; omit the others."""
    unseen = scores.join(split.train.select("user_index", "item_index"), on=["user_index", "item_index"],
                         how="left_anti")  # fmt: skip
    of_role = unseen.join(split.items, on="item_index", how="inner")
    order = F.col("score").desc(), tie_breaker("user_index", "item_index")
    best = Window.partitionBy("user_index", "role").orderBy(*order)
    return of_role.withColumn("rank", F.row_number().over(best)).where(F.col("rank") <= k)


class Questions(NamedTuple):
    """The slices of a split with their relevant items, the same for every arm."""

    truth: DataFrame
    """`slice`, `user_index`, `item_index` of the relevant items."""
    slices: Mapping[str, Slice]
    sizes: Mapping[str, int]
    """Slice -> number of candidate items."""


def questions(split: Split, slices: Mapping[str, Slice]) -> Questions:
    """Return the questions of a split; keep their truth in scratch, since it is read for every arm."""
    counts = {r["role"]: r["count"] for r in split.items.groupBy("role").count().collect()}
    sizes = {name: sum(counts.get(role, 0) for role in asked.candidates) for name, asked in slices.items()}
    parts = [truth(split, asked).withColumn("slice", F.lit(name)) for name, asked in slices.items()]
    return Questions(reduce(DataFrame.unionByName, parts).select("slice", "user_index", "item_index"), slices, sizes)


def measure(asked: Questions, lists: DataFrame, ks: Sequence[int]) -> dict[str, SliceResult]:
    """Compute the metrics of every slice with users from `lists` (as `rank_items` returns them), in two Spark jobs.

    The best items over several roles are among the best of each role, so that no slice needs another ranking.
    """
    spark = lists.sparkSession
    roles = [(name, role) for name, question in asked.slices.items() for role in question.candidates]
    of_slice = F.broadcast(local_frame(spark, roles, "slice string, role string"))
    users = asked.truth.select("slice", "user_index").distinct()
    mine = lists.join(of_slice, on="role", how="inner").join(users, on=["slice", "user_index"], how="left_semi")
    order = F.col("score").desc(), tie_breaker("user_index", "item_index")
    best = Window.partitionBy("slice", "user_index").orderBy(*order)
    mine = mine.withColumn("rank", F.row_number().over(best)).where(F.col("rank") <= max(ks))
    mine = mine.select("slice", "user_index", "item_index", "rank")
    sums = group_sums(user_metrics(mine, asked.truth, ks, by=["slice"]), metric_columns(ks), "slice")
    covered = {
        r["slice"]: r for r in mine.groupBy("slice").agg(*[covered_items(k).alias(f"c{k}") for k in ks]).collect()
    }
    return {
        name: SliceResult(
            sums[name],
            {k: covered[name][f"c{k}"] / max(asked.sizes[name], 1) if name in covered else 0.0 for k in ks},
        )
        for name in asked.slices
        if name in sums
    }


def averaged(results: Sequence[Mapping[str, SliceResult]]) -> dict[str, SliceResult]:
    """Average the results of one arm from several starts of ALS: per user, so that no user counts twice.

    Results differ by 1 to 2 % between starts, which is as much as the loss that the gate allows.
    """
    mean = {}
    for name in results[0]:
        runs = [r[name] for r in results]
        sums = GroupSums(np.mean([r.sums.sums for r in runs], axis=0), runs[0].sums.counts)
        coverages = {k: float(np.mean([r.coverage[k] for r in runs])) for k in runs[0].coverage}
        mean[name] = SliceResult(sums, coverages)
    return mean


def metric_rows(
    results: Mapping[str, Mapping[str, SliceResult]], ks: Sequence[int], protocol: str, seed: int, resamples: int
) -> list[MetricRow]:
    """Return the rows of metrics.json for the arms of one split; all arms share the same resamples."""
    rows: list[MetricRow] = []
    for name in next(iter(results.values())):
        arms = [arm for arm in results if name in results[arm]]
        sums = [results[arm][name].sums for arm in arms]
        samples = resampled_means(sums, resamples, seed)
        for a, arm in enumerate(arms):
            means, users = sums[a].means(), int(sums[a].counts.sum())
            for m, column in enumerate(metric_columns(ks)):
                metric, _, k = column.rpartition("_")
                low, high = interval(samples[:, a, m])
                rows.append(MetricRow(protocol, seed, arm, name, metric, int(k), float(means[m]), low, high, users))
            for at, share in results[arm][name].coverage.items():
                rows.append(MetricRow(protocol, seed, arm, name, "coverage", at, share, None, None, users))
    return rows


def paired_difference(
    real: Sequence[GroupSums], product: Sequence[GroupSums], ks: Sequence[int], column: str, resamples: int, seed: int
) -> Difference:
    """Compute the product's metric minus that of real rows alone, averaged over splits (one entry per seed).

    The difference is paired by seed and user. All splits have the same users, so that a resample draws the users once
    for all splits: separate draws would treat one user's results in several splits as those of independent users.
    """
    place = metric_columns(ks).index(column)
    drawn = resampled_means([*real, *product], resamples, seed)[:, :, place]
    low, high = interval((drawn[:, len(real) :] - drawn[:, : len(real)]).mean(axis=1))
    means = [(r.means()[place], p.means()[place]) for r, p in zip(real, product, strict=True)]
    return Difference(
        float(sum(m[0] for m in means) / len(means)), float(sum(m[1] for m in means) / len(means)), low, high
    )
