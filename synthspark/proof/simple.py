"""Preference vectors from content neighbours, which the generator must beat."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def knn_vectors(near: DataFrame, vectors: DataFrame, key: str) -> DataFrame:
    """`key`, `vector`: the mean of the neighbours' vectors, weighed by similarity.

    near: of `neighbours`; vectors: `key`, `vector`. Who has no neighbour gets no vector.
    """
    known = near.join(vectors.withColumnRenamed(key, "neighbour"), on="neighbour", how="inner")
    terms = F.transform("vector", lambda x: x * F.col("similarity"))
    listed = known.select(key, "neighbour", "similarity", terms.alias("terms")).groupBy(key).agg(
        F.sort_array(F.collect_list(F.struct("neighbour", "similarity", "terms"))).alias("near"))  # fmt: skip
    empty = F.transform(F.element_at("near", 1)["terms"], lambda _: F.lit(0.0))
    total = F.aggregate("near", empty, lambda acc, n: F.zip_with(acc, n["terms"], lambda a, b: a + b))
    weight = F.aggregate("near", F.lit(0.0), lambda acc, n: acc + n["similarity"])
    return listed.select(key, F.transform(total, lambda x: (x / weight).cast("float")).alias("vector"))
