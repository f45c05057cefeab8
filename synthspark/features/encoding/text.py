"""Text as hashed word n-grams (Weinberger et al. 2009, arXiv:0902.2206): similar texts get similar columns.

Nothing is fitted, and nothing can be decoded: synthetic rows have no text.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import partial

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.schemas import quoted


@dataclass(frozen=True)
class TextEncoder:
    """One float column per bucket."""

    name: str
    columns: tuple[str, ...]


def buckets(text: Column, count: int) -> Column:
    """The buckets of the words and of the pairs of neighbouring words, as an array of int."""
    words = F.filter(F.split(F.lower(text), r"[^\p{L}\p{N}]+"), lambda w: w != "")
    pairs = F.zip_with(
        words, F.slice(words, 2, F.greatest(F.size(words) - 1, F.lit(0))), lambda a, b: F.concat_ws(" ", a, b)
    )
    grams = F.concat(words, F.filter(pairs, lambda p: p.contains(" ")))
    return F.transform(grams, lambda g: F.pmod(F.xxhash64(g), F.lit(count)).cast("int"))


def encode(df: DataFrame, encoder: TextEncoder) -> DataFrame:
    """`df` with one column per bucket: sqrt of its share of the text's n-grams, so a row has length 1; 0 if missing."""
    count = len(encoder.columns)
    df = df.withColumn("_buckets", buckets(F.col(quoted(encoder.name)), count))
    grams = F.when(F.size("_buckets") > 0, F.size("_buckets"))
    for place, column in enumerate(encoder.columns):
        found = F.size(F.filter("_buckets", partial(operator.eq, place)))
        df = df.withColumn(column, F.coalesce(F.sqrt(found / grams), F.lit(0.0)).cast("float"))
    return df.drop("_buckets")
