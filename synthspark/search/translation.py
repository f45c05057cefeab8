"""Translate title terms to query terms by counting clicks, and add these terms to the items' fields.

Translation model: Berger, Lafferty 1999, doi:10.1145/312624.312681.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.search.corpus import Corpus, bm25, exact_sum, heaviest

MIN_CLICKS = 3
"""Minimum number of clicks with both terms for a translation."""
PRIOR_CLICKS, LIFT_PRIOR = 10.0, 5.0
"""Pseudo-counts of clicks that shrink P(query term | title term) and the lift."""
MIN_LOG_LIFT, MAX_LOG_LIFT = 0.3, 6.0
"""Smallest log lift of a translation, and the bound to which larger ones are cut."""
MAX_TRANSLATIONS = 50
"""Maximum number of query terms per title term."""
EXPANSION_TERMS = 25
"""Maximum number of translated terms per item."""
MAX_FIELD_TERMS = 512
"""Maximum number of terms per item, title and field together; all packed vectors are as long as the longest, and best
sellers are clicked for almost any query."""
FIELD_B = 0.3
"""BM25's length parameter b for the field of expansions."""
FIELD_WEIGHT = 0.6
"""Weight of the field relative to the title."""


CLICK_TF = 0.3
"""Term frequency that a real click adds to the terms of its query, relative to translations. At 1, items without clicks
disappear behind items with clicks; at 0, known items lose as much (docs/search.md)."""


def translations(clicks: DataFrame, corpus: Corpus) -> DataFrame:
    """Return `title_term`, `term_index`, `value`: strength of the translation of a title term to a query term.

    value = P(query term | title term), shrunken, times the logarithm of its lift, bounded.
    """
    titles = corpus.items.select("item_index", F.col("term_index").alias("title_term"))
    queries = corpus.queries.select("query_index", "term_index")
    pairs = clicks.select("query_index", "item_index")
    by_title = (
        pairs.join(titles, on="item_index", how="inner")
        .groupBy("title_term")
        .agg(F.count(F.lit(1)).alias("with_title"))
    )
    by_query = (
        pairs.join(queries, on="query_index", how="inner")
        .groupBy("term_index")
        .agg(F.count(F.lit(1)).alias("with_query"))
    )
    total = F.broadcast(pairs.agg(F.count(F.lit(1)).alias("total")))
    met = pairs.join(titles, on="item_index", how="inner").join(queries, on="query_index", how="inner")
    counted = met.groupBy("title_term", "term_index").agg(F.count(F.lit(1)).alias("both"))
    counted = counted.where(F.col("both") >= MIN_CLICKS)
    known = counted.join(by_title, on="title_term", how="inner").join(by_query, on="term_index", how="inner")
    lift = F.log(F.col("both") / (F.col("with_title") + LIFT_PRIOR) / (F.col("with_query") / F.col("total")))
    share = F.col("both") / (F.col("with_title") + PRIOR_CLICKS)
    valued = known.crossJoin(total).withColumn("lift", lift).where(F.col("lift") > MIN_LOG_LIFT)
    value = share * F.least("lift", F.lit(MAX_LOG_LIFT))
    found = valued.select("title_term", "term_index", value.alias("value"))
    return heaviest(found, "title_term", MAX_TRANSLATIONS, "value")


def expansions(corpus: Corpus, learned: DataFrame) -> DataFrame:
    """Return `item_index`, `term_index`, `tf` double: the strongest of the translations `learned` of each title."""
    titles = corpus.items.select("item_index", F.col("term_index").alias("title_term"))
    summed = (
        titles.join(learned, on="title_term", how="inner")
        .groupBy("item_index", "term_index")
        .agg(exact_sum(F.col("value")).alias("tf"))
    )
    return heaviest(summed, "item_index", EXPANSION_TERMS, "tf")


def clicked_terms(corpus: Corpus, clicks: DataFrame) -> DataFrame:
    """Return `item_index`, `term_index`, `tf`: terms of the queries clicked for each item. clicks: with a `weight`."""
    queries = corpus.queries.select("query_index", "term_index")
    met = clicks.join(queries, on="query_index", how="inner")
    return met.groupBy("item_index", "term_index").agg(exact_sum(F.col("weight")).alias("tf"))


def real_terms(corpus: Corpus, clicks: DataFrame) -> DataFrame:
    """Return `item_index`, `term_index`, `tf`: terms of the queries of each item's real clicks."""
    return clicked_terms(corpus, clicks.select("query_index", "item_index").withColumn("weight", F.lit(CLICK_TF)))


def with_field(corpus: Corpus, *fields: DataFrame, weight: float = FIELD_WEIGHT) -> DataFrame:
    """Return `item_index`, `term_index`, `weight`: BM25 of the titles plus BM25 of a field with the terms `fields`."""
    titles = corpus.items.select("item_index", "term_index", "weight")
    if not fields:
        return titles
    added = reduce(DataFrame.unionByName, fields)
    field = added.groupBy("item_index", "term_index").agg(exact_sum(F.col("tf")).alias("tf"))
    length = field.groupBy("item_index").agg(exact_sum(F.col("tf")).alias("length"))
    idf = corpus.lexicon.select("term_index", "idf")
    known = field.join(length, on="item_index", how="inner").join(idf, on="term_index", how="inner")
    scored = bm25(known, FIELD_B).withColumn("weight", F.col("weight") * weight)
    both = titles.unionByName(scored.select("item_index", "term_index", "weight"))
    whole = both.groupBy("item_index", "term_index").agg(exact_sum(F.col("weight")).alias("weight"))
    return heaviest(whole, "item_index", MAX_FIELD_TERMS, "weight")
