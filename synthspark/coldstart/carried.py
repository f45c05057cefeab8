"""Carry what an earlier run has learned over to today's shop: entities are matched by id, and nothing is trained.

Vectors of users without new events, and of items that were warm before, are copied. Users who are new or have new
events, and items that have become warm, get vectors by fold-in: one ridge regression each against the fixed vectors of
the other side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.evidence import Evidence, least_partners
from synthspark.coldstart.folding import bounded_fold_in, swapped
from synthspark.coldstart.spaces import SPACE_OF, Place, space_settings, vector_of
from synthspark.features.encoding import TableEncoding
from synthspark.features.encoding.categorical import MISSING, UNKNOWN
from synthspark.features.feeds import factor_table
from synthspark.ranking.split import WARM
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.runs.tables import INTERACTIONS, factors, features
from synthspark.sides import ITEMS, SIDES, USERS, Side

MAX_PARTNERS = 1000
"""Maximum number of interactions per fold-in, drawn by a hash."""


@dataclass(frozen=True)
class Drift:
    """How far today's shop is from that of the earlier run, as shares in [0, 1]."""

    users_without_vector: float
    """Share of the warm users that have no vector."""
    cold_items: float
    """Share of all items that are not warm."""
    unknown_values: float
    """Share of unknown values among the cold items that have one, of the categorical attribute where it is largest."""
    unknown_attribute: str | None = None
    """Name of that attribute."""


def carry_spaces(context: Context, staged: Publication, evidence: Evidence, pairs: DataFrame, release: Context) -> None:
    """Write the vectors of today's warm entities in every space of `release`, an earlier run.

    pairs: `Evidence.warm_pairs`, kept in scratch.
    """
    place = Place.of_stage(staged)
    stale = staged.keep("stale_users", _active_since(staged, release))
    old_items = release.read(features(ITEMS)).where(F.col("breadth") >= least_partners(release, ITEMS))
    new_items = evidence.entities[ITEMS].where(F.col("role") == WARM)
    new_items = staged.keep("new_items", new_items.join(old_items, on=ITEMS.key, how="left_anti").select(ITEMS.index))
    for space in SPACE_OF.values():
        if not release.has(factors(space, USERS)):
            continue
        settings = space_settings(release, space)
        items = staged.keep("carried_items", _carried(release, evidence, space, ITEMS))
        kept = _carried(release, evidence, space, USERS, stale)
        asked = pairs.join(kept.select(USERS.index), on=USERS.index, how="left_anti")
        made = bounded_fold_in(asked, items, settings, MAX_PARTNERS)
        users = staged.keep("carried_users", kept.unionByName(made))
        bought = pairs.join(new_items, on=ITEMS.index, how="left_semi")
        items = items.unionByName(swapped(bounded_fold_in(swapped(bought), swapped(users), settings, MAX_PARTNERS)))
        for side, vectors in ((ITEMS, items), (USERS, users)):
            breadth = pairs.groupBy(side.index).agg(F.count(F.lit(1)).alias("breadth"))
            named = breadth.join(evidence.entities[side].select(side.key, side.index), on=side.index, how="inner")
            place.write(factors(space, side), factor_table(vectors, named, side, settings.rank), None)


def _active_since(staged: Publication, release: Context) -> DataFrame:
    """Return `user_id` of the users whose interactions have changed since `release`, new users included."""
    known = [F.count(F.lit(1)).alias("items"), F.sum("num_events").alias("events")]
    now = staged.read(INTERACTIONS).groupBy(USERS.key).agg(*known)
    before = release.read(INTERACTIONS).groupBy(USERS.key).agg(*known)
    return now.join(before, on=[USERS.key, "items", "events"], how="left_anti").select(USERS.key)


def _carried(release: Context, evidence: Evidence, space: str, side: Side, but: DataFrame | None = None) -> DataFrame:
    """Return today's index and `vector` of warm entities with a vector in `release`. but: ids to leave out."""
    table = release.read(factors(space, side))
    old = table.select(side.key, vector_of(table).alias("vector"))
    old = old if but is None else old.join(but, on=side.key, how="left_anti")
    today = evidence.entities[side].where(F.col("role") == WARM).select(side.key, side.index)
    return today.join(old, on=side.key, how="inner").select(side.index, "vector")


def share_known(staged: Publication, release: Context, side: Side) -> float:
    """Return the share of today's entities of a side that `release` knows."""
    today = staged.read(features(side)).select(side.key)
    known = today.join(release.read(features(side)).select(side.key), on=side.key, how="left_semi")
    return known.count() / max(1, today.count())


def drift(staged: Publication, evidence: Evidence, encodings: Mapping[Side, TableEncoding]) -> Drift:
    """Measure the drift of a shop whose features and spaces are staged."""
    counted = {side: evidence.entities[side].groupBy("role").count().collect() for side in SIDES}
    sizes = {side: {row["role"]: row["count"] for row in rows} for side, rows in counted.items()}
    warm_users, items = sizes[USERS].get(WARM, 0), sum(sizes[ITEMS].values())
    space = next((space for space in SPACE_OF.values() if factors(space, USERS).name in staged.rows), None)
    placed = staged.rows[factors(space, USERS).name] if space else 0
    values = encodings[ITEMS].categorical
    shares = {}
    if values:
        known = [F.avg(F.when(F.col(e.column) != MISSING, (F.col(e.column) == UNKNOWN).cast("double"))) for e in values]
        row = evidence.cold(ITEMS).agg(*[share.alias(e.column) for share, e in zip(known, values, strict=True)]).first()
        shares = {e.name: row[e.column] or 0.0 for e in values} if row else {}
    worst = max(shares, key=lambda name: shares[name]) if shares else None
    return Drift(
        users_without_vector=1 - placed / warm_users if warm_users else 0.0,
        cold_items=1 - sizes[ITEMS].get(WARM, 0) / items if items else 0.0,
        unknown_values=shares[worst] if worst else 0.0, unknown_attribute=worst,
    )  # fmt: skip
