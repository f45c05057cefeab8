"""Whether virtual clicks help a search: arms by what they are served through, slices, and the gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.coldstart.spaces import als_settings
from synthspark.indexing import uniform
from synthspark.ranking.measures import SliceResult, measure, questions, ranked
from synthspark.ranking.split import COLD, WARM, Shares, Slice, Split, entity_split, of_users
from synthspark.recommend import blocks_for, fit_als, rating, with_virtual
from synthspark.runs.context import Context, StageReport
from synthspark.runs.lake import Publication
from synthspark.search.candidates import similar_items_queries
from synthspark.search.learn import Learned, Texts, best_of_item, learn, virtual_answers, virtual_clicks
from synthspark.search.log import SearchLog
from synthspark.search.rankers import by_both, by_table, by_words
from synthspark.search.translation import clicked_terms, with_field

BM25, REAL, PRODUCT = "bm25", "real", "real+synthetic"
WORDS, ALS, TABLE, HYBRID = "words", "als", "table", "hybrid"
"""What an arm is served through."""
REAL_FIELD_WEIGHT = 0.3
"""What real clicks count as a field beside the title."""
ALS_WEIGHT = 2.0
"""Weight of an item's likeliest virtual click for ALS, in real ones."""

COLD_ITEM_SLICES = {
    "cold": Slice((WARM,), (COLD,)),
    "warm": Slice((WARM,), (WARM,)),
    "all": Slice((WARM,), (WARM, COLD)),
    "cold_in_all": Slice((WARM,), (COLD,), (WARM, COLD)),
    "warm_in_all": Slice((WARM,), (WARM,), (WARM, COLD)),
}
COLD_QUERY_SLICES = {
    "unseen": Slice((COLD,), (WARM,)),
    "warm": Slice((WARM,), (WARM,)),
    "all": Slice((WARM, COLD), (WARM,)),
}
Results = dict[str, dict[str, SliceResult]]
"""Arm and what it is served through -> slice -> result."""


def called(arm: str, through: str) -> str:
    """Name of an arm in metrics.json."""
    return f"{arm} by {through}"


@dataclass(frozen=True)
class SearchSplit:
    """A log without what is held out."""

    split: Split
    slices: Mapping[str, Slice]


def cold_items(context: Context, log: SearchLog, seed: int) -> SearchSplit:
    """Items that lose all clicks: half of them are judged, half are aside."""
    config = context.config.evaluate
    shares = Shares(items=config.cold_fraction, holdout=config.warm_holdout)
    return SearchSplit(_split(log, shares, config.part, seed), COLD_ITEM_SLICES)


def cold_queries(context: Context, log: SearchLog, seed: int) -> SearchSplit:
    """Queries that lose all clicks, as if nobody had typed them before."""
    config = context.config.evaluate
    shares = Shares(users=context.config.search.cold_query_fraction, holdout=config.warm_holdout)
    return SearchSplit(_split(log, shares, config.part, seed), COLD_QUERY_SLICES)


PROTOCOLS: Mapping[str, Callable[[Context, SearchLog, int], SearchSplit]] = {
    "search_cold_item": cold_items,
    "search_cold_query": cold_queries,
}


def _split(log: SearchLog, shares: Shares, part: str, seed: int) -> Split:
    pairs = log.clicks.select(F.col("query_index").alias("user_index"), "item_index", "clicks", "since")
    users = pairs.select("user_index").distinct().withColumn("eligible", F.lit(True))
    return entity_split(pairs, users, pairs.select("item_index").distinct(), shares, part, seed)


def judge_search(
    context: Context, staged: Publication, texts: Texts, log: SearchLog, protocol: str, seed: int, report: StageReport
) -> tuple[Results, dict[str, Any]]:
    """Every arm on every slice of a protocol, and what its fold and its virtual clicks were like."""
    found = PROTOCOLS[protocol](context, log, seed)
    split = Split(*[staged.keep(f"{protocol}/{name}", df) for name, df in found.split._asdict().items()])
    split = _asked(context, staged, split, protocol, report)
    learned = learn(context, staged, texts, _queries(split.train), f"{protocol}-{seed}")
    trial = Trial(context, staged, split, found.slices, learned)
    results = dict(trial.arms())
    return results, {**learned.about, **trial.placed}


