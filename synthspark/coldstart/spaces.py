"""Preference spaces and the feeds of the behaviour generators: what training streams."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.evidence import Evidence
from synthspark.errors import ConfigError
from synthspark.features import feeds
from synthspark.features.feeds import factor_table, factors_in, spread
from synthspark.recommend import AlsSettings, blocks_for, fit_als
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.runs.tables import ALS_SPACE, EVENTS, ITEM_SPACE, Table, behaviour_feed, factors
from synthspark.sides import ITEMS, SIDES, USERS, Side

ROW_GROUP_BYTES = 16 * 1024 * 1024
SPACE_OF = {ITEMS: ITEM_SPACE, USERS: ALS_SPACE}
"""Side -> the space in which its generator learns."""


@dataclass(frozen=True)
class Place:
    """Where what is learned is kept: among a run's own tables, or in scratch under a prefix."""

    url: Callable[[Table], str]
    read: Callable[[Table], DataFrame]
    write: Callable[[Table, DataFrame, int | None], object]
    """With the bytes of a row group, None for any."""

    @classmethod
    def of_stage(cls, staged: Publication) -> Place:
        """Tables that a stage is about to publish."""
        return cls(staged.url, staged.read, staged.write)

    @classmethod
    def scratch(cls, staged: Publication, prefix: str) -> Place:
        """Tables that are gone when the stage ends, or the scope."""
        folder = f"{staged.scratch_folder}/{prefix}"

        def within(table: Table) -> Table:
            return Table(f"{folder}/{table.name}", table.feed)

        return cls(
            lambda table: staged.url(within(table)),
            lambda table: staged.read(within(table)),
            lambda table, df, size: staged.scratch(within(table), df, size),
        )

    @classmethod
    def published(cls, context: Context) -> Place:
        """Tables that an earlier stage has published; nothing can be written."""

        def write(table: Table, _df: DataFrame, _size: int | None) -> None:
            raise AssertionError(f"{table.name} is published already")

        return cls(context.url, context.read, write)


def als_settings(context: Context) -> AlsSettings:
    """ALS as configured, or as stage featurize has chosen: the same for every arm and stage."""
    r = context.config.recommend
    rank, regularization, alpha = r.rank, r.regularization, r.alpha
    featurized = context.lake.record(context.run_id, "featurize") if r.auto else None
    if featurized is not None:
        chosen = featurized["details"].get("als")
        if chosen is None:
            raise ConfigError("recommend.auto: stage featurize chooses ALS's settings, and this run's was made without "
                              "it; run featurize and what follows it again")  # fmt: skip
        rank, regularization, alpha = chosen["rank"], chosen["regularization"], chosen["alpha"]
    return AlsSettings(rank, regularization, alpha, r.iterations, context.config.seed)


def als_blocks(context: Context) -> int:
    """How many blocks ALS takes for the events of the whole shop."""
    return blocks_for(context.rows("clean", EVENTS))


def space_settings(context: Context, space: str) -> AlsSettings:
    """ALS for a preference space. From that of items nobody is recommended anything, so it may fit closer."""
    if space == ALS_SPACE:
        return als_settings(context)
    f = context.config.features
    iterations = context.config.recommend.iterations
    return AlsSettings(f.factor_rank, f.factor_regularization, f.factor_alpha, iterations, context.config.seed)


def write_spaces(context: Context, place: Place, evidence: Evidence, pairs: DataFrame, side: Side) -> None:
    """Fit the space in which the generator of `side` learns on `pairs`, and write the vectors of both sides.

    pairs: `user_index`, `item_index`, `rating` of warm ones. Vectors have the id beside the index, which is this run's.
    """
    space = SPACE_OF[side]
    settings = space_settings(context, space)
    fitted = fit_als(pairs, settings, als_blocks(context))
    for of, vectors in ((ITEMS, fitted.items), (USERS, fitted.users)):
        breadth = pairs.groupBy(of.index).agg(F.count(F.lit(1)).alias("breadth"))
        named = breadth.join(evidence.entities[of].select(of.key, of.index), on=of.index, how="inner")
        place.write(factors(space, of), factor_table(vectors, named, of, settings.rank), None)


def write_behaviour_feed(context: Context, place: Place, evidence: Evidence, pairs: DataFrame, side: Side) -> None:
    """Write what the behaviour generator of `side` streams, of a space that is written. pairs: those of the space."""
    f, own = context.config.features, place.read(factors(SPACE_OF[side], side))
    encoded = evidence.warm(side)
    feed = feeds.behaviour_feed(pairs, encoded, own, side, f.positives, f.max_feed_rows, context.config.seed)
    write_feed(context, place.write, behaviour_feed(side), feed, own.count() * f.max_feed_rows)


def write_feed(
    context: Context, write: Callable[[Table, DataFrame, int | None], object], table: Table, feed: DataFrame, rows: int
) -> None:
    """Write a feed of about `rows` rows, shuffled, in row groups that can be sharded."""
    shuffled = spread(feed, _num_files(context, rows, len(feed.columns)), rows, context.config.seed)
    write(table, shuffled, ROW_GROUP_BYTES)


def vectors_in(place: Place, space: str) -> dict[Side, DataFrame]:
    """Of both sides index and `vector` array<float>."""
    return {side: _vectors(place.read(factors(space, side)), side.index) for side in SIDES}


def _vectors(table: DataFrame, index: str) -> DataFrame:
    return table.select(F.col("index").alias(index), vector_of(table).alias("vector"))


def vector_of(table: DataFrame) -> Column:
    """The factors of a `factor_table` as one array<float>."""
    return F.array(*factors_in(table.columns))


def _num_files(context: Context, rows: int, columns: int) -> int:
    """Files (of one row group each) of a feed: about 16 MB each, and as many for one process as for the other."""
    processes = context.config.train.processes
    least = max(4, 2 * processes, math.ceil(rows * columns * 4 / ROW_GROUP_BYTES))
    return processes * math.ceil(least / processes)
