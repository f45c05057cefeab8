"""Write plausible queries for items: feed and training of the writer, and its queries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synthspark.clean.queries import normalised
from synthspark.coldstart.spaces import Place, write_feed
from synthspark.frames import of_each
from synthspark.indexing import with_index
from synthspark.likeness.texts import text_likeness
from synthspark.runs.context import Context
from synthspark.runs.tables import Table
from synthspark.search.corpus import terms_of
from synthspark.search.features import PAIR, joined, query_payload
from synthspark.search.learn import MIN_PROBABILITY, UNKNOWN, Learned, nothing_alike, with_probability
from synthspark.search.log import SearchLog
from synthspark.search.towers import QUERY_TERMS, hashed, vectors
from synthspark.synthesis.blocks import ROWS, generator, in_blocks, map_blocks
from synthspark.synthesis.generate import WRITTEN, loaded, tensor_of
from synthspark.training import TrainingTask, storage, train_all
from synthspark.training.storage import portable
from synthspark_models import QueryWriter
from synthspark_models.writer import FIRST_PIECE, PADDING, STOP
from synthspark_models.writer import UNKNOWN as UNKNOWN_WORD

NAME = "search_writer"
FEED = Table("feeds/search_writer", feed=True)
TITLE_WORDS, QUERY_WORDS = 24, 8
"""Maximum number of words of a title and of a query; a query's last word is STOP."""
MAX_VOCABULARY = 20_000
EPOCHS = 6
DRAWS = 4
"""Number of queries drawn per wanted query; some are duplicates and some must not be published."""
EDGES = ".,;:!?()[]{}<>\"'`|/\\*~_-"
"""Punctuation to strip from both ends of a word."""
WORDS = "words.json"


@dataclass(frozen=True)
class Writer:
    """A trained writer and its vocabulary."""

    url: str
    meta: dict[str, Any]
    words: tuple[str, ...]
    task: TrainingTask | None = None
    """Task that trained it; None if it was loaded."""


def written_words(text: str | None) -> list[str]:
    """Split a title or query into words as a person would type them.

    >>> written_words('Oak  Shelves, 6" (white)')
    ['oak', 'shelves', '6', 'white']
    """
    return [word for part in (normalised(text) or "").split() if (word := part.strip(EDGES))]


def vocabulary(context: Context, log: SearchLog) -> list[str]:
    """Return the most frequent words among those in enough titles or typed by enough users; rarer ones are personal."""
    least, users = context.config.features.min_category_count, context.config.search.min_query_users
    words = partial(of_each, written_words, returns="array<string>")
    titles = log.items.select(F.explode(F.array_distinct(words(F.col("text")))).alias("word")).groupBy("word").count()
    queries = log.queries.select("users", F.explode(F.array_distinct(words(F.col("query")))).alias("word"))
    typed = queries.groupBy("word").agg(F.max("users").alias("users"), F.sum("users").alias("count"))
    both = titles.where(F.col("count") >= least).unionByName(typed.where(F.col("users") >= users).drop("users"))
    summed = both.groupBy("word").agg(F.sum("count").alias("count"))
    top = summed.orderBy(F.col("count").desc(), "word").limit(MAX_VOCABULARY)
    return [row["word"] for row in top.collect()]


def columns_of(side: str, size: int) -> list[str]:
    """Return the names of the columns of `size` words."""
    return [f"{side}_word_{i:02d}" for i in range(size)]


def encoded(texts: DataFrame, key: str, column: str, side: str, size: int, words: list[str], stop: bool) -> DataFrame:
    """Return `key` and int columns with the ids of a text's words. stop: whether to append a STOP."""
    place = {word: FIRST_PIECE + i for i, word in enumerate(words)}

    def ids(text: str | None) -> list[int]:
        found = [place.get(word, UNKNOWN_WORD) for word in written_words(text)][: size - stop]
        found += [STOP] * stop
        return found + [PADDING] * (size - len(found))

    listed = texts.select(key, of_each(ids, F.col(column), "array<int>").alias("ids"))
    return listed.select(key, *[F.col("ids")[i].alias(name) for i, name in enumerate(columns_of(side, size))])


def train_writer(context: Context, place: Place, log: SearchLog, clicks: DataFrame, output: str) -> Writer | None:
    """Train a writer on `clicks` (`query_index`, `item_index`); returns None if the vocabulary is empty."""
    words = vocabulary(context, log)
    if not words:
        return None
    titles = encoded(
        log.items.where(F.col("text").isNotNull()), "item_index", "text", "title", TITLE_WORDS, words, False
    )
    queries = encoded(log.queries, "query_index", "query", "query", QUERY_WORDS, words, True)
    feed = clicks.select(PAIR).join(titles, on="item_index", how="inner").join(queries, on="query_index", how="inner")
    write_feed(context, place.write, FEED, feed.drop(*PAIR), clicks.count())
    task = TrainingTask(
        name=NAME,
        network="query_writer",
        feed_url=portable(place.url(FEED)),
        num_rows=place.read(FEED).count(),
        code_columns=[],
        cardinalities=[],
        number_columns=[],
        piece_columns=[*columns_of("title", TITLE_WORDS), *columns_of("query", QUERY_WORDS)],
        num_pieces=FIRST_PIECE + len(words),
        output_url=portable(output),
        epochs=EPOCHS,
        batch_size=min(256, context.config.search.batch_size),
        seed=context.config.seed,
        device=context.config.train.device,
    )
    metas = train_all(context.spark, [task], context.config.train.processes, context.on_epoch)
    storage.write(f"{task.output_url}/{WORDS}", json.dumps(words).encode())
    return Writer(task.output_url, metas[task.output_url], tuple(words), task)


