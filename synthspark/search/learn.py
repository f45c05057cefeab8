"""Learn which items are clicked for which queries, and place virtual clicks; shared by the run and its proof."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.coldstart.spaces import Place
from synthspark.indexing import uniform
from synthspark.judging.trees import TreeJudge, TreeSettings, fit_trees
from synthspark.retrieval import tie_breaker
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.search.candidates import Candidates, for_items, for_queries
from synthspark.search.corpus import Corpus, corpus_of
from synthspark.search.features import (
    HISTORY,
    NAMES,
    PAIR,
    features_of,
    histories,
    item_payload,
    joined,
    query_payload,
)
from synthspark.search.log import SearchLog
from synthspark.search.towers import (
    ITEM_TERMS,
    QUERY_TERMS,
    Tower,
    both_hashed,
    term_weights,
    train_tower,
    vectors,
)
from synthspark.search.translation import clicked_terms, expansions, real_terms, translations, with_field

FOLD = 0.25
"""Share of the clicked items that are treated as new, so that the judge learns which proposals come true."""
MAX_JUDGED = 400_000
"""Maximum number of proposals, drawn at random, that the judge learns from; they are in the driver's memory."""
MIN_FOLD = 20
"""Minimum number of clicks in the fold for training a judge."""
MIN_PROBABILITY = 0.01
"""Minimum probability of a virtual click."""
KNOWN, UNKNOWN = "known", "unknown"
"""Names of the judges: for queries with clicks and for queries without clicks."""


@dataclass(frozen=True)
class Texts:
    """Terms of queries and items; does not depend on clicks."""

    corpus: Corpus
    hashed: Mapping[str, DataFrame]
    """Hashed terms; keys are `query` and `item`."""
    weights: list[float]
    """Weight of each hashed term."""


@dataclass(frozen=True)
class Fitted:
    """Generators of proposals, learned from some clicks."""

    clicks: DataFrame
    """`query_index`, `item_index`, materialised."""
    tower: Tower
    query_vectors: DataFrame
    item_vectors: DataFrame
    expansion: DataFrame
    """`item_index`, `term_index`, `tf`."""
    queries: DataFrame
    items: DataFrame
    past: DataFrame
    """Inputs of the features from past clicks; `queries` and `items` are those of queries and items."""


@dataclass(frozen=True)
class Learned:
    """Generators and judges that place virtual clicks."""

    texts: Texts
    fitted: Fitted
    judges: Mapping[str, TreeJudge]
    about: dict[str, Any]
    """Metrics on the fold: number of clicks, recall of the proposals, AUC of the judges."""

    def field(self, virtual: DataFrame | None = None) -> DataFrame:
        """Return the searched terms of items: titles, translations, terms of real clicks and of `virtual` clicks.

        virtual: `query_index`, `item_index`, `probability`. Returns `item_index`, `term_index`, `weight`.
        """
        corpus = self.texts.corpus
        parts = [self.fitted.expansion, real_terms(corpus, self.fitted.clicks)]
        if virtual is not None:
            parts.append(clicked_terms(corpus, virtual.withColumnRenamed("probability", "weight")))
        return with_field(corpus, *parts)


def read_texts(context: Context, staged: Publication, log: SearchLog) -> Texts:
    """Compute and materialise the terms of a log."""
    corpus = corpus_of(log, context.config.search.language, staged.keep)
    hashed = {side: staged.keep(f"hashed_{side}", df) for side, df in both_hashed(context, log).items()}
    return Texts(corpus, hashed, term_weights(hashed["item"], hashed["item"].count()))


def fit(context: Context, staged: Publication, texts: Texts, clicks: DataFrame, name: str) -> Fitted:
    """Fit the generators on `clicks`. name: name of their checkpoints and tables."""
    place, work = Place.scratch(staged, name), f"{context.checkpoints()}/{name}"
    tower = train_tower(context, place, clicks, texts.hashed["query"], texts.hashed["item"], texts.weights, work)
    return fitted_by(staged, texts, clicks, tower)


def fitted_by(staged: Publication, texts: Texts, clicks: DataFrame, tower: Tower) -> Fitted:
    """Compute everything that follows from the clicks and a trained two-tower network."""
    query_vectors = staged.keep("query_vectors", vectors(texts.hashed["query"], "query_index", "query", QUERY_TERMS,
                                                         tower))  # fmt: skip
    item_vectors = staged.keep("item_vectors", vectors(texts.hashed["item"], "item_index", "item", ITEM_TERMS, tower))
    expansion = staged.keep("expansion", expansions(texts.corpus, translations(clicks, texts.corpus)))
    queries = staged.keep("query_payload", query_payload(texts.corpus, query_vectors))
    items = staged.keep("item_payload", item_payload(texts.corpus, expansion, item_vectors))
    past = staged.keep("past", histories(texts.corpus, clicks, queries, items))
    return Fitted(clicks, tower, query_vectors, item_vectors, expansion, queries, items, past)


def learn(context: Context, staged: Publication, texts: Texts, clicks: DataFrame, name: str) -> Learned:
    """Fit generators on all `clicks` (`query_index`, `item_index`), and judges on a fold of items treated as new."""
    pairs = staged.keep("clicks", clicks.select(PAIR))
    with staged.scope():
        judges, about = _judges(context, staged, texts, pairs, name)
    return Learned(texts, fit(context, staged, texts, pairs, f"{name}-whole"), judges, about)


