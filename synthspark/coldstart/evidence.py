"""What is known of a shop on the day of learning: of a run's, or of a split's by its training rows alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.features.encoding import TableEncoding
from synthspark.features.published import indexed_interactions, read_encoding
from synthspark.ranking.split import COLD, SPARSE, WARM, Split
from synthspark.recommend import rating
from synthspark.runs.context import Context
from synthspark.runs.tables import Table, features
from synthspark.sides import SIDES, USERS, Side

Read = Callable[[Table], DataFrame]
"""`Context.read`, or `Publication.read` of a stage that has not published yet."""


@dataclass(frozen=True)
class Evidence:
    """Interactions, who takes part, and what is declared of them."""

    pairs: DataFrame
    """`user_index`, `item_index`, `rating` of every real interaction; `since` (microseconds) where that is known."""
    entities: Mapping[Side, DataFrame]
    """Key, index, `role` and the encoded columns of everybody."""
    encodings: Mapping[Side, TableEncoding]

    def warm(self, side: Side) -> DataFrame:
        """Index and encoded columns of those who can be learned from."""
        return self._of(side, F.col("role") == WARM)

    def cold(self, side: Side) -> DataFrame:
        """The same of those who want virtual events."""
        return self._of(side, F.col("role") != WARM)

    def warm_pairs(self) -> DataFrame:
        """The interactions between warm users and warm items: all that is learned from."""
        found = self.pairs
        for side in SIDES:
            found = found.join(self.warm(side).select(side.index), on=side.index, how="left_semi")
        return found

    def tells(self, side: Side) -> bool:
        """Whether a generator can know anything of the cold ones: their attributes; or what users did."""
        return side == USERS or bool(self.encodings[side].encoders)

    def _of(self, side: Side, condition: Column) -> DataFrame:
        fitted = self.encodings[side]
        found = self.entities[side].where(condition)
        return found.select(side.index, *fitted.code_columns, *fitted.number_columns)


def of_run(context: Context, read: Read, unit: float, encodings: Mapping[Side, TableEncoding]) -> Evidence:
    """The whole shop, by the tables of stage featurize. unit: the median weight of an interaction."""
    config = context.config.features
    least = {side: config.min_user_items if side == USERS else config.min_item_users for side in SIDES}
    breadth = F.col("breadth")
    entities = {
        side: _encoded(read(features(side)), side, encodings[side],
                       F.when(breadth >= least[side], WARM).when(breadth > 0, SPARSE).otherwise(COLD).alias("role"))
        for side in SIDES
    }  # fmt: skip
    pairs = indexed_interactions(read).select(
        *[side.index for side in SIDES], rating(F.col("weight"), unit).alias("rating"),
        F.unix_micros("first_ts").alias("since"),
    )  # fmt: skip
    return Evidence(pairs, entities, encodings)


def published(context: Context) -> Evidence:
    """`of_run` of a run that has published featurize."""
    encodings = {side: read_encoding(context, side) for side in SIDES}
    return of_run(context, context.read, context.record("featurize")["details"]["unit_weight"], encodings)


def of_split(context: Context, split: Split) -> Evidence:
    """What would be known if the training rows were all that had happened: the catalogue is known, the rest is not."""
    encodings = {side: read_encoding(context, side) for side in SIDES}
    roles = dict(zip(SIDES, (split.items, split.users), strict=True))
    entities = {
        side: _encoded(context.read(features(side)).join(roles[side], on=side.index, how="inner"), side,
                       encodings[side], F.col("role"))
        for side in SIDES
    }  # fmt: skip
    return Evidence(split.train, entities, encodings)


def _encoded(table: DataFrame, side: Side, fitted: TableEncoding, role: Column) -> DataFrame:
    columns = (*fitted.code_columns, *fitted.number_columns)
    return table.select(side.key, side.index, role, *columns)
