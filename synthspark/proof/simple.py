"""Simple methods that the product must beat: content neighbours, and one virtual user per attribute value."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.features.encoding import FIRST
from synthspark.indexing import with_index
from synthspark.judging import PairTable


def knn_vectors(near: DataFrame, vectors: DataFrame, key: str) -> DataFrame:
    """Compute the mean of the neighbours' vectors, weighted by similarity: `key`, `vector`.

    near: result of `neighbours`; vectors: `key`, `vector`. Entities without a neighbour get no vector.
    """
    known = near.join(vectors.withColumnRenamed(key, "neighbour"), on="neighbour", how="inner")
    terms = F.transform("vector", lambda x: x * F.col("similarity"))
    listed = known.select(key, "neighbour", "similarity", terms.alias("terms")).groupBy(key).agg(
        F.sort_array(F.collect_list(F.struct("neighbour", "similarity", "terms"))).alias("near"))  # fmt: skip
    empty = F.transform(F.element_at("near", 1)["terms"], lambda _: F.lit(0.0))
    total = F.aggregate("near", empty, lambda acc, n: F.zip_with(acc, n["terms"], lambda a, b: a + b))
    weight = F.aggregate("near", F.lit(0.0), lambda acc, n: acc + n["similarity"])
    return listed.select(key, F.transform(total, lambda x: (x / weight).cast("float")).alias("vector"))


def attribute_pairs(items: DataFrame, table: PairTable, least: int, first_user: int) -> DataFrame:
    """Make one virtual user per attribute value or word, who has all items with it: `user_index`, `item_index`.

    items: `item_index` and the encoded columns; least: minimum number of items of a value, the maximum being half of
    all items; first_user: index of the first virtual user. Needs neither generator nor judge, and changes no real user.
    """
    values = [(column, FIRST, size) for column, size in zip(table.codes, table.cardinalities, strict=True)]
    values += [(column, 1, len(bag.weights)) for bag in table.bags for column in bag.columns]
    kinds = [*range(len(table.codes)), *(len(table.codes) + i for i, b in enumerate(table.bags) for _ in b.columns)]
    places = []
    for kind, (column, first, end) in zip(kinds, values, strict=True):
        value = F.when((F.col(column) >= first) & (F.col(column) < end), F.col(column))
        places.append(F.struct(F.lit(kind).alias("kind"), value.alias("value")))
    rows = items.select("item_index", F.explode(F.array(*places)).alias("v")).where("v.value is not null").distinct()
    most = items.count() // 2
    counted = rows.groupBy("v").agg(F.count(F.lit(1)).alias("n")).where(F.col("n").between(least, most))
    numbered = with_index(counted.select(F.format_string("%03d/%09d", "v.kind", "v.value").alias("id"), "v"), "id", "n")
    users = numbered.select("v", (F.col("n") + first_user).cast("int").alias("user_index"))
    return rows.join(users, on="v", how="inner").select("user_index", "item_index")