def load_writer(url: str, meta: dict[str, Any]) -> Writer:
    """Load a writer that `train_writer` saved."""
    return Writer(url, meta, tuple(json.loads(storage.read(f"{url}/{WORDS}"))))


def drawn_queries(writer: Writer, items: DataFrame, most: int, seed: int) -> DataFrame:
    """Draw DRAWS x `most` queries for each of `items` (`item_index`, `text`).

    Returns the distinct ones as `item_index`, `query`, `log_likelihood`.
    """
    url, sha256, words = writer.url, writer.meta["sha256"], list(writer.words)
    columns = columns_of("title", TITLE_WORDS)
    titles = encoded(items, "item_index", "text", "title", TITLE_WORDS, words, False)

    def handle(block: int, rows: pa.Table) -> pa.Table:
        network, _ = loaded(url, sha256)
        assert isinstance(network, QueryWriter)
        index = rows.column("item_index").to_numpy()
        title, parts = tensor_of(rows, columns, np.int64), []
        for attempt in range(DRAWS * most):
            uniform = generator(seed, WRITTEN, block, attempt).random((ROWS, QUERY_WORDS), dtype=np.float32)
            made = network.write(title, torch.from_numpy(uniform[index % ROWS]))
            texts = [" ".join(words[w - FIRST_PIECE] for w in row if w >= FIRST_PIECE) for row in made.words.tolist()]
            arrays = [pa.array(index, pa.int32()), pa.array(texts, pa.string()),
                      pa.array(made.log_likelihood.numpy(), pa.float32())]  # fmt: skip
            parts.append(pa.Table.from_arrays(arrays, names=["item_index", "query", "log_likelihood"]))
        return pa.concat_tables(parts)

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with torch.inference_mode():
            yield from map_blocks(batches, handle)

    drawn = in_blocks(titles, "item_index").mapInArrow(apply, "item_index int, query string, log_likelihood float")
    some = drawn.where(F.col("query") != "")
    return some.groupBy("item_index", "query").agg(F.max("log_likelihood").alias("log_likelihood"))


def written_queries(
    context: Context, writer: Writer, learned: Learned, log: SearchLog, items: DataFrame, keep: Any
) -> DataFrame:
    """Write queries for `items` and return those with the highest probability by the judge.

    Returns `item_index`, `query`, `probability`, `log_likelihood`. Queries typed by at least one but fewer than
    search.min_query_users users are excluded. keep: materialises a table.
    """
    config = context.config.search
    drawn = keep("drawn", drawn_queries(writer, items, config.queries_per_item, context.config.synthesize.seed))
    rare = log.queries.where(F.col("users") < config.min_query_users).select("query")
    free = drawn.join(rare, on="query", how="left_anti")
    texts = keep("written", with_index(free.select("query").distinct(), "query", "query_index"))
    pairs = free.join(texts, on="query", how="inner")
    corpus = learned.texts.corpus
    terms = terms_of(texts, "query_index", "query", config.language).join(corpus.lexicon, on="term", how="inner")
    of_texts = corpus._replace(queries=terms.select("query_index", "term_index", "position", "idf", "digit"))
    tower = learned.fitted.tower
    own = vectors(hashed(texts, "query_index", "query", "query", QUERY_TERMS, config.language), "query_index", "query",
                  QUERY_TERMS, tower)  # fmt: skip
    queries = keep("written_payload", query_payload(of_texts, own))
    fitted = learned.fitted
    rows = joined(pairs.select(PAIR), queries, fitted.items, fitted.past.limit(0), nothing_alike(pairs))
    scored = with_probability(rows, learned.judges.get(UNKNOWN)).join(pairs, on=PAIR, how="inner")
    best = Window.partitionBy("item_index").orderBy(F.col("probability").desc(), "query")
    ranked = scored.where(F.col("probability") >= MIN_PROBABILITY).withColumn("_n", F.row_number().over(best))
    taken = ranked.where(F.col("_n") <= config.queries_per_item)
    return taken.select("item_index", "query", "probability", "log_likelihood")


def judged_texts(
    context: Context, log: SearchLog, texts: DataFrame, held: DataFrame, keep: Any
) -> dict[str, float | int] | None:
    """Evaluate written queries `texts` (`item_index`, `query`); returns None if there are none.

    They are compared with the held-out clicks of the same items (`held`: `query_index`, `item_index`) and, by
    likeness, with real queries.
    """
    texts = keep("judged_texts", texts.select("item_index", "query"))
    real = keep("real_texts", log.queries.select("query", "query_index"))
    asked = keep("held_texts", held.select(PAIR).join(real, on="query_index", how="inner"))
    counts = texts.agg(F.count(F.lit(1)).alias("texts"), F.count_distinct("item_index").alias("items")).collect()[0]
    if not counts["texts"]:
        return None
    hit = texts.join(asked.select("item_index", "query"), on=["item_index", "query"], how="left_semi")
    told = asked.join(texts.select("item_index").distinct(), on="item_index", how="left_semi")
    items = max(told.select("item_index").distinct().count(), 1)
    known = texts.join(real.select("query"), on="query", how="left_semi").count()
    found: dict[str, float | int] = {
        "texts": int(counts["texts"]), "items": int(counts["items"]),
        "items with a text that was typed for them": round(hit.select("item_index").distinct().count() / items, 4),
        "texts that somebody typed": round(known / counts["texts"], 4),
    }  # fmt: skip
    least = context.config.search.min_query_users
    alike = text_likeness(real, texts, "query", "text", least, context.config.seed)
    if alike is None:
        return found
    rare = log.queries.where(F.col("users") < least).select("query")
    copies = texts.join(rare, on="query", how="left_semi").count() / counts["texts"]
    return found | alike.to_json() | {"copies_of_rare": round(copies, 6)}  # by users, not by rows
