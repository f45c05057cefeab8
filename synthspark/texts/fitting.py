"""Fit and apply the pieces of a table's texts and sets in Spark."""

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
"""Maximum size of a vocabulary, in pieces; the network's last layer has this width."""
MAX_LENGTH = 48
"""Maximum number of pieces per text; longer texts are truncated."""
USUAL = 0.99
"""Share of the rows whose texts are not truncated, unless MAX_LENGTH is reached."""


def fit(df: DataFrame, kinds: Mapping[str, str], min_count: int) -> tuple[TextEncoding, dict[str, str]]:
    """Fit the vocabularies of the texts and sets in `kinds` (attribute -> kind).

    Returns (encoding, attribute that is left out -> reason). Pieces in fewer than `min_count` rows are not part of a
    vocabulary and never written.
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
    """Add int columns with the pieces of each row to `df`."""
    encoder = encoding.encoder()

    def rows(*values: pd.Series) -> pd.Series:
        return pd.Series([encoder(row) for row in zip(*map(objects, values), strict=True)], index=values[0].index)

    as_udf: Any = pandas_udf
    texts = [F.col(quoted(text.name)) for text in encoding.texts]
    df = df.withColumn("_pieces", as_udf(rows, "array<int>")(*texts))
    return df.withColumns({c: F.col("_pieces")[i] for i, c in enumerate(encoding.columns)}).drop("_pieces")


def rare(df: DataFrame, name: str, min_count: int) -> DataFrame:
    """Return `text`: values of an attribute, normalised by `comparable`, that fewer than `min_count` rows have."""
    known = df.select(comparably(name).alias("text")).where(F.col("text").isNotNull())
    return known.groupBy("text").count().where(F.col("count") < min_count).select("text")


def first_common_value(
    drawn: DataFrame, real: DataFrame, index: str, name: str, order: str, min_count: int
) -> DataFrame:
    """Return `index`, `name`: for each index the first drawn value that is not `rare` in `real`; no row if all are.

    drawn: `index`, `name` and the int column `order`, several rows per index.
    """
    own = drawn.select(index, F.col(quoted(name)).alias("value"), F.col(order).alias("order"))
    free = own.withColumn("text", comparably("value")).join(rare(real, name, min_count), on="text", how="left_anti")
    return free.groupBy(index).agg(F.min_by("value", "order").alias(name))


def comparably(name: str) -> Column:
    """Return the column `name` normalised by `comparable`."""
    return of_each(comparable, F.col(quoted(name)), "string")
