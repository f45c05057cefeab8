"""Publication of what a run has learned from searches: virtual clicks, queries, an index and ready results."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark import schemas
from synthspark.ranking.split import WARM, Split
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import (
    EXPANSIONS,
    SEARCH_INDEX,
    SEARCH_RESULTS,
    SYNTHETIC_QUERIES,
    SYNTHETIC_SEARCHES,
    model_folder,
)
from synthspark.search.corpus import words_of_terms
from synthspark.search.learn import Learned, proposed, virtual_answers, virtual_clicks
from synthspark.search.log import SearchLog
from synthspark.search.of_run import load
from synthspark.search.proof import for_als
from synthspark.search.rankers import by_both, by_words, certainty
from synthspark.search.writing import NAME as WRITER
from synthspark.search.writing import load_writer, written_queries


def publish_search(context: Context, staged: Publication, report: StageReport) -> None:
    """Stage synthetic/searches, expansions, search_index and further search tables if the run learned from searches."""
    with staged.scope():
        found = load(context, staged)
        if found is None:
            return
        log, learned = found
        public = staged.keep("public", _public(context, log))
        virtual = staged.keep("virtual", _virtual(context, staged, log, learned))
        shown = staged.keep("shown", virtual.join(public, on="query_index", how="inner"))
        staged.write(SYNTHETIC_SEARCHES, _named(log, shown))
        terms = staged.keep("terms", _public_terms(learned, public))
        words = staged.keep("spelt", _words(context, log, public))
        expansion = staged.keep("expanded", _expansions(log, learned, shown, terms.join(words, on="term", how="left")))
        staged.write(EXPANSIONS, expansion)
        staged.write_lines(f"{EXPANSIONS.name}_ndjson", expansion)
        field = staged.keep("field", learned.field(shown))
        staged.write(SEARCH_INDEX, _index(log, learned, field, terms))
        staged.write(SEARCH_RESULTS, _results(context, staged, log, learned, field, shown))
        _publish_queries(context, staged, log, learned, report)
        counts = staged.read(SYNTHETIC_SEARCHES).groupBy("origin").agg(
            F.count(F.lit(1)).alias("clicks"), F.count_distinct("query").alias("queries"),
            F.count_distinct("item_id").alias("items"),
        )  # fmt: skip
        for row in counts.orderBy("origin").collect():
            report.tables[f"virtual clicks of origin {row['origin']}"] = {
                k: row[k] for k in ("clicks", "queries", "items")
            }
        hidden = virtual.count() - shown.count()
        if hidden:
            report.notes.append(f"{hidden:,} virtual clicks are not published: fewer than search.min_query_users "
                                f"({context.config.search.min_query_users}) users typed their query")  # fmt: skip


def _publish_queries(
    context: Context, staged: Publication, log: SearchLog, learned: Learned, report: StageReport
) -> None:
    """Stage synthetic/queries, if the run has a writer."""
    meta = context.model_meta(WRITER)
    if meta is None:
        return
    writer = load_writer(context.url(model_folder(WRITER)), meta)
    items = staged.keep("titles", log.items.where(F.col("text").isNotNull()).select("item_index", "text")
                        .join(learned.fitted.clicks, on="item_index", how="left_anti"))  # fmt: skip
    texts = staged.keep("texts", written_queries(context, writer, learned, log, items, staged.keep))
    named = texts.join(log.items.select("item_index", "item_id"), on="item_index", how="inner")
    rows = staged.write(SYNTHETIC_QUERIES, named.select("item_id", "query", "probability", "log_likelihood"))
    report.tables["queries written for new items"] = {
        "texts": rows, "items": texts.select("item_index").distinct().count()
    }  # fmt: skip


def _virtual(context: Context, staged: Publication, log: SearchLog, learned: Learned) -> DataFrame:
    """Return `query_index`, `item_index`, `probability`, `origin` of all virtual clicks."""
    config = context.config.search
    clicked = log.clicks.select("item_index").distinct()
    titled = log.items.where(F.col("text").isNotNull()).select("item_index")
    new = staged.keep("new", titled.join(clicked, on="item_index", how="left_anti"))
    answered = log.clicks.select("query_index").distinct()
    asked = log.queries.select("query_index").join(answered, on="query_index", how="left_anti")
    asked = staged.keep("unanswered", asked)
    translated = staged.keep("translated", learned.field())
    found = proposed(staged, learned.texts, learned.fitted, new)
    items = virtual_clicks(learned, found, config.clicks_per_item)
    queries = virtual_answers(staged, learned, asked, translated, config.answers_per_query)
    return items.withColumn("origin", F.lit("cold_item")).unionByName(queries.withColumn("origin", F.lit("cold_query")))


def _public(context: Context, log: SearchLog) -> DataFrame:
    """Return `query_index`, `query` of queries typed by at least search.min_query_users users, hence not personal."""
    least = context.config.search.min_query_users
    return log.queries.where(F.col("users") >= least).select("query_index", "query")


def _public_terms(learned: Learned, public: DataFrame) -> DataFrame:
    """Return `term_index`, `term`, `idf` of the terms in titles and public queries."""
    corpus = learned.texts.corpus
    asked = corpus.queries.join(public, on="query_index", how="left_semi").select("term_index")
    known = corpus.items.select("term_index").unionByName(asked).distinct()
    return corpus.lexicon.select("term_index", "term", "idf").join(known, on="term_index", how="left_semi")


def _words(context: Context, log: SearchLog, public: DataFrame) -> DataFrame:
    """Return `term`, `word`: how titles and public queries spell a term."""
    texts = log.items.select("text").unionByName(public.select(F.col("query").alias("text")))
    return words_of_terms(texts.where(F.col("text").isNotNull()), "text", context.config.search.language)


def _named(log: SearchLog, shown: DataFrame) -> DataFrame:
    rows = shown.join(for_als(shown), on=["query_index", "item_index"], how="inner")
    rows = rows.join(log.items.select("item_index", "item_id"), on="item_index", how="inner")
    return schemas.to_schema(rows.withColumn("source", F.lit("judge")), schemas.SYNTHETIC_SEARCHES,
                           SYNTHETIC_SEARCHES.name)  # fmt: skip


def _expansions(log: SearchLog, learned: Learned, shown: DataFrame, terms: DataFrame) -> DataFrame:
    """Return `item_id`, `terms`, `queries`: weighted terms and queries to index an item by in addition to its title.

    terms: `term_index`, `term`, `word` of what may be published.
    """
    translated = learned.fitted.expansion.join(terms, on="term_index", how="inner")
    pair = F.struct(F.round("tf", 4).alias("weight"), "term", "word")
    listed = translated.groupBy("item_index").agg(F.sort_array(F.collect_list(pair), asc=False).alias("terms"))
    query = F.struct(F.round("probability", 4).alias("weight"), "query")
    queries = shown.groupBy("item_index").agg(F.sort_array(F.collect_list(query), asc=False).alias("queries"))
    both = listed.join(queries, on="item_index", how="full")
    named = both.join(log.items.select("item_index", "item_id"), on="item_index", how="inner")
    return named.select("item_id", "terms", "queries")


def _index(log: SearchLog, learned: Learned, field: DataFrame, terms: DataFrame) -> DataFrame:
    """Return the inverted index `item_id`, `term`, `weight`, `title`, `idf`. title: weight by the title alone."""
    title = learned.texts.corpus.items.select("item_index", "term_index", F.col("weight").alias("title"))
    both = field.join(title, on=["item_index", "term_index"], how="left").fillna(0.0, ["title"])
    named = both.join(terms, on="term_index", how="inner")
    named = named.join(log.items.select("item_index", "item_id"), on="item_index", how="inner")
    return named.select("item_id", "term", "weight", "title", "idf")


def _results(
    context: Context, staged: Publication, log: SearchLog, learned: Learned, field: DataFrame, shown: DataFrame
) -> DataFrame:
    """Return `query`, `item_id`, `rank`, `score`: best items per public query, by words, real and virtual clicks."""
    k, public = context.config.recommend.k, _public(context, log)
    asked = public.select(F.col("query_index").alias("user_index"), F.lit(None).cast("int").alias("item_index"))
    roles = log.items.select("item_index", F.lit(WARM).alias("role"))
    split = Split(asked.limit(0), asked, asked.select("user_index", F.lit(WARM).alias("role")), roles)
    real = log.clicks.join(public, on="query_index", how="left_semi")
    real = real.select("query_index", "item_index", certainty(F.col("clicks")).alias("score"))
    both = real.unionByName(shown.select("query_index", "item_index", F.col("probability").alias("score")))
    table = both.groupBy(F.col("query_index").alias("user_index"), "item_index").agg(F.max("score").alias("score"))
    words = staged.keep("words", by_words(split, learned.texts.corpus, field, k))
    lists = by_both(split, learned.texts.corpus, field, words, staged.keep("table", table), k)
    named = lists.join(public.withColumnRenamed("query_index", "user_index"), on="user_index", how="inner")
    named = named.join(log.items.select("item_index", "item_id"), on="item_index", how="inner")
    return named.select("query", "item_id", "rank", "score")
