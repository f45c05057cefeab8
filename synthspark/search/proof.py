"""Evaluate whether virtual clicks improve a search: arms, each with the rankers that serve it, on slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.coldstart.spaces import Place, als_settings
from synthspark.config import SearchControl
from synthspark.indexing import uniform, with_index
from synthspark.ranking.measures import SliceResult, measure, questions, rank_items
from synthspark.ranking.split import COLD, Slice, Split
from synthspark.recommend import blocks_for, fit_als, rating, with_virtual
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.search.learn import Learned, Texts, best_of, learn, proposed, virtual_answers, virtual_clicks
from synthspark.search.log import SearchLog
from synthspark.search.protocols import Held, queries_of
from synthspark.search.rankers import by_both, by_table, by_words
from synthspark.search.translation import clicked_terms, with_field
from synthspark.search.writing import judged_texts, train_writer, written_queries

BM25, REAL, PRODUCT = "bm25", "real", "real+synthetic"
WORDS, ALS, TABLE, HYBRID = "words", "als", "table", "hybrid"
"""Rankers that serve an arm."""
REAL_FIELD_WEIGHT = 0.3
"""Weight of a field of real clicks relative to the title."""
ALS_RANK, ALS_ALPHA = 96, 20.0
"""ALS settings for queries, which have few clicks: higher rank and confidence than for users."""
ALS_WEIGHT = 2.0
"""Weight for ALS of an item's most probable virtual click, in real clicks."""

Results = dict[str, dict[str, SliceResult]]
"""Name of arm and ranker (`called`) -> slice -> result."""


def called(arm: str, through: str) -> str:
    """Return the name of an arm served by a ranker in metrics.json."""
    return f"{arm} by {through}"


def judge_search(
    context: Context, staged: Publication, texts: Texts, log: SearchLog, held: Held, name: str
) -> tuple[Results, dict[str, Any]]:
    """Evaluate every arm on every slice of a split; also return metrics of the fold and of the virtual clicks.

    name: name of its folders.
    """
    learned = learn(context, staged, texts, queries_of(held.split.train), name)
    trial = Trial(context, staged, held.split, held.every(), learned)
    results = dict(trial.arms())
    return results, {**learned.about, **trial.placed, **_written(context, staged, log, trial, name)}


def _written(context: Context, staged: Publication, log: SearchLog, trial: Trial, name: str) -> dict[str, Any]:
    """Evaluate queries written for the new items by a writer that has not seen their clicks."""
    if not context.config.search.queries_per_item or trial.cold_items.isEmpty():
        return {}
    work = f"{context.checkpoints()}/{name}-writer"
    writer = train_writer(context, Place.scratch(staged, f"{name}-writer"), log, trial.clicks, work)
    if writer is None:
        return {}
    titled = log.items.where(F.col("text").isNotNull()).select("item_index", "text")
    items = staged.keep("cold_titles", titled.join(trial.cold_items, on="item_index", how="left_semi"))
    texts = written_queries(context, writer, trial.learned, log, items, staged.keep)
    found = judged_texts(context, log, texts, queries_of(trial.split.test), staged.keep)
    return {} if found is None else {"queries written for new items": found}


class Virtual(NamedTuple):
    """Virtual clicks, each `query_index`, `item_index`, `probability`."""

    clicks: DataFrame
    """Clicks of new items; used in the click table and in the items' fields."""
    answers: DataFrame
    """Clicks of queries without real clicks; used in the click table only."""


