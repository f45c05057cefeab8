"""The tables that training streams: scalar columns only, no nulls, shuffled, in row groups that can be sharded.

A behaviour feed has one row per entity and draw of positives: the entity's encoded attributes, its factor, its
activity, and `positives` indices of the other side that it interacted with (-1 if it has fewer). At most `positives x
max_rows` interactions of an entity are used, drawn by a hash, so that the cost of a best seller is bounded
(docs/decisions/004-behaviour-feed.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from synthspark.sides import Side

EMPTY = -1
"""Value of a positive column without a positive."""
FEW_ROWS = 64
"""Mean rows per partition below which rows are dealt out in turn instead of by a hash."""


def factor_columns(rank: int) -> list[str]:
    """Return the names of the columns of a factor."""
    return [f"factor_{i:02d}" for i in range(rank)]


def factors_in(columns: Sequence[str]) -> list[str]:
    """Return the columns of factors among `columns`, in their order."""
    return [c for c in columns if c.startswith("factor_")]


def positive_columns(count: int) -> list[str]:
    """Return the names of the columns of positives."""
    return [f"positive_{i:02d}" for i in range(count)]


def factor_table(factors: DataFrame, activity: DataFrame, side: Side, rank: int) -> DataFrame:
    """Return a side's factors as scalar columns: its key, `index`, `factor_00` ..., and `log_popularity`.

    factors: index and `vector`; activity: key, index and `breadth`. log_popularity is log(n / mean n), 0 for an entity
    of average activity.
    """
    mean = F.broadcast(activity.agg(F.avg("breadth").alias("_mean")))
    columns = [F.element_at("vector", i + 1).alias(name) for i, name in enumerate(factor_columns(rank))]
    popularity = F.log(F.col("breadth") / F.col("_mean")).cast("float").alias("log_popularity")
    joined = factors.join(activity, on=side.index, how="inner").crossJoin(mean)
    return joined.select(side.key, F.col(side.index).alias("index"), *columns, popularity)


def behaviour_feed(
    pairs: DataFrame, entities: DataFrame, factors: DataFrame, side: Side, positives: int, max_rows: int, seed: int
) -> DataFrame:
    """Build the behaviour feed of one side.

    pairs: `user_index`, `item_index`; entities: the side's index and encoded columns; factors: its `factor_table`;
    positives: positives per row; max_rows: maximum number of rows per entity.
    """
    key, other = side.index, side.other.index
    place = F.row_number().over(Window.partitionBy(key).orderBy(F.xxhash64(F.lit(seed), other), other)) - 1
    drawn = _thinned(pairs, key, other, positives * max_rows, seed).withColumn("_place", place)
    drawn = drawn.where(F.col("_place") < positives * max_rows)
    slots = [
        F.coalesce(F.max(F.when(F.col("_place") % positives == i, F.col(other))), F.lit(EMPTY)).alias(name)
        for i, name in enumerate(positive_columns(positives))
    ]
    rows = drawn.groupBy(key, F.floor(F.col("_place") / positives).alias("_row")).agg(*slots)
    breadth = pairs.groupBy(key).agg(F.log1p(F.count(F.lit(1))).cast("float").alias("log_activity"))
    own = factors.select(F.col("index").alias(key), *factors_in(factors.columns))
    return rows.join(breadth, on=key).join(own, on=key).join(entities, on=key).drop("_row")


def spread(feed: DataFrame, files: int, rows: int, seed: int) -> DataFrame:
    """Shuffle `feed` of about `rows` rows into `files` partitions of about equal size.

    Order and partition follow a hash of the row. Few rows, which a hash would spread unevenly, are dealt out in turn,
    so that no partition is empty if there are at least `files` rows.
    """
    every = F.xxhash64(F.lit(seed), *feed.columns)
    ordered, by = feed.withColumn("_order", every), "_order"
    if rows < FEW_ROWS * files:
        turn = F.pmod(F.row_number().over(Window.orderBy("_order", *feed.columns)) - 1, F.lit(files)) + 1
        keys = F.array(*[F.lit(key) for key in _keys_of_partitions(feed.sparkSession, files)])
        ordered, by = ordered.withColumn("_file", F.element_at(keys, turn)), "_file"
    return ordered.repartition(files, by).sortWithinPartitions("_order").drop("_order", "_file")


def _keys_of_partitions(spark: SparkSession, partitions: int) -> list[int]:
    """Return for each partition a number that Spark hashes into it."""
    partition = F.pmod(F.hash(F.col("id").cast("int")), F.lit(partitions)).alias("partition")
    found = {row["partition"]: row["id"] for row in spark.range(32 * partitions).select("id", partition).collect()}
    assert len(found) == partitions, f"only {len(found)} of {partitions} partitions have a number"
    return [found[partition] for partition in range(partitions)]


def _thinned(pairs: DataFrame, key: str, other: str, wanted: int, seed: int) -> DataFrame:
    """Drop most pairs of entities with far more than `wanted` before sorting, so that no partition is too large."""
    size = pairs.groupBy(key).agg(F.count(F.lit(1)).alias("_size"))
    chance = F.pmod(F.xxhash64(F.lit(seed + 1), key, other), F.lit(1_000_000)) / 1_000_000.0
    joined = pairs.select(key, other).join(size, on=key)
    return joined.where((F.col("_size") <= 4 * wanted) | (chance < 4.0 * wanted / F.col("_size"))).drop("_size")
