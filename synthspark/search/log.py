"""A log of searches as the engine takes it: queries, items with their texts, and which were clicked together."""

from __future__ import annotations

from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import with_index
from synthspark.schemas import quoted

NOBODY = "nobody"
"""Stands for the user of a click of whom nothing is known: such clicks count as one user's per query."""


class SearchLog(NamedTuple):
    """Queries as `query_index`, items as `item_index`, both dense."""

    queries: DataFrame
    """`query_index` int, `query` string (normalised), `users` long who typed it."""
    items: DataFrame
    """`item_index` int, `item_id` string, `text` string (null where an item has none)."""
    clicks: DataFrame
    """`query_index`, `item_index`, `clicks` long, `since` long (microseconds of the first; null without times)."""


def of_searches(searches: DataFrame, items: DataFrame, fields: list[str]) -> SearchLog:
    """The log of `clean/searches`; items: `clean/items`, whose texts are `fields` in order."""
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
    """Who typed a query, as far as the log tells: the user, else the session."""
    return F.coalesce("user_id", "session_id", F.lit(NOBODY))


def with_texts(items: DataFrame, fields: list[str]) -> DataFrame:
    """`item_id` and `text`: the fields one after the other, of a set its members; null where there is nothing."""
    parts = []
    for name in fields:
        column = F.col(quoted(name))
        parts.append(F.concat_ws(" ", column) if items.schema[name].dataType.typeName() == "array" else column)
    if not parts:
        return items.select("item_id", F.lit(None).cast("string").alias("text"))
    return items.select("item_id", F.nullif(F.btrim(F.concat_ws(" ", *parts)), F.lit("")).alias("text"))
