"""The two-tower network of searches: feed, training and vectors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.spaces import Place, write_feed
from synthspark.frames import of_each
from synthspark.runs.context import Context
from synthspark.runs.tables import Table
from synthspark.search.log import SearchLog
from synthspark.search.words import hashed_terms
from synthspark.synthesis.blocks import in_blocks, map_blocks
from synthspark.synthesis.generate import loaded, tensor_of
from synthspark.training import TrainingTask, train_all
from synthspark.training.storage import portable
from synthspark.training.task import Bag
from synthspark_models import SearchTower

NAME = "search_tower"
HASHED = 1 << 15
QUERY_TERMS, ITEM_TERMS = 24, 64
"""Maximum number of hashed terms per query and per item."""
FLATTEST, STEEPEST = math.exp(-2), math.exp(1.2)
"""Smallest and largest weight of a term, see `term_weights`."""
FEED = Table("feeds/search", feed=True)


@dataclass(frozen=True)
class Tower:
    """A trained network."""

    url: str
    meta: dict[str, Any]
    task: TrainingTask | None = None
    """Task that trained it; None if it was loaded."""


def columns_of(side: str, size: int) -> list[str]:
    """Return the names of the columns of `size` hashed terms."""
    return [f"{side}_term_{i:02d}" for i in range(size)]


def hashed(texts: DataFrame, index: str, column: str, side: str, size: int, language: str | None) -> DataFrame:
    """Return `index` and the columns of the hashed terms of each text."""
    ids = of_each(partial(hashed_terms, language=language, size=HASHED, length=size), F.col(column), "array<int>")
    listed = texts.select(index, ids.alias("ids"))
    return listed.select(index, *[F.col("ids")[i].alias(name) for i, name in enumerate(columns_of(side, size))])


def term_weights(items: DataFrame, rows: int) -> list[float]:
    """Return the weight of each hashed term, by id from 0 on: about log(1 / share of items with the term) / 2."""
    columns = columns_of("item", ITEM_TERMS)
    counts = np.zeros(HASHED + 1)
    ids = items.select(F.explode(F.array_distinct(F.array(*columns))).alias("id")).groupBy("id").count()
    for row in ids.collect():  # at most HASHED
        counts[row["id"]] = row["count"]
    information = np.log((rows + 1) / (counts + 1)) + 0.3
    return [round(float(w), 4) for w in np.clip(information * math.exp(-0.7), FLATTEST, STEEPEST)]


def train_tower(
    context: Context, place: Place, clicks: DataFrame, queries: DataFrame, items: DataFrame, weights: list[float],
    output: str,
) -> Tower:  # fmt: skip
    """Train the network on `clicks` (`query_index`, `item_index`). queries, items: results of `hashed`."""
    config = context.config.search
    rows = clicks.count()
    known = clicks.select("query_index", "item_index")
    feed = known.join(queries, on="query_index", how="inner").join(items, on="item_index", how="inner")
    write_feed(context, place.write, FEED, feed, rows)
    rows = place.read(FEED).count()
    task = TrainingTask(
        name=NAME,
        network="tower",
        feed_url=portable(place.url(FEED)),
        num_rows=rows,
        code_columns=[],
        cardinalities=[],
        number_columns=[],
        bags=[Bag(columns_of("query", QUERY_TERMS), weights, 1.0), Bag(columns_of("item", ITEM_TERMS), weights, 1.0)],
        positive_columns=["query_index", "item_index"],
        output_url=portable(output),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=context.config.seed,
        device=context.config.train.device,
        hyper={"dimensions": config.dimensions},
    )
    metas = train_all(context.spark, [task], context.config.train.processes, context.on_epoch)
    return Tower(task.output_url, metas[task.output_url], task)


def vectors(texts: DataFrame, index: str, side: str, size: int, tower: Tower) -> DataFrame:
    """Return `index` and `vector` array<float>, scaled to length 1. texts: result of `hashed`."""
    columns, url, sha256 = columns_of(side, size), tower.url, tower.meta["sha256"]

    def handle(_block: int, rows: pa.Table) -> pa.Table:
        network, _ = loaded(url, sha256)
        assert isinstance(network, SearchTower)
        terms = tensor_of(rows, columns, np.int64)
        found = (network.queries(terms) if side == "query" else network.items(terms)).numpy()
        flat = pa.array(found.reshape(-1), pa.float32())
        starts = pa.array(np.arange(0, found.size + 1, found.shape[1]), pa.int32())
        arrays = [rows.column(index).combine_chunks().cast(pa.int32()), pa.ListArray.from_arrays(starts, flat)]
        return pa.Table.from_arrays(arrays, names=[index, "vector"])

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with torch.inference_mode():
            yield from map_blocks(batches, handle)

    return in_blocks(texts, index).mapInArrow(apply, f"{index} int, vector array<float>")


def both_hashed(context: Context, log: SearchLog) -> Mapping[str, DataFrame]:
    """Return the hashed terms of all texts of a log; keys are `query` and `item`."""
    language = context.config.search.language
    return {
        "query": hashed(log.queries, "query_index", "query", "query", QUERY_TERMS, language),
        "item": hashed(log.items.where(F.col("text").isNotNull()), "item_index", "text", "item", ITEM_TERMS, language),
    }
