"""Answer one query from the published tables of a run and explain the score of each item, for manual trials."""

from __future__ import annotations

from typing import Any

from pyspark.sql import functions as F

from synthspark.clean.queries import normalised
from synthspark.runs.context import Context
from synthspark.runs.tables import SEARCH_INDEX, SEARCHES, SYNTHETIC_SEARCHES, clean
from synthspark.search.log import with_texts
from synthspark.search.of_run import fields_of
from synthspark.search.rankers import TABLE_WEIGHT, certainty
from synthspark.search.words import search_terms
from synthspark.sides import ITEMS


def answers(context: Context, query: str, most: int) -> list[dict[str, Any]]:
    """Return the best `most` items: `item_id`, `text`, `score` and what it is made of.

    `words` is the score by the title and `expanded` the score by other words of the item's field; `clicks` is the
    number of real clicks and `virtual` the probability of a virtual one.
    """
    terms = sorted(set(search_terms(query, context.config.search.language)))
    asked = normalised(query) or ""
    index = context.read(SEARCH_INDEX).where(F.col("term").isin(terms))
    known = index.select("term", "idf").distinct()
    information = max(sum(row["idf"] for row in known.collect()), 1e-6)
    by_words = index.groupBy("item_id").agg(
        (F.sum("weight") / information).alias("score"), (F.sum("title") / information).alias("words")
    )
    clicks = context.read(SEARCHES).where((F.col("query") == asked) & F.col("item_id").isNotNull())
    clicked = clicks.groupBy("item_id").agg(F.count(F.lit(1)).alias("clicks"))
    virtual = context.read(SYNTHETIC_SEARCHES).where(F.col("query") == asked)
    virtual = virtual.groupBy("item_id").agg(F.max("probability").alias("virtual"))
    joined = by_words.join(clicked, on="item_id", how="full").join(virtual, on="item_id", how="full").fillna(0)
    told = F.greatest("virtual", certainty(F.col("clicks")))
    scored = joined.select(
        "item_id", (F.col("score") + TABLE_WEIGHT * told).alias("score"), "words",
        (F.col("score") - F.col("words")).alias("expanded"), "clicks", "virtual",
    )  # fmt: skip
    named = scored.join(with_texts(context.read(clean(ITEMS)), fields_of(context)), on="item_id", how="left")
    rows = named.orderBy(F.col("score").desc(), "item_id").limit(most).collect()
    return [row.asDict() for row in rows]