class Trial:
    """The arms of one split."""

    def __init__(
        self, context: Context, staged: Publication, split: Split, slices: Mapping[str, Slice], learned: Learned
    ) -> None:
        self.context, self.staged, self.split, self.learned = context, staged, split, learned
        self.corpus, self.k = learned.texts.corpus, max(context.config.evaluate.ks)
        asked = questions(split, slices)
        self.asked = asked._replace(truth=staged.keep("truth", asked.truth))
        self.clicks = queries_of(split.train)
        self.cold_items = split.items.where(F.col("role") == COLD).select("item_index")
        self.cold_queries = split.users.where(F.col("role") == COLD).select(F.col("user_index").alias("query_index"))
        self.placed: dict[str, Any] = {}

    def arms(self) -> Iterator[tuple[str, dict[str, SliceResult]]]:
        """Yield the name of each arm and ranker, and its results."""
        titles = with_field(self.corpus)
        yield called(BM25, WORDS), self._measured(by_words(self.split, self.corpus, titles, self.k))
        real = self.clicks.withColumn("weight", F.lit(1.0))
        field = with_field(self.corpus, clicked_terms(self.corpus, real), weight=REAL_FIELD_WEIGHT)
        yield called(REAL, WORDS), self._measured(by_words(self.split, self.corpus, field, self.k))
        yield called(REAL, ALS), self._by_als(None)
        translated = self.staged.keep("translated", self.learned.field())
        yield called("translation", WORDS), self._measured(by_words(self.split, self.corpus, translated, self.k))
        for arm, virtual in self._virtual(translated):
            yield from self._served(arm, virtual)

    def _virtual(self, translated: DataFrame) -> Iterator[tuple[str, Virtual]]:
        """Yield the arms with virtual clicks."""
        config = self.context.config.search
        found = proposed(self.staged, self.learned.texts, self.learned.fitted, self.cold_items)
        clicks = self.staged.keep("clicks_of_new", virtual_clicks(self.learned, found, config.clicks_per_item))
        answers = virtual_answers(self.staged, self.learned, self.cold_queries, translated, config.answers_per_query)
        answers = self.staged.keep("answers_of_new", answers)
        self._tell("items", "item_index", clicks, self.cold_items)
        self._tell("queries", "query_index", answers, self.cold_queries)
        yield PRODUCT, Virtual(clicks, answers)
        for arm in config.controls:
            yield arm, Virtual(self.staged.keep(arm, self._control(arm, clicks, found.neighbours)), answers)

    def _control(self, arm: SearchControl, clicks: DataFrame, alike: DataFrame) -> DataFrame:
        if arm == "knn":
            return self._knn(alike)
        return self._permuted(clicks) if arm == "permuted" else self._random(clicks)

    def _served(self, arm: str, virtual: Virtual) -> Iterator[tuple[str, dict[str, SliceResult]]]:
        field = self.staged.keep("field", self.learned.field(virtual.clicks))
        words = self.staged.keep("words", by_words(self.split, self.corpus, field, self.k))
        every = virtual.clicks.unionByName(virtual.answers)
        table = every.withColumnsRenamed({"query_index": "user_index", "probability": "score"})
        yield called(arm, HYBRID), self._measured(by_both(self.split, self.corpus, field, words, table, self.k))
        yield called(arm, ALS), self._by_als(every)
        if arm == PRODUCT:
            yield called(arm, WORDS), self._measured(words)
            yield called(arm, TABLE), self._measured(by_table(self.split, table, self.k))

    def _measured(self, lists: DataFrame) -> dict[str, SliceResult]:
        with self.staged.scope():
            return measure(self.asked, self.staged.keep("lists", lists), self.context.config.evaluate.ks)

    def _by_als(self, virtual: DataFrame | None) -> dict[str, SliceResult]:
        ratings = self.split.train.withColumn("rating", rating(F.lit(1.0), 1.0)).select(
            "user_index", "item_index", "rating"
        )
        if virtual is not None:
            ratings = with_virtual(ratings, for_als(virtual).withColumnRenamed("query_index", "user_index"))
        with self.staged.scope():
            ratings = self.staged.keep("ratings", ratings)
            settings = replace(als_settings(self.context), rank=ALS_RANK, alpha=ALS_ALPHA)
            factors = fit_als(ratings, settings, blocks_for(ratings.count()))
            return self._measured(rank_items(self.split, factors.users, factors.items, self.k))

    def _knn(self, alike: DataFrame) -> DataFrame:
        """Return clicks of the queries of similar items, with the same limit. alike: `Candidates.neighbours`."""
        most = F.max("alike").over(Window.partitionBy("item_index"))
        scored = alike.select("query_index", "item_index", (F.col("alike") / most).alias("probability"))
        return best_of(scored, "item_index", "query_index", self.context.config.search.clicks_per_item)

    def _permuted(self, product: DataFrame) -> DataFrame:
        """Assign to every new item the clicks of another new item."""
        items = with_index(product.select("item_index").distinct(), "item_index", "n")
        size = F.broadcast(items.agg(F.count(F.lit(1)).alias("size")))
        next_one = ((F.col("n") + 1) % F.col("size")).alias("n")
        shifted = items.crossJoin(size).select(F.col("item_index").alias("other"), next_one)
        turned = items.join(shifted, on="n", how="inner").drop("n")
        joined = product.join(turned, on="item_index", how="inner").drop("item_index")
        return joined.select("query_index", F.col("other").alias("item_index"), "probability")

    def _random(self, product: DataFrame) -> DataFrame:
        """Replace the query of every click by a random one."""
        known = with_index(self.clicks.select("query_index").distinct(), "query_index", "n")
        size = F.broadcast(known.agg(F.count(F.lit(1)).alias("size")))
        draw = F.floor(uniform(F.lit("random"), "query_index", "item_index") * F.col("size"))
        asked = product.crossJoin(size).select("item_index", "probability", draw.cast("int").alias("n"))
        drawn = asked.join(known, on="n", how="inner")
        return drawn.groupBy("query_index", "item_index").agg(F.max("probability").alias("probability"))

    def _tell(self, what: str, key: str, placed: DataFrame, asked: DataFrame) -> None:
        """Record number, recall and precision of virtual clicks against the held-out clicks of new items or queries."""
        true = queries_of(self.split.test).join(asked, on=key, how="left_semi")
        if key == "item_index":  # queries without clicks have virtual clicks of their own
            true = true.join(self.clicks.select("query_index").distinct(), on="query_index", how="left_semi")
        sums = placed.agg(F.count(F.lit(1)).alias("n"), F.sum("probability").alias("p"),
                          F.count_distinct(key).alias("entities")).collect()[0]  # fmt: skip
        if not sums["n"]:
            return
        hit = placed.join(true, on=["query_index", "item_index"], how="inner")
        hits = hit.agg(F.count(F.lit(1)).alias("n"), F.sum("probability").alias("p")).collect()[0]
        self.placed[f"virtual clicks of new {what}"] = {
            "clicks": int(sums["n"]), what: int(sums["entities"]), "recall": round(hits["n"] / max(true.count(), 1), 4),
            "weighted precision": round((hits["p"] or 0.0) / sums["p"], 4),
        }  # fmt: skip


def for_als(virtual: DataFrame) -> DataFrame:
    """Return `query_index`, `item_index`, `weight`: ALS_WEIGHT for an item's best click, others in proportion."""
    most = F.max("probability").over(Window.partitionBy("item_index"))
    return virtual.select("query_index", "item_index", (ALS_WEIGHT * F.col("probability") / most).alias("weight"))
