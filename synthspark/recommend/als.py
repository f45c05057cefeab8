"""Implicit ALS (Hu, Koren, Volinsky 2008, doi:10.1109/ICDM.2008.22): Spark's own, with the house's scale of ratings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.ml.recommendation import ALS
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

BLOCKS_PER_ROOT = 4
"""Blocks of ALS for the root of a million events: 13 for ten millions, 40 for a hundred, 127 for a thousand."""
EXACT_EVENTS = 4_000_000
"""Up to so many events a lake's factors are the same bytes everywhere; above, the last bit gives way to more blocks."""
EXACT_BLOCKS = 2
"""Up to so many blocks factors are the same to the byte: Spark adds up one sum per block in the order in which its
tasks end, which changes nothing of two (a + b = b + a), but the last bit of three."""


@dataclass(frozen=True)
class AlsSettings:
    """Hyperparameters, tuned once on validation and then the same for every arm."""

    rank: int = 32
    regularization: float = 0.1
    alpha: float = 1.0
    iterations: int = 10
    seed: int = 0


class Factors(NamedTuple):
    """Both sides' factors: `user_index` or `item_index` int and `vector` array<float> of length rank."""

    users: DataFrame
    items: DataFrame


def rating(weight: Column, unit: float) -> Column:
    """log(1 + weight / unit): `unit` is the median weight of a real interaction, so that scale does not matter."""
    return F.log1p(weight / F.lit(unit)).cast("float")


def with_virtual(ratings: DataFrame, added: DataFrame) -> DataFrame:
    """`ratings` (`user_index`, `item_index`, `rating`) and the virtual events `added` (..., `weight` in median real
    interactions) as ratings: weights of the same pair add up.
    """
    real = ratings.select("user_index", "item_index", F.expm1("rating").alias("weight"))
    both = real.unionByName(added.select("user_index", "item_index", F.col("weight").cast("double").alias("weight")))
    summed = both.groupBy("user_index", "item_index").agg(F.sum("weight").alias("weight"))
    return summed.select("user_index", "item_index", rating(F.col("weight"), 1.0).alias("rating"))


def fit_als(ratings: DataFrame, settings: AlsSettings, blocks: int) -> Factors:
    """Factors of every user and item in `ratings` (`user_index`, `item_index` int, `rating` float).

    Confidence is 1 + alpha x rating. Only indices and factors leave; `blocks` is how many the two sides are cut into.
    Up to EXACT_BLOCKS the same rows give the same bytes, whatever the partitions, executors and retries (on several
    executors not with `spark.default.parallelism` set: docs/decisions/012).
    """
    rows = ratings.select("user_index", "item_index", "rating")
    if blocks <= EXACT_BLOCKS:  # ALS adds up an entity's ratings as they arrive: from one task they arrive in order
        rows = rows.repartition(1).sortWithinPartitions("user_index", "item_index")
    als = ALS(
        rank=settings.rank,
        maxIter=settings.iterations,
        regParam=settings.regularization,
        alpha=settings.alpha,
        implicitPrefs=True,
        userCol="user_index",
        itemCol="item_index",
        ratingCol="rating",
        seed=settings.seed,
        numUserBlocks=blocks,
        numItemBlocks=blocks,
        intermediateStorageLevel="MEMORY_AND_DISK",
        finalStorageLevel="MEMORY_AND_DISK",
    )
    model = als.fit(rows)
    return Factors(
        model.userFactors.select(F.col("id").alias("user_index"), F.col("features").alias("vector")),
        model.itemFactors.select(F.col("id").alias("item_index"), F.col("features").alias("vector")),
    )


def blocks_for(rows: int) -> int:
    """How many blocks ALS cuts users and items into, for so many events or pairs: by the data.

    ALS's random start follows the blocks, so that a number that followed the cluster would give other factors wherever
    the job has more or fewer executors. Up to EXACT_EVENTS as few as give the same bytes everywhere; above, by the
    root: each factor is sent to every block, so that with blocks in proportion to the events what is sent would grow
    with their square.
    """
    return EXACT_BLOCKS if rows <= EXACT_EVENTS else math.ceil(BLOCKS_PER_ROOT * math.sqrt(rows / 1e6))
