"""The pieces of a table's texts and sets, fitted and applied in Spark."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from synthspark.frames import objects, of_each
from synthspark.schemas import quoted
from synthspark.texts.pieces import TextEncoding, WrittenText, comparable, pieces_of

MAX_PIECES = 20_000
"""Pieces of a vocabulary: the network's last layer is as large."""
MAX_LENGTH = 48
"""Pieces of a row; of longer texts the beginning is learned."""
USUAL = 0.99
"""Share of the rows that are learned whole, unless they are longer than that."""


def fit(df: DataFrame, kinds: Mapping[str, str], min_count: int) -> tuple[TextEncoding, dict[str, str]]:
    """How the texts and sets among `kinds` (attribute -> kind) are written, and why one is not.

    Pieces in fewer than `min_count` rows are never written.
    """
    texts, left_out = [], {}
    for name, kind in kinds.items():
        taken = df.select(
            of_each(partial(pieces_of, kind), F.col(quoted(name)), "array<string>").alias("pieces")
        ).where(F.size("pieces") > 0)
        counted = taken.select(F.explode(F.array_distinct("pieces")).alias("piece")).groupBy("piece").count()
        frequent = counted.where(F.col("count") >= min_count).orderBy(F.col("count").desc(), "piece").limit(MAX_PIECES)
        vocabulary = tuple(row["piece"] for row in frequent.collect())
        if not vocabulary:
            left_out[name] = f"no word or member is in {min_count} rows"
            continue
        usual = taken.agg(F.percentile_approx(F.size("pieces"), USUAL)).collect()[0][0]
        texts.append(WrittenText(name, kind, vocabulary, min(int(usual), MAX_LENGTH)))
    return TextEncoding(tuple(texts)), left_out


def encode(df: DataFrame, encoding: TextEncoding) -> DataFrame:
    """`df` with the int columns of its rows of pieces."""
    encoder = encoding.encoder()

    def rows(*values: pd.Series) -> pd.Series:
        return pd.Series([encoder(row) for row in zip(*map(objects, values), strict=True)], index=values[0].index)

    as_udf: Any = pandas_udf
    texts = [F.col(quoted(text.name)) for text in encoding.texts]
    df = df.withColumn("_pieces", as_udf(rows, "array<int>")(*texts))
    return df.withColumns({c: F.col("_pieces")[i] for i, c in enumerate(encoding.columns)}).drop("_pieces")


def rare(df: DataFrame, name: str, min_count: int) -> DataFrame:
    """`text`: what fewer than `min_count` rows have in an attribute, as `comparable` sees it."""
    known = df.select(comparably(name).alias("text")).where(F.col("text").isNotNull())
    return known.groupBy("text").count().where(F.col("count") < min_count).select("text")


def nobodys(drawn: DataFrame, real: DataFrame, index: str, name: str, order: str, min_count: int) -> DataFrame:
    """`index` and `name`: of what is drawn for a row the first that is not `rare` among the `real` ones; or no row.

    drawn: `index`, `name` and the int column `order`, several rows for each index.
    """
    own = drawn.select(index, F.col(quoted(name)).alias("value"), F.col(order).alias("order"))
    free = own.withColumn("text", comparably("value")).join(rare(real, name, min_count), on="text", how="left_anti")
    return free.groupBy(index).agg(F.min_by("value", "order").alias(name))


def comparably(name: str) -> Column:
    """The column `name` as `comparable` sees it."""
    return of_each(comparable, F.col(quoted(name)), "string")
