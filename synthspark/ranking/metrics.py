"""Metrics of ranked lists per user, over full rankings, never over sampled negatives.

Relevance is binary. Items not in the truth have a gain of 0; a list shorter than k is not padded; users without any
relevant item are not in the mean. NDCG: Jarvelin, Kekalainen 2002 (doi:10.1145/582415.582418), discount log2(rank + 1).
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

METRICS = ("ndcg", "recall", "hit_rate")


def metric_columns(ks: Sequence[int]) -> list[str]:
    """Return the names of the columns of `user_metrics`: `ndcg_10`, ..., in a fixed order."""
    return [f"{metric}_{k}" for metric in METRICS for k in ks]


def user_metrics(lists: DataFrame, truth: DataFrame, ks: Sequence[int], by: Sequence[str] = ()) -> DataFrame:
    """Compute `user_index` and one column per metric and k, one row per user of `truth`.

    lists: `user_index`, `item_index`, `rank` from 1; truth: `user_index`, `item_index`, distinct; by: columns of both
    tables whose values are measured separately. A user of the truth without a list scores 0.

        user's truth {a, c}, list a b c, k = 2  ->  ndcg 1 / (1 + 1/log2(3)) = .613, recall .5, hit rate 1
    """
    keys = [*by, "user_index"]
    relevant = truth.groupBy(*keys).agg(F.count(F.lit(1)).alias("relevant"))
    hits = lists.join(truth.select(*keys, "item_index"), on=[*keys, "item_index"], how="inner")
    gain = 1 / F.log2(F.col("rank") + 1)
    sums = [F.sum(F.when(F.col("rank") <= k, gain).otherwise(0.0)).alias(f"dcg_{k}") for k in ks]
    sums += [F.count_if(F.col("rank") <= k).alias(f"hits_{k}") for k in ks]
    joined = relevant.join(hits.groupBy(*keys).agg(*sums), on=keys, how="left").fillna(0)
    return joined.select(*keys, *[_metric(m, k).alias(f"{m}_{k}") for m in METRICS for k in ks])


def covered_items(k: int) -> Column:
    """Return the aggregate that counts distinct items in lists of k; divided by the candidates: catalogue coverage."""
    return F.count_distinct(F.when(F.col("rank") <= k, F.col("item_index")))


def _metric(name: str, k: int) -> Column:
    if name == "ndcg":
        ideal = F.aggregate(
            F.sequence(F.lit(1), F.least(F.col("relevant"), F.lit(k)).cast("int")),
            F.lit(0.0),
            lambda total, rank: total + 1 / F.log2(rank + 1),
        )
        return F.col(f"dcg_{k}") / ideal
    if name == "recall":
        return F.col(f"hits_{k}") / F.col("relevant")
    return (F.col(f"hits_{k}") > 0).cast("double")
