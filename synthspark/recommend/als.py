"""Implicit ALS (Hu, Koren, Volinsky 2008, doi:10.1109/ICDM.2008.22): Spark's own, with ratings on a log scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.ml.recommendation import ALS
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

BLOCKS_PER_ROOT = 4
"""ALS blocks per square root of millions of events: 13 blocks for 10 million, 40 for 100, 127 for 1,000 million."""
EXACT_EVENTS = 4_000_000
"""Maximum number of events for factors with the same bytes everywhere; more events get more blocks instead."""
REAL = "is_real"
"""Column of ratings: whether the pair is a real one."""
STRANGERS = 2**30
"""Added to the index of users without a real pair while ALS is fitted; indices are smaller."""
EXACT_BLOCKS = 2
"""Maximum number of blocks for factors with the same bytes: Spark adds one sum per block in the order in which its
tasks end, which does not matter for two sums (a + b = b + a), but changes the last bit of three. Then all users are
one block: with several blocks of both sides, an entity's ratings arrive in the order of a hash map of pairs of blocks,
which differs between Spark 3.5 and 4 (docs/decisions/019)."""


@dataclass(frozen=True)
class AlsSettings:
    """Hyperparameters of ALS, the same for every arm."""

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
    """Return log(1 + weight / unit). unit: median weight of a real interaction, so that the scale does not matter."""
    return F.log1p(weight / F.lit(unit)).cast("float")


def with_virtual(ratings: DataFrame, added: DataFrame) -> DataFrame:
    """Add virtual events to `ratings` (`user_index`, `item_index`, `rating`); weights of the same pair add up.

    added: `user_index`, `item_index`, `weight` in real interactions of median weight. Returns these columns of
    `ratings` and REAL: whether a pair is among `ratings`.
    """
    pair = ("user_index", "item_index")
    real = ratings.select(*pair, F.expm1("rating").alias("weight"), F.lit(True).alias(REAL))
    virtual = added.select(*pair, F.col("weight").cast("double").alias("weight"), F.lit(False).alias(REAL))
    summed = real.unionByName(virtual).groupBy(*pair).agg(F.sum("weight").alias("weight"), F.max(REAL).alias(REAL))
    return summed.select(*pair, rating(F.col("weight"), 1.0).alias("rating"), REAL)


def fit_als(ratings: DataFrame, settings: AlsSettings, blocks: int) -> Factors:
    """Fit the factors of every user and item in `ratings` (`user_index`, `item_index` int, `rating` float).

    If `ratings` has the column REAL, users without any real pair are numbered after the others: Spark draws the first
    factors of users in the order of their numbers, so that the others start from the same factors with and without
    virtual events, and differences between the two are no noise of the start.

    Confidence is 1 + alpha x rating. blocks: number of blocks of items, and of users above EXACT_BLOCKS. Up to
    EXACT_BLOCKS, the same rows give the same bytes for any partitioning, executors, retries and Spark version (but on
    several executors not if `spark.default.parallelism` is set: docs/decisions/012).
    """
    exact = blocks <= EXACT_BLOCKS
    rows = (_strangers_last(ratings) if REAL in ratings.columns else ratings).select(
        "user_index", "item_index", "rating"
    )
    if exact:  # ALS sums an entity's ratings as they arrive: from one task they arrive in order
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
        numUserBlocks=1 if exact else blocks,
        numItemBlocks=blocks,
        intermediateStorageLevel="MEMORY_AND_DISK",
        finalStorageLevel="MEMORY_AND_DISK",
    )
    model = als.fit(rows)
    return Factors(
        model.userFactors.select(F.pmod("id", F.lit(STRANGERS)).alias("user_index"), F.col("features").alias("vector")),
        model.itemFactors.select(F.col("id").alias("item_index"), F.col("features").alias("vector")),
    )


def _strangers_last(ratings: DataFrame) -> DataFrame:
    known = F.max(REAL).over(Window.partitionBy("user_index"))
    moved = F.when(known, F.col("user_index")).otherwise(F.col("user_index") + STRANGERS)
    return ratings.withColumn("user_index", moved)


def blocks_for(rows: int) -> int:
    """Return the number of ALS blocks of users and of items for `rows` events or pairs.

    It depends on the data only: ALS's random start depends on the blocks, so that a number that depended on the cluster
    would give other factors on more or fewer executors. Up to EXACT_EVENTS it is EXACT_BLOCKS; above, it grows with the
    square root of `rows`: each factor is sent to every block, so that with blocks in proportion to the events the
    traffic would grow with their square.
    """
    return EXACT_BLOCKS if rows <= EXACT_EVENTS else math.ceil(BLOCKS_PER_ROOT * math.sqrt(rows / 1e6))
