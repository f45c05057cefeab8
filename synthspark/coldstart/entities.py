"""All entities of a side: id, index, encoded attributes and behaviour, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.evidence import fit_encoding, least_partners
from synthspark.coldstart.spaces import write_feed
from synthspark.features import encoding
from synthspark.features.encoding import TableEncoding
from synthspark.features.interactions import behaviour_features, category_shares
from synthspark.indexing import with_index
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import clean, features
from synthspark.sides import ITEMS, USERS, Side

CATEGORY_SHARES = 8


class Entities(NamedTuple):
    """Result of `write_features`."""

    declared: DataFrame
    """Rows of the side's clean table; if there is none, the ids seen in events."""
    encoding: TableEncoding


def write_features(
    context: Context, staged: Publication, pairs: DataFrame, side: Side, known: Mapping[Side, TableEncoding],
    report: StageReport, fitted: TableEncoding | None = None,
) -> Entities:  # fmt: skip
    """Stage features/<side>.

    pairs: `pair_statistics` of all events; known: encodings of the sides that are staged already; fitted: the encoding
    of an earlier run; None to fit one on the warm entities.
    """
    seen = pairs.select(side.key).distinct()
    declared = context.read(clean(side)) if context.has(clean(side)) else seen
    entities = declared.join(seen, on=side.key, how="full") if context.has(clean(side)) else seen
    if fitted is None:
        fitted = fit_encoding(context, _warm(context, staged, declared, pairs, side), side)
    behaviour = behaviour_features(pairs, side.key)
    if side == USERS and ITEMS in known:
        behaviour = _with_category_shares(staged, behaviour, pairs, known[ITEMS])
    filled = [F.coalesce(c, F.lit(0)).alias(c) if t == "int" else F.coalesce(c, F.lit(0.0).cast(t)).alias(c)
              for c, t in behaviour.dtypes if c != side.key]  # fmt: skip
    encoded = encoding.encode(with_index(entities, side.key, side.index), fitted)
    table = encoded.join(behaviour, on=side.key, how="left").select(side.key, side.index, *fitted.columns, *filled)
    count = max(context.rows("clean", clean(side)), seen.count())
    write_feed(context, staged.write, features(side), table, count)
    report.tables.setdefault("features", {})[side.name] = staged.rows[features(side).name]
    return Entities(declared, fitted)


def _warm(context: Context, staged: Publication, declared: DataFrame, pairs: DataFrame, side: Side) -> DataFrame:
    """Return the declared rows of the warm entities."""
    met = pairs.groupBy(side.key).agg(F.count(F.lit(1)).alias("breadth"))
    enough = met.where(F.col("breadth") >= least_partners(context, side))
    return staged.keep(f"warm_{side.name}", declared.join(enough, on=side.key, how="left_semi"))


def _with_category_shares(
    staged: Publication, behaviour: DataFrame, pairs: DataFrame, items: TableEncoding
) -> DataFrame:
    """Add the shares of each user's events by category of the items' first categorical attribute."""
    if not items.categorical:
        return behaviour
    code = items.categorical[0].column
    shares = category_shares(pairs, staged.read(features(ITEMS)), code, encoding.FIRST, CATEGORY_SHARES)
    return behaviour.join(shares, on=USERS.key, how="left")
