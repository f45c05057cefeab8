"""Arms: what ALS is trained on, everything else equal, and how each slice comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.evaluation.bootstrap import GroupSums, group_sums, interval, resampled_means
from synthspark.evaluation.gate import Difference
from synthspark.evaluation.ranking import coverage, metric_columns, user_metrics
from synthspark.evaluation.split import Split
from synthspark.retrieval import top_k

SLICES = ("cold", "warm", "all")
ROLES = {"cold": ("cold_test",), "warm": ("warm",), "all": ("warm", "cold_test")}


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
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class SliceResult:
    """One arm on one slice: sums per group of users, and catalogue coverage per k."""

    sums: GroupSums
    coverage: Mapping[int, float]


def queries_for(split: Split, slice_name: str, vectors: DataFrame, k: int) -> DataFrame:
    """The users of a slice's truth as queries, their training items excluded; users without a vector get no list."""
    users = truth_of(split, slice_name).select("user_index").distinct()
    seen = split.train.groupBy("user_index").agg(F.collect_set("item_index").alias("exclude"))
    known = users.join(vectors, on="user_index", how="inner").join(seen, on="user_index", how="left")
    return known.select(F.col("user_index").alias("query_index"), "vector", F.lit(k).alias("k"), "exclude")


def truth_of(split: Split, slice_name: str) -> DataFrame:
    """`user_index`, `item_index` that count as relevant in a slice."""
    chosen = split.test if slice_name == "all" else split.test.where(F.col("slice") == slice_name)
    return chosen.select("user_index", "item_index")


def judge(split: Split, user_vectors: DataFrame, item_vectors: DataFrame, ks: Sequence[int]) -> dict[str, SliceResult]:
    """Rank the candidates of every slice in full and measure.

    user_vectors: `user_index`, `vector`; item_vectors: `item_index`, `vector`. A candidate without a vector (ALS never
    saw it) has the score 0, as Spark's ALS would leave it out; among equal scores the smaller index is first.
    """
    results = {}
    width = F.size(F.first("vector")).alias("width")
    zero = F.broadcast(item_vectors.agg(width))
    for name in SLICES:
        candidates = split.items.where(F.col("role").isin(*ROLES[name]))
        targets = candidates.join(item_vectors, on="item_index", how="left").crossJoin(zero)
        nothing = F.array_repeat(F.lit(0.0).cast("float"), F.col("width"))
        vectors = targets.select(
            F.col("item_index").alias("target_index"), F.coalesce("vector", nothing).alias("vector")
        )
        lists = top_k(queries_for(split, name, user_vectors, max(ks)), vectors)
        lists = lists.withColumnsRenamed({"query_index": "user_index", "target_index": "item_index"}).persist()
        metrics = user_metrics(lists, truth_of(split, name), ks)
        sums = group_sums(metrics, metric_columns(ks))
        total = candidates.count()
        covered = lists.agg(*[coverage(lists, total, k).alias(f"c{k}") for k in ks]).collect()[0]
        results[name] = SliceResult(sums, {k: covered[f"c{k}"] for k in ks})
        lists.unpersist()
    return results


def averaged(results: Sequence[Mapping[str, SliceResult]]) -> dict[str, SliceResult]:
    """One arm judged several times (ALS from several starts): each user's metrics averaged, no user counted twice.

    ALS moves by 1 to 2 % between starts, which is as much as the gate allows for a loss.
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
    """The rows of metrics.json for the arms of one split; intervals under the same resamples for all arms."""
    rows: list[MetricRow] = []
    arms = list(results)
    for name in SLICES:
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
    """The product less real alone, averaged over the seeds' splits (one entry per seed), paired by seed and user."""
    place = metric_columns(ks).index(column)
    drawn = [
        resampled_means([r, p], resamples, seed + i)[:, :, place]
        for i, (r, p) in enumerate(zip(real, product, strict=True))
    ]
    samples = np.mean([d[:, 1] - d[:, 0] for d in drawn], axis=0)
    low, high = interval(samples)
    means = [(r.means()[place], p.means()[place]) for r, p in zip(real, product, strict=True)]
    return Difference(
        float(sum(m[0] for m in means) / len(means)), float(sum(m[1] for m in means) / len(means)), low, high
    )
