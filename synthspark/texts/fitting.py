"""The pieces of a table's texts and sets, fitted and applied in Spark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

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
        taken = df.select(_udf(kind)(F.col(quoted(name))).alias("pieces")).where(F.size("pieces") > 0)
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
        return pd.Series([encoder(row) for row in zip(*values, strict=True)], index=values[0].index)

    as_udf: Any = pandas_udf
    texts = [F.col(quoted(text.name)) for text in encoding.texts]
    df = df.withColumn("_pieces", as_udf(rows, "array<int>")(*texts))
    return df.withColumns({c: F.col("_pieces")[i] for i, c in enumerate(encoding.columns)}).drop("_pieces")


def rare(df: DataFrame, name: str, min_count: int) -> DataFrame:
    """`text`: what fewer than `min_count` rows have in an attribute, as `comparable` sees it."""
    known = df.select(comparably(name).alias("text")).where(F.col("text").isNotNull())
    return known.groupBy("text").count().where(F.col("count") < min_count).select("text")


def comparably(name: str) -> Any:
    """The column `name` as `comparable` sees it."""

    def all_of(values: pd.Series) -> pd.Series:
        return values.map(comparable, na_action=None)

    as_udf: Any = pandas_udf
    return as_udf(all_of, "string")(F.col(quoted(name)))


def _udf(kind: str) -> Any:
    def all_of(values: pd.Series) -> pd.Series:
        return values.map(lambda value: pieces_of(kind, value), na_action=None)

    as_udf: Any = pandas_udf
    return as_udf(all_of, "array<string>")