def _judges(
    context: Context, staged: Publication, texts: Texts, pairs: DataFrame, name: str
) -> tuple[dict[str, TreeJudge], dict[str, Any]]:
    """Fit trees that separate the clicks of the fold from other proposals for its items."""
    seed = context.config.seed
    in_fold = uniform(F.lit("search fold"), F.lit(seed), "item_index") < FOLD
    outside, fold = pairs.where(~in_fold), pairs.where(in_fold)
    known = fold.join(outside.select("query_index").distinct(), on="query_index", how="left_semi")
    clicks = known.count()
    if clicks < MIN_FOLD or outside.isEmpty():
        return {}, {"fold_clicks": clicks}
    fitted = fit(context, staged, texts, staged.keep("outside", outside), f"{name}-fold")
    asked = fold.select("item_index").distinct()
    found = proposed(staged, texts, fitted, asked)
    label = known.withColumn("label", F.lit(True))
    labelled = staged.keep("labelled", found.pairs.join(label, on=PAIR, how="left").fillna(False, ["label"]))
    counts = labelled.agg(F.count(F.lit(1)).alias("n"), F.count_if("label").alias("real")).collect()[0]
    share = min(1.0, MAX_JUDGED / max(counts["n"], 1))
    drawn = labelled.where(uniform(F.lit("drawn"), *PAIR) < share)  # uniform: keeps probabilities calibrated
    rows = features_of(joined(drawn, fitted.queries, fitted.items, fitted.past, found.neighbours))
    data = rows.orderBy("item_index", "query_index").toPandas()
    about = {"fold_clicks": clicks, "proposals": int(counts["n"]), "recall": round(counts["real"] / clicks, 4)}
    if not len(data) or data["label"].all() or not data["label"].any():
        return {}, about
    matrix = np.stack(data["features"].to_list()).astype(np.float32)
    labels, items = data["label"].to_numpy(bool), data["item_index"].to_numpy(np.int32)
    judges = {}
    for kind in (KNOWN, UNKNOWN):
        judge = fit_trees(_seen(matrix, kind), labels, items, NAMES, _settings(seed))
        if judge is not None:
            judges[kind] = judge
            about[f"auc_{kind}"] = None if judge.auc is None else round(judge.auc, 4)
    return judges, about


def _settings(seed: int) -> TreeSettings:
    return TreeSettings(trees=250, learning_rate=0.06, seed=seed, features=0.7, rising=(), whole=False)


def _seen(matrix: npt.NDArray[np.float32], kind: str) -> npt.NDArray[np.float32]:
    """Return the features that a judge sees; the features HISTORY are NaN for the judge of queries without clicks."""
    if kind == KNOWN:
        return matrix
    hidden = matrix.copy()
    hidden[:, len(NAMES) - len(HISTORY) :] = np.nan
    return hidden


def proposed(staged: Publication, texts: Texts, fitted: Fitted, items: DataFrame) -> Candidates:
    """Propose known queries for `items` (`item_index`)."""
    found = for_items(items, texts.corpus, fitted.clicks, fitted.query_vectors, fitted.item_vectors)
    neighbours = staged.keep("neighbours", found.neighbours)
    return Candidates(staged.keep("proposed", found.pairs), neighbours)


def virtual_clicks(learned: Learned, found: Candidates, most: int) -> DataFrame:
    """Return `query_index`, `item_index`, `probability`: at most `most` per item. found: result of `proposed`."""
    fitted = learned.fitted
    rows = joined(found.pairs, fitted.queries, fitted.items, fitted.past, found.neighbours)
    return best_of(with_probability(rows, learned.judges.get(KNOWN)), "item_index", "query_index", most)


def virtual_answers(
    staged: Publication, learned: Learned, queries: DataFrame, field: DataFrame, most: int
) -> DataFrame:
    """Return virtual clicks of `queries` (`query_index`) without clicks: at most `most` items per query.

    field: searched terms of items, as from `translation.with_field`.
    """
    fitted, judge = learned.fitted, learned.judges.get(UNKNOWN)
    pairs = staged.keep("answers", for_queries(queries, field, learned.texts.corpus, fitted.query_vectors,
                                               fitted.item_vectors))  # fmt: skip
    rows = joined(pairs, fitted.queries, fitted.items, fitted.past.limit(0), nothing_alike(pairs))
    return best_of(with_probability(rows, judge), "query_index", "item_index", most)


def best_of(scored: DataFrame, of: str, other: str, most: int) -> DataFrame:
    """Return the `most` pairs with the highest `probability` per `of`. of, other: names of the two index columns."""
    best = Window.partitionBy(of).orderBy(F.col("probability").desc(), tie_breaker(of, other))
    ranked = scored.where(F.col("probability") >= MIN_PROBABILITY).withColumn("_n", F.row_number().over(best))
    return ranked.where(F.col("_n") <= most).drop("_n")


def with_probability(rows: DataFrame, judge: TreeJudge | None) -> DataFrame:
    """Return `query_index`, `item_index`, `probability` of `features.joined` rows; no rows without a judge."""
    scored = features_of(rows.select(*PAIR, "q", "i", "h", "alike"))
    if judge is None:
        return scored.limit(0).select(*PAIR, F.lit(0.0).alias("probability"))
    data, about = judge.to_bytes(), {"auc": judge.auc, "num_pairs": judge.num_pairs}

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        own = TreeJudge.from_bytes(data, about)
        for batch in batches:
            if batch.num_rows:
                flat = batch.column("features").flatten().to_numpy(zero_copy_only=False).astype(np.float32)
                chance = own.probability(flat.reshape(batch.num_rows, -1))
                arrays = [batch.column(c) for c in PAIR] + [pa.array(chance, pa.float64())]
                yield pa.RecordBatch.from_arrays(arrays, names=[*PAIR, "probability"])

    return scored.mapInArrow(apply, "query_index int, item_index int, probability double")


def nothing_alike(pairs: DataFrame) -> DataFrame:
    """Return an empty `Candidates.neighbours`, as for queries without clicks."""
    return pairs.select(*PAIR, F.lit(None).cast("float").alias("alike")).limit(0)
