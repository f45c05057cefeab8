"""The arms of a split: real rows, the product's virtual events, and controls; one function per arm, all in MAKERS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.audience import WEIGHT
from synthspark.coldstart.baskets import FORMS, NO_FORMS, Asked, baskets, baskets_by_history
from synthspark.coldstart.learn import Learned
from synthspark.coldstart.virtual import VirtualEvents, asked_users, audience, audience_of, virtual_events
from synthspark.config import Arm
from synthspark.judging import ItemStatistics, PairTable, item_statistics
from synthspark.judging.neighbours import neighbours
from synthspark.judging.ridge import fit_ridge
from synthspark.proof.controls import blind_pairs, duplicated_pairs, permuted
from synthspark.proof.simple import attribute_pairs, knn_vectors
from synthspark.ranking.split import Split
from synthspark.recommend import with_virtual
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.runs.tables import ALS_SPACE, ITEM_SPACE
from synthspark.sides import ITEMS, USERS, Side

REAL, PRODUCT, ONLY = "real", "real+synthetic", "synthetic_only"
Parts = list[DataFrame]
"""Tables of virtual events, `user_index`, `item_index`, `weight`: those of cold items, and those of cold users."""


@dataclass(frozen=True)
class Judged:
    """A split, what was learned from its training rows, and the product's virtual events."""

    context: Context
    staged: Publication
    split: Split
    learned: Learned | None
    """None if only the real rows are judged."""
    seed: int
    """Seed of the controls."""
    product: VirtualEvents
    """Virtual events that a run would place, kept in scratch."""

    @classmethod
    def of(cls, context: Context, staged: Publication, split: Split, learned: Learned | None, seed: int) -> Judged:
        """Place the product's events and return them with the split."""
        product = VirtualEvents(None, None)
        if learned is not None:
            found = virtual_events(context, staged, learned, _cold(learned, ITEMS), _cold(learned, USERS))
            product = replace(found, items=_kept(staged, found.items), users=_kept(staged, found.users))
        return cls(context, staged, split, learned, seed, product)

    @property
    def budget(self) -> float | None:
        """Budget of every arm, with or without a judge, so that all have the same volume."""
        return self.learned.judge.placing.budget if self.learned and self.learned.judge else None

    def rows(self, arm: str) -> DataFrame | None:
        """Return the training rows of ALS in an arm; None if the arm does not exist for this data."""
        train = self.split.train
        if arm == REAL or (arm == PRODUCT and not self.product.parts()):
            return train
        added = self.product.parts() if arm in (PRODUCT, ONLY) else self._added(arm)
        if not added:
            return None
        rows = reduce(DataFrame.unionByName, [part.select("user_index", "item_index", "weight") for part in added])
        return self.staged.keep(f"rows/{arm}", with_virtual(train.limit(0) if arm == ONLY else train, rows))

    def _added(self, arm: str) -> Parts:
        if self.learned is None:
            return []
        if arm in MAKERS:
            return MAKERS[arm](self, self.learned)
        return _ablation(self, self.learned, arm)


def _cold(learned: Learned, side: Side) -> DataFrame | None:
    """Return the cold entities of a side; None if no generator was trained for them."""
    return learned.evidence.cold(side) if side.name in learned.models else None


def _kept(staged: Publication, part: DataFrame | None) -> DataFrame | None:
    columns = ("user_index", "item_index", F.col("weight").cast("double").alias("weight"))
    return None if part is None else staged.keep("added", part.select(*columns))


def _no_judge(judged: Judged, learned: Learned) -> Parts:
    """Place the same number of events by the generator's own ranking."""
    return _place_again(judged, replace(learned, judge=None)) if learned.judge else []


def _permuted(judged: Judged, learned: Learned) -> Parts:
    """Place events of cold entities that have the attributes of another one."""
    mixed = {side: permuted(cold, side.index, judged.seed) if (cold := _cold(learned, side)) is not None else None
             for side in (ITEMS, USERS)}  # fmt: skip
    return _place_again(judged, learned, mixed[ITEMS], mixed[USERS])


def _place_again(
    judged: Judged, learned: Learned, items: DataFrame | None = None, users: DataFrame | None = None
) -> Parts:
    """Place events like the product, of the same volume and form of baskets, with changed inputs."""
    context, staged, found = judged.context, judged.staged, []
    items = _cold(learned, ITEMS) if items is None else items
    users = _cold(learned, USERS) if users is None else users
    made = None if items is None else audience(context, staged, learned, items, budget=judged.budget)
    if made is not None:
        found.append(made)
    if users is not None and judged.product.forms != NO_FORMS:
        made = baskets_by_history(context, asked_users(context, staged, learned, users), judged.product.forms)
        if made is not None:
            found.append(made)
    return found


def _ablation(judged: Judged, learned: Learned, arm: str) -> Parts:
    """Place the events of items with the ablation's settings; events of users are the product's."""
    settings = judged.context.config.evaluate.ablations[arm]
    items = _cold(learned, ITEMS)
    if items is None:
        return []
    chosen = learned if settings.judged else replace(learned, judge=None)
    budget = judged.budget if settings.budget is None else settings.budget
    made = audience(judged.context, judged.staged, chosen, items, model=arm if settings.hyper else ITEMS.name,
                    budget=budget, weight=settings.weight)  # fmt: skip
    return [part for part in (made, judged.product.users) if part is not None]


