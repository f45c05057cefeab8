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
    """Where the tables to learn from are kept: among a run's own tables, or in scratch under a prefix."""

    url: Callable[[Table], str]
    read: Callable[[Table], DataFrame]
    write: Callable[[Table, DataFrame, int | None], object]
    """The third argument is the size of a row group in bytes, None for the default."""

    @classmethod
    def of_stage(cls, staged: Publication) -> Place:
        """Return the place of tables that a stage will publish."""
        return cls(staged.url, staged.read, staged.write)

    @classmethod
    def scratch(cls, staged: Publication, prefix: str) -> Place:
        """Return a place of temporary tables, which are deleted when the stage or the scope ends."""
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
        """Return the place of tables that an earlier stage has published; it is read-only."""

        def write(table: Table, _df: DataFrame, _size: int | None) -> None:
            raise AssertionError(f"{table.name} is published already")

        return cls(context.url, context.read, write)


def als_settings(context: Context) -> AlsSettings:
    """Return ALS's settings, configured or chosen by stage featurize: the same for every arm and stage.

    Raises ConfigError if stage featurize should have chosen them, but ran without `recommend.auto`.
    """
    r = context.config.recommend
    rank, regularization, alpha = r.rank, r.regularization, r.alpha
    featurized = context.lake.record(context.run_id, "featurize") if r.auto else None
    if featurized is not None:
        chosen = featurized["details"].get("als")
        if chosen is None:
            raise ConfigError("recommend.auto: stage featurize chooses ALS's settings, but ran without this setting in "
                              "this run; run featurize and the stages after it again")  # fmt: skip
        rank, regularization, alpha = chosen["rank"], chosen["regularization"], chosen["alpha"]
    return AlsSettings(rank, regularization, alpha, r.iterations, context.config.seed)


def als_blocks(context: Context) -> int:
    """Return the number of ALS blocks for the events of the whole shop."""
    return blocks_for(context.rows("clean", EVENTS))


def space_settings(context: Context, space: str) -> AlsSettings:
    """Return ALS's settings for a space. That of items may fit closer: nothing is recommended from it."""
    if space == ALS_SPACE:
        return als_settings(context)
    f = context.config.features
    iterations = context.config.recommend.iterations
    return AlsSettings(f.factor_rank, f.factor_regularization, f.factor_alpha, iterations, context.config.seed)


def write_spaces(context: Context, place: Place, evidence: Evidence, pairs: DataFrame, side: Side) -> None:
    """Fit the space in which the generator of `side` learns on `pairs`, and write the vectors of both sides.

    pairs: `user_index`, `item_index`, `rating` of warm interactions. Tables of vectors hold the id beside the index,
    because an index is valid in this run only.
    """
    space = SPACE_OF[side]
    settings = space_settings(context, space)
    fitted = fit_als(pairs, settings, als_blocks(context))
    for of, vectors in ((ITEMS, fitted.items), (USERS, fitted.users)):
        breadth = pairs.groupBy(of.index).agg(F.count(F.lit(1)).alias("breadth"))
        named = breadth.join(evidence.entities[of].select(of.key, of.index), on=of.index, how="inner")
        place.write(factors(space, of), factor_table(vectors, named, of, settings.rank), None)


def write_behaviour_feed(context: Context, place: Place, evidence: Evidence, pairs: DataFrame, side: Side) -> None:
    """Write the feed of the behaviour generator of `side`; its space must be written. pairs: those of the space."""
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
    """Return index and `vector` array<float> of both sides."""
    return {side: _vectors(place.read(factors(space, side)), side.index) for side in SIDES}


def _vectors(table: DataFrame, index: str) -> DataFrame:
    return table.select(F.col("index").alias(index), vector_of(table).alias("vector"))


def vector_of(table: DataFrame) -> Column:
    """Return the factors of a `factor_table` as one array<float>."""
    return F.array(*factors_in(table.columns))


def _num_files(context: Context, rows: int, columns: int) -> int:
    """Return the number of files of a feed: about 16 MB and one row group each, a multiple of the processes."""
    processes = context.config.train.processes
    least = max(4, 2 * processes, math.ceil(rows * columns * 4 / ROW_GROUP_BYTES))
    return processes * math.ceil(least / processes)