def _queries(pairs: DataFrame) -> DataFrame:
    return pairs.withColumnRenamed("user_index", "query_index").select("query_index", "item_index")


def _asked(context: Context, staged: Publication, split: Split, name: str, report: StageReport) -> Split:
    most = context.config.evaluate.max_users
    asked = split.test.select("user_index").distinct().count()
    if asked <= most:
        return split
    report.notes.append(f"{name}: {most:,} of {asked:,} queries are asked (evaluate.max_users)")
    return split._replace(test=staged.keep(f"{name}/asked", of_users(split, most, context.config.seed)))


class Trial:
    """The arms of one split."""

    def __init__(
        self, context: Context, staged: Publication, split: Split, slices: Mapping[str, Slice], learned: Learned
    ) -> None:
        self.context, self.staged, self.split, self.learned = context, staged, split, learned
        self.corpus, self.k = learned.texts.corpus, max(context.config.evaluate.ks)
        asked = questions(split, slices)
        self.asked = asked._replace(truth=staged.keep("truth", asked.truth))
        self.clicks = _queries(split.train)
        self.cold_items = split.items.where(F.col("role") == COLD).select("item_index")
        self.cold_queries = split.users.where(F.col("role") == COLD).select(F.col("user_index").alias("query_index"))
        self.placed: dict[str, Any] = {}

    def arms(self) -> Iterator[tuple[str, dict[str, SliceResult]]]:
        """Name of each arm with what it is served through, and its results."""
        titles = with_field(self.corpus)
        yield called(BM25, WORDS), self._measured(by_words(self.split, self.corpus, titles, self.k))
        real = self.staged.keep("real", self.clicks.withColumn("weight", F.lit(1.0)))
        field = with_field(self.corpus, clicked_terms(self.corpus, real), weight=REAL_FIELD_WEIGHT)
        yield called(REAL, WORDS), self._measured(by_words(self.split, self.corpus, field, self.k))
        translated = self.staged.keep("translated", with_field(self.corpus, self.learned.fitted.expansion))
        yield called("translation", WORDS), self._measured(by_words(self.split, self.corpus, translated, self.k))
        yield called(REAL, ALS), self._by_als(None)
        for arm, virtual in self._virtual(translated):
            yield from self._served(arm, virtual)

    def _virtual(self, translated: DataFrame) -> Iterator[tuple[str, DataFrame]]:
        """Arms of virtual clicks: `query_index`, `item_index`, `probability`."""
        config = self.context.config.search
        product = virtual_clicks(self.staged, self.learned, self.cold_items, config.clicks_per_item)
        answers = virtual_answers(self.staged, self.learned, self.cold_queries, translated, config.answers_per_query)
        product = self.staged.keep("virtual", product.unionByName(answers))
        self._tell(product)
        yield PRODUCT, product
        if not self.cold_items.isEmpty():
            yield "knn", self.staged.keep("knn", self._knn())
            yield "permuted", self.staged.keep("permuted", self._permuted(product))
            yield "random", self.staged.keep("random", self._random(product))

    def _served(self, arm: str, virtual: DataFrame) -> Iterator[tuple[str, dict[str, SliceResult]]]:
        weighted = virtual.select("query_index", "item_index", F.col("probability").alias("weight"))
        terms = clicked_terms(self.corpus, weighted)
        expansion = self.learned.fitted.expansion
        field = self.staged.keep("field", with_field(self.corpus, expansion, terms))
        words = self.staged.keep("words", by_words(self.split, self.corpus, field, self.k))
        table = virtual.select(F.col("query_index").alias("user_index"), "item_index",
                               F.col("probability").alias("score"))  # fmt: skip
        yield called(arm, WORDS), self._measured(words)
        yield called(arm, TABLE), self._measured(by_table(self.split, table, self.k))
        yield called(arm, HYBRID), self._measured(by_both(self.split, self.corpus, field, words, table, self.k))
        yield called(arm, ALS), self._by_als(virtual)

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
            return self._measured(ranked(self.split, factors.users, factors.items, self.k))

    def _knn(self) -> DataFrame:
        """As many clicks of the queries of similar items."""
        alike = similar_items_queries(self.cold_items, self.corpus, self.clicks)
        most = F.max("alike").over(Window.partitionBy("item_index"))
        scored = alike.withColumn("probability", F.col("alike") / most)
        return best_of_item(scored.select("query_index", "item_index", "probability"),
                            self.context.config.search.clicks_per_item)  # fmt: skip

    def _permuted(self, product: DataFrame) -> DataFrame:
        """Every new item has the clicks of another one."""
        order = Window.orderBy(uniform(F.lit("permuted"), "item_index"), "item_index")
        items = product.select("item_index").distinct().withColumn("n", F.row_number().over(order))
        size = F.broadcast(items.agg(F.max("n").alias("size")))
        shifted = items.crossJoin(size).select(F.col("item_index").alias("other"),
                                               (F.col("n") % F.col("size") + 1).alias("n"))  # fmt: skip
        turned = items.join(shifted, on="n", how="inner").drop("n")
        joined = product.join(turned, on="item_index", how="inner").drop("item_index")
        return joined.select("query_index", F.col("other").alias("item_index"), "probability")

    def _random(self, product: DataFrame) -> DataFrame:
        """As many clicks, of queries that are drawn."""
        order = Window.orderBy(uniform(F.lit("any"), "query_index"), "query_index")
        known = self.clicks.select("query_index").distinct().withColumn("n", F.row_number().over(order) - 1)
        size = F.broadcast(known.agg(F.count(F.lit(1)).alias("size")))
        draw = F.floor(uniform(F.lit("random"), "query_index", "item_index") * F.col("size"))
        asked = product.crossJoin(size).select("item_index", "probability", draw.cast("int").alias("n"))
        drawn = asked.join(known, on="n", how="inner")
        return drawn.groupBy("query_index", "item_index").agg(F.max("probability").alias("probability"))

    def _tell(self, product: DataFrame) -> None:
        """How much of what is held out the virtual clicks have, and how many they are."""
        known = self.clicks.select("query_index").distinct()
        held = _queries(self.split.test)
        for what, asked, key in (
            ("items", self.cold_items, "item_index"),
            ("queries", self.cold_queries, "query_index"),
        ):
            of = product.join(asked, on=key, how="left_semi")
            true = held.join(asked, on=key, how="left_semi")
            if what == "items":
                true = true.join(known, on="query_index", how="left_semi")
            hit = of.join(true, on=["query_index", "item_index"], how="inner")
            sums = of.agg(F.count(F.lit(1)).alias("n"), F.sum("probability").alias("p"),
                          F.count_distinct(key).alias("entities")).collect()[0]  # fmt: skip
            if not sums["n"]:
                continue
            hits = hit.agg(F.count(F.lit(1)).alias("n"), F.sum("probability").alias("p")).collect()[0]
            self.placed[f"virtual clicks of new {what}"] = {
                "clicks": int(sums["n"]), what: int(sums["entities"]),
                "recall": round(hits["n"] / max(true.count(), 1), 4),
                "weighted precision": round((hits["p"] or 0.0) / sums["p"], 4),
            }  # fmt: skip


ALS_RANK, ALS_ALPHA = 96, 20.0
"""Queries are followed by few clicks: a longer and surer ALS than that of users."""


def for_als(virtual: DataFrame) -> DataFrame:
    """`query_index`, `item_index`, `weight`: an item's likeliest click counts ALS_WEIGHT, the others in proportion."""
    most = F.max("probability").over(Window.partitionBy("item_index"))
    return virtual.select("query_index", "item_index", (ALS_WEIGHT * F.col("probability") / most).alias("weight"))