def _knn(judged: Judged, learned: Learned) -> Parts:
    def vectors_of(side: Side, cold: DataFrame, vectors: DataFrame) -> DataFrame:
        warm = learned.evidence.warm(side)
        placed = warm.join(vectors, on=side.index, how="left_semi")  # items of the judge's fold have no vector
        near = neighbours(cold, placed, side.index, *statistics(learned, side))
        return knn_vectors(near, vectors, side.index)

    return _simple(judged, learned, vectors_of)


def _ridge(judged: Judged, learned: Learned) -> Parts:
    def vectors_of(side: Side, cold: DataFrame, vectors: DataFrame) -> DataFrame:
        table = PairTable.of(learned.evidence.encodings[side])
        known = learned.evidence.warm(side).join(vectors, on=side.index, how="inner")
        return fit_ridge(known, side.index, table).vectors(cold, side.index)

    return _simple(judged, learned, vectors_of)


def _attribute_users(judged: Judged, learned: Learned) -> Parts:
    """Add one virtual user per attribute value, who has all its items; events of users are the product's."""
    if (cold := _cold(learned, ITEMS)) is None:
        return []
    items = learned.evidence.warm(ITEMS).unionByName(cold)
    last = judged.split.users.agg(F.max("user_index")).collect()[0][0]
    least, table = judged.context.config.features.min_category_count, PairTable.of(learned.evidence.encodings[ITEMS])
    made = attribute_pairs(items, table, least, last + 1).withColumn("weight", F.lit(WEIGHT))
    return [part for part in (made, judged.product.users) if part is not None]


def _simple(judged: Judged, learned: Learned, vectors_of: Callable[[Side, DataFrame, DataFrame], DataFrame]) -> Parts:
    """Place events like the product, but with preference vectors of a simple model and without a judge."""
    context, staged, evidence, parts = judged.context, judged.staged, learned.evidence, []
    items, users = _cold(learned, ITEMS), _cold(learned, USERS)
    if items is not None and evidence.encodings[ITEMS].encoders:
        made = staged.keep("made", vectors_of(ITEMS, items, learned.spaces[ITEM_SPACE][ITEMS]))
        unjudged = replace(learned, judge=None)
        placed = audience_of(context, staged, unjudged, items, made, judged.budget)
        parts += [placed] if placed is not None else []
    if users is not None and evidence.encodings[USERS].encoders:
        made = staged.keep("made", vectors_of(USERS, users, learned.spaces[ALS_SPACE][USERS]))
        own = evidence.pairs.join(made, on="user_index", how="left_semi")
        asked = Asked(made, learned.spaces[ALS_SPACE][ITEMS], evidence.pairs, own)
        parts += [baskets(context, asked, judged.product.forms.sparse or FORMS[-1])]
    return parts


def statistics(learned: Learned, side: Side) -> tuple[PairTable, ItemStatistics]:
    """Return the encoded columns of a side and the frequencies of their values, which weigh similarities."""
    table = PairTable.of(learned.evidence.encodings[side])
    as_items = learned.evidence.warm(side).withColumnRenamed(side.index, "item_index")
    pairs = learned.evidence.pairs.select(F.col(side.index).alias("item_index"))
    return table, item_statistics(as_items, pairs, table)


def _random(judged: Judged, _learned: Learned) -> Parts:
    return _blind(judged, "uniform")


def _popularity(judged: Judged, _learned: Learned) -> Parts:
    return _blind(judged, "popularity")


def _blind(judged: Judged, by: str) -> Parts:
    """Draw as many pairs as the product has, with its mean weight; cold users get as many as from the product."""
    train, items, parts = judged.split.train, judged.split.items.select("item_index"), []
    for part, of_users in ((judged.product.items, False), (judged.product.users, True)):
        if part is None:
            continue
        volume, weight = part.agg(F.count(F.lit(1)), F.avg("weight")).collect()[0]
        users = train.select("user_index").distinct()
        if of_users:
            users = part.groupBy("user_index").agg(F.count(F.lit(1)).cast("double").alias("share"))
        pairs = blind_pairs(users, items, train, volume, by, judged.seed)
        parts.append(pairs.withColumn("weight", F.lit(weight)))
    return parts


def _duplicated(judged: Judged, _learned: Learned) -> Parts:
    parts = judged.product.parts()
    if not parts:
        return []
    volume, weight = reduce(DataFrame.unionByName, parts).agg(F.count(F.lit(1)), F.avg("weight")).collect()[0]
    return [duplicated_pairs(judged.split.train, volume, judged.seed).withColumn("weight", F.lit(weight))]


MAKERS: dict[Arm, Callable[[Judged, Learned], Parts]] = {
    "no_judge": _no_judge,
    "permuted": _permuted,
    "knn": _knn,
    "ridge": _ridge,
    "attribute_users": _attribute_users,
    "random": _random,
    "popularity": _popularity,
    "duplicated": _duplicated,
}
"""Arm -> function that makes its virtual events; an empty list if the arm does not exist for this data."""
