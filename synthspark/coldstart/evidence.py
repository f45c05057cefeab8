"""What is known of a shop when something is learned: from a whole run, or from the training rows of a split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.features import encoding
from synthspark.features.encoding import TableEncoding
from synthspark.features.published import indexed_interactions, limits, read_encoding
from synthspark.ranking.split import COLD, SPARSE, WARM, Split
from synthspark.recommend import rating
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.runs.tables import Table, clean, features
from synthspark.sides import ITEMS, SIDES, USERS, Side

Read = Callable[[Table], DataFrame]
"""`Context.read`, or `Publication.read` of a stage that has not published yet."""


@dataclass(frozen=True)
class Evidence:
    """Interactions, roles and encoded attributes of a shop."""

    pairs: DataFrame
    """`user_index`, `item_index`, `rating` of every real interaction; `since` and `until` (microseconds, first and last
    event) if they are known."""
    entities: Mapping[Side, DataFrame]
    """Key, index, `role` and the encoded columns of all entities of a side."""
    encodings: Mapping[Side, TableEncoding]
    later: bool = False
    """Whether virtual events are for a time after all interactions, as in a run, and not for a drawn part of them."""

    def warm(self, side: Side) -> DataFrame:
        """Return index and encoded columns of the warm entities."""
        return self._of(side, F.col("role") == WARM)

    def cold(self, side: Side) -> DataFrame:
        """Return index and encoded columns of entities that get virtual events: cold items, cold and sparse users.

        Sparse items get none: ALS places them by their own events, and they are so many that they would use up the
        budget.
        """
        return self._of(side, ~F.col("role").isin(WARM, *([SPARSE] if side == ITEMS else [])))

    def warm_pairs(self) -> DataFrame:
        """Return the interactions of warm users with warm items; nothing else is learned from."""
        found = self.pairs
        for side in SIDES:
            found = found.join(self.warm(side).select(side.index), on=side.index, how="left_semi")
        return found

    def has_input(self, side: Side) -> bool:
        """Return whether a generator has input for cold entities: attributes, or the few events of users."""
        return side == USERS or bool(self.encodings[side].encoders)

    def _of(self, side: Side, condition: Column) -> DataFrame:
        fitted = self.encodings[side]
        found = self.entities[side].where(condition)
        return found.select(side.index, *fitted.columns)


def least_partners(context: Context, side: Side) -> int:
    """Return the minimum number of distinct items of a warm user, or users of a warm item."""
    f = context.config.features
    return f.min_user_items if side == USERS else f.min_item_users


def fit_encoding(context: Context, warm: DataFrame, side: Side) -> TableEncoding:
    """Fit an encoding on `warm`, the declared rows of the warm entities.

    A value that no warm entity has would get a code that is never trained. It is encoded as unknown instead: that code
    is trained, because training withholds attributes.
    """
    return encoding.fit(warm, context.config.source.attributes(side), limits(context))


def of_run(context: Context, read: Read, unit: float, encodings: Mapping[Side, TableEncoding]) -> Evidence:
    """Build the evidence of the whole shop from the tables of stage featurize. unit: median interaction weight."""
    breadth = F.col("breadth")
    entities = {
        side: _encoded(read(features(side)), side, encodings[side],
                       F.when(breadth >= least_partners(context, side), WARM).when(breadth > 0, SPARSE).otherwise(COLD))
        for side in SIDES
    }  # fmt: skip
    pairs = indexed_interactions(read).select(
        *[side.index for side in SIDES], rating(F.col("weight"), unit).alias("rating"),
        F.unix_micros("first_ts").alias("since"), F.unix_micros("last_ts").alias("until"),
    )  # fmt: skip
    return Evidence(pairs, entities, encodings, later=True)


def published(context: Context) -> Evidence:
    """Return `of_run` of a run that has published stage featurize."""
    encodings = {side: read_encoding(context, side) for side in SIDES}
    return of_run(context, context.read, context.record("featurize")["details"]["unit_weight"], encodings)


def of_split(
    context: Context, staged: Publication, split: Split, later: bool,
    encodings: Mapping[Side, TableEncoding] | None = None,
) -> Evidence:  # fmt: skip
    """Build the evidence of a split: the interactions of its training rows only, but the attributes of all entities.

    later: whether the test pairs come after all training rows; encodings: those of another split with the same warm
    entities, None to fit them.
    """
    entities, fitted = {}, {}
    for side, roles in zip(SIDES, (split.items, split.users), strict=True):
        roles = roles.withColumnRenamed("role", "_role")  # an attribute may have that name
        rows = context.read(features(side)).select(side.key, side.index).join(roles, on=side.index, how="inner")
        if context.config.source.attributes(side):
            declared = context.read(clean(side)).withColumn("_declared", F.lit(True))
            rows = staged.keep(f"declared_{side.name}", rows.join(declared, on=side.key, how="left"))
        else:
            rows = rows.withColumn("_declared", F.lit(False))
        warm = rows.where(F.col("_declared") & (F.col("_role") == WARM))
        fitted[side] = encodings[side] if encodings else fit_encoding(context, warm, side)
        encoded = _encoded(encoding.encode(rows, fitted[side]), side, fitted[side], F.col("_role"))
        entities[side] = staged.keep(f"entities_{side.name}", encoded)
    return Evidence(split.train, entities, fitted, later)


def _encoded(table: DataFrame, side: Side, fitted: TableEncoding, role: Column) -> DataFrame:
    return table.select(side.key, side.index, role.alias("role"), *fitted.columns)
