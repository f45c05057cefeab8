"""Hold out clicks of a search log, and define the slices to evaluate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.proof.protocols import keep_split
from synthspark.quantiles import quantiles
from synthspark.ranking.split import (
    ANYBODY,
    COLD,
    WARM,
    Shares,
    Slice,
    Split,
    entity_split,
    time_split,
    why_not_judged,
)
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.search.log import SearchLog

COLD_ITEM, COLD_QUERY, TIME = "search_cold_item", "search_cold_query", "search_time"
SLICES: Mapping[str, Mapping[str, Slice]] = {
    COLD_ITEM: {
        "cold": Slice((WARM,), (COLD,)),
        "warm": Slice((WARM,), (WARM,)),
        "all": Slice((WARM,), (WARM, COLD)),
        "cold_in_all": Slice((WARM,), (COLD,), (WARM, COLD)),
        "warm_in_all": Slice((WARM,), (WARM,), (WARM, COLD)),
    },
    COLD_QUERY: {"unseen": Slice((COLD,), (WARM,))},
    TIME: {
        "cold": Slice(ANYBODY, (COLD,)),
        "unseen": Slice((COLD,), ANYBODY),
        "warm": Slice((WARM,), (WARM,)),
        "all": Slice(ANYBODY, ANYBODY),
        "cold_in_all": Slice(ANYBODY, (COLD,), ANYBODY),
        "warm_in_all": Slice((WARM,), (WARM,), ANYBODY),
    },
}
"""Protocol -> its slices. Queries take the part of users in a split. Slice `unseen` has the queries without clicks."""
HELD_BY = {"cold": "cold_fraction", "warm": "warm_holdout"}


class Held(NamedTuple):
    """Split of a log, and the slices of each protocol that it serves."""

    split: Split
    slices: Mapping[str, Mapping[str, Slice]]

    def every(self) -> dict[str, Slice]:
        """Return the slices of all protocols."""
        return {name: asked for of in self.slices.values() for name, asked in of.items()}


def drawn(context: Context, log: SearchLog, seed: int) -> Split:
    """Draw items and queries that lose all clicks; half of each are evaluated, half are set aside."""
    config = context.config.evaluate
    shares = Shares(config.cold_fraction, context.config.search.cold_query_fraction, config.warm_holdout)
    pairs = log.clicks.select(F.col("query_index").alias("user_index"), "item_index", "since")
    users = pairs.select("user_index").distinct().withColumn("eligible", F.lit(True))
    return entity_split(pairs, users, pairs.select("item_index").distinct(), shares, config.part, seed)


def by_time(context: Context, log: SearchLog, _seed: int) -> Split:
    """Split clicks into those before and after an instant."""
    pairs = log.clicks.select(F.col("query_index").alias("user_index"), "item_index", "since")
    cut = quantiles(pairs, {"since": F.col("since")}, [1 - context.config.evaluate.time_fraction])["since"]
    start = cut[0] if cut else 0
    before = pairs.where(F.col("since") < start).withColumn("rating", F.lit(1.0))
    after = pairs.where(F.col("since") >= start)
    users, items = (pairs.select(key).distinct() for key in ("user_index", "item_index"))
    return time_split(before, after, users, items, 1, 1)


SPLITS: Mapping[tuple[str, ...], Callable[[Context, SearchLog, int], Split]] = {
    (COLD_ITEM, COLD_QUERY): drawn,
    (TIME,): by_time,
}
"""Protocols that share a split -> function that makes the split."""


def held_out(
    context: Context, staged: Publication, log: SearchLog, asked: Sequence[str], seed: int, report: StageReport
) -> list[Held]:
    """Make and materialise the splits for the protocols `asked`; protocols that the log cannot serve are reported."""
    found = []
    for protocols, split_of in SPLITS.items():
        wanted = {name: SLICES[name] for name in protocols if name in asked}
        if not wanted or (TIME in wanted and seed != context.config.evaluate.seeds[0]):
            continue
        name = "+".join(wanted)
        split = keep_split(context, staged, split_of(context, log, seed), name, report, "queries")
        slices = dict(SLICES[protocols[0]])
        why = why_not_judged(split, name, Shares(items=1.0), slices, HELD_BY)
        if why is not None:
            report.notes.append(f"searches are not judged: {why}")
            continue
        found.append(Held(split, wanted))
    return found


def queries_of(pairs: DataFrame) -> DataFrame:
    """Return `query_index`, `item_index` of the pairs of a split."""
    return pairs.withColumnRenamed("user_index", "query_index").select("query_index", "item_index")
