"""Feeds lie in files that can be shared by rank, whatever their size."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synthspark.features.feeds import spread

pytestmark = pytest.mark.spark


@pytest.mark.parametrize(("rows", "files"), [(8, 8), (9, 4), (200, 6), (3000, 4)])
def test_every_file_has_its_share_and_no_row_is_lost(spark: SparkSession, rows: int, files: int) -> None:
    def lists(partitions: int) -> list[list[int]]:
        data = spark.range(0, rows, 1, partitions).select(F.col("id").alias("n"), F.lit(1.5).alias("x"))
        return [[r.n for r in part] for part in spread(data, files, rows, 3).rdd.glom().collect()]

    found = lists(1)
    sizes = [len(part) for part in found]
    assert len(sizes) == files
    assert sorted(n for part in found for n in part) == list(range(rows))
    assert min(sizes) >= 1
    if rows < 64 * files:
        assert max(sizes) - min(sizes) <= 1
    assert lists(5) == found  # whatever the partitions before
    assert [n for part in found for n in part] != list(range(rows))
