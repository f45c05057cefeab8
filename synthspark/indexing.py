"""Dense indices 0..n-1 for ids, and draws by hash; both are the same for any partitioning."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synthspark.sides import SIDES, Side

BUCKETS = 1024
DRAWS = 1 << 40
"""Number of distinct values of a draw, all exact in a double."""


def with_index(df: DataFrame, key: str, name: str) -> DataFrame:
    """Add the int column `name` to `df` (one row per key): dense, and the same for any partitioning.

    Ids are hashed into buckets, numbered within each, and shifted by the sizes of the buckets before. So no partition
    holds all ids, as it would with a global `row_number`.
    """
    bucketed = df.withColumn("_bucket", F.pmod(F.xxhash64(key), F.lit(BUCKETS)))
    local = bucketed.withColumn("_local", F.row_number().over(Window.partitionBy("_bucket").orderBy(key)) - 1)
    sizes = bucketed.groupBy("_bucket").count()
    before = Window.orderBy("_bucket").rowsBetween(Window.unboundedPreceding, -1)
    offsets = sizes.select("_bucket", F.coalesce(F.sum("count").over(before), F.lit(0)).alias("_offset"))
    indexed = local.join(F.broadcast(offsets), on="_bucket", how="inner")
    return indexed.withColumn(name, (F.col("_offset") + F.col("_local")).cast("int")).drop(
        "_bucket", "_local", "_offset"
    )


def with_indices(rows: DataFrame, entities: Mapping[Side, DataFrame]) -> DataFrame:
    """Add `user_index` and `item_index` to `rows` (`user_id`, `item_id`); rows of unknown ids are dropped.

    entities: tables with the id and the index of each side.
    """
    for side in SIDES:
        rows = rows.join(entities[side].select(side.key, side.index), on=side.key, how="inner")
    return rows


def uniform(*parts: Column | str) -> Column:
    """Return a number in [0, 1), a hash of `parts`: columns, or literals such as a seed."""
    return F.pmod(F.xxhash64(*parts), F.lit(DRAWS)) / float(DRAWS)
