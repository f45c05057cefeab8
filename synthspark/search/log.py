"""Convert searches to a log with indices: queries, items with their texts, and clicks."""

from __future__ import annotations

from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import with_index
from synthspark.schemas import quoted

NOBODY = "nobody"
"""User of searches without user and session; all of these count as one user per query."""


class SearchLog(NamedTuple):
    """Log of searches with dense indices of queries and items."""

    queries: DataFrame
    """`query_index` int, `query` string (normalised), `users` long: number of users who typed it."""
    items: DataFrame
    """`item_index` int, `item_id` string, `text` string (null if the item has none)."""
    clicks: DataFrame
    """`query_index`, `item_index`, `clicks` long, `since` long (microseconds of the first one; null without times)."""


def of_searches(searches: DataFrame, items: DataFrame, fields: list[str]) -> SearchLog:
    """Build the log of `clean/searches`. items: `clean/items`; fields: attributes that make up the texts, in order."""
    queries = searches.groupBy("query").agg(F.count_distinct(asker()).alias("users"))
    queries = with_index(queries, "query", "query_index").select("query_index", "query", "users")
    texts = with_index(with_texts(items, fields), "item_id", "item_index")
    counted = searches.groupBy("query", "item_id").agg(
        F.count(F.lit(1)).alias("clicks"), F.min(F.unix_micros("ts")).alias("since")
    )
    clicks = counted.join(queries, on="query", how="inner").join(texts, on="item_id", how="inner")
    return SearchLog(queries, texts.select("item_index", "item_id", "text"),
                     clicks.select("query_index", "item_index", "clicks", "since"))  # fmt: skip


def asker() -> Column:
    """Return the column that identifies who typed a query: the user, else the session, else NOBODY."""
    return F.coalesce("user_id", "session_id", F.lit(NOBODY))


def with_texts(items: DataFrame, fields: list[str]) -> DataFrame:
    """Return `item_id` and `text`: the fields joined by blanks, sets as their members; null if all are empty."""
    parts = []
    for name in fields:
        column = F.col(quoted(name))
        parts.append(F.concat_ws(" ", column) if items.schema[name].dataType.typeName() == "array" else column)
    if not parts:
        return items.select("item_id", F.lit(None).cast("string").alias("text"))
    return items.select("item_id", F.nullif(F.btrim(F.concat_ws(" ", *parts)), F.lit("")).alias("text"))
