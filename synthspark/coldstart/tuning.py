"""How many virtual events, and how heavy: chosen on items that are treated as cold, where nobody has said."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.audience import Placing
from synthspark.coldstart.placing import place_items
from synthspark.indexing import uniform
from synthspark.judging import MERIT
from synthspark.quantiles import quantiles
from synthspark.ranking.measures import measure, questions, ranked
from synthspark.ranking.split import COLD, COLD_ITEMS, WARM, Split
from synthspark.recommend import AlsSettings, blocks_for, fit_als, with_virtual
from synthspark.runs.context import Context
from synthspark.runs.lake import Publication

BUDGETS = (0.01, 0.03, 0.1, 0.2)
WEIGHTS = (0.25, 0.5, 1.0)
K = 20
MAX_HELD, MIN_TRAIN = 2.0, 0.5
"""Bounds of a cut by time: pairs held out and training rows, each as a multiple of what drawn pairs would give."""
WARM_KEPT = 0.997
"""Share of the warm accuracy that a choice must keep: the gate allows .99, its interval included."""


@dataclass(frozen=True)
class Trial:
    """NDCG@20 of plain ALS on what a placing gives; 0 for a slice that nobody is asked about."""

    cold: float
    warm: float
    all: float


def trial_split(pairs: DataFrame, fold: DataFrame, holdout: float, seed: int) -> Split:
    """The items of `fold` (`item_index`) as cold, a `holdout` of the pairs held out: what the next period would ask.

    pairs: `user_index`, `item_index`, `rating`; of open items and of this fold, of no others. With `since` (when a pair
    was first seen) the newest pairs are held out, of new items and of old ones alike, and what the fold sold before is
    left out altogether: asked about its whole past, new items would seem to sell far better than they are about to.
    Without, where it is null, or where no cut by time holds out about as much as asked (`_newest`), the pairs are
    drawn, and the fold is asked about all that it sold.
    """
    drawn = uniform(F.lit("trial"), F.lit(seed), "user_index", "item_index") < holdout
    marked = pairs.join(fold.select("item_index", F.lit(True).alias("fold")), on="item_index", how="left")
    marked = marked.withColumn("fold", F.coalesce("fold", F.lit(False)))
    marked = marked.withColumn("held", F.coalesce(_newest(pairs, marked, holdout), F.col("fold") | drawn))
    train = marked.where(~F.col("fold") & ~F.col("held")).select("user_index", "item_index", "rating")
    test = marked.where("held").select("user_index", "item_index")
    role = F.when(F.col("fold"), COLD).otherwise(WARM).alias("role")
    users = pairs.select("user_index").distinct().select("user_index", F.lit(WARM).alias("role"))
    return Split(train, test, users, marked.select("item_index", role).distinct())


def _newest(pairs: DataFrame, marked: DataFrame, holdout: float) -> Column:
    """Whether a pair is among the newest `holdout`; null where it has no time, or where no pair can be told by time.

    marked: `pairs` with `fold`. Many pairs of one instant (a bulk import) are all newest or none is: a cut there
    could hold out everything. It is used only within MAX_HELD and MIN_TRAIN, and if it asks about cold and warm items.
    """
    cut = quantiles(pairs, {"since": F.col("since")}, [1 - holdout])["since"] if "since" in pairs.columns else []
    if not cut:
        return F.lit(None).cast("boolean")
    newest, fold = F.col("since") >= cut[0], F.col("fold")
    found = marked.agg(
        F.count("since").alias("dated"), F.count_if(newest & fold).alias("cold"),
        F.count_if(newest & ~fold).alias("warm"), F.count_if(~fold).alias("open"),
    ).collect()[0]  # fmt: skip
    most = MAX_HELD * max(1.0, holdout * found["dated"])
    least = MIN_TRAIN * (1 - holdout) * found["open"]
    fits = found["cold"] + found["warm"] <= most and found["open"] - found["warm"] >= least
    return newest if fits and found["cold"] and found["warm"] else F.lit(None).cast("boolean")


def trial_density(num_tried: int, num_cold: int, num_warm: int) -> float:
    """What a budget is multiplied by in a trial, so that the items tried get as many events each as the cold will.

    A budget is shared by all cold items of a user, and the trial has fewer. More cold items than warm (the tail that
    hardly sells) count as that many: else nothing would be left to try.
    """
    return min(1.0, num_tried / max(1, min(num_cold, num_warm)))


def tuned(
    context: Context, staged: Publication, split: Split, merits: DataFrame, users: DataFrame, als: AlsSettings,
    fixed: tuple[float | None, float | None], density: float,
) -> tuple[Placing, dict[str, dict[str, float]]]:  # fmt: skip
    """The best placing, and what was tried: first the budget at the middle weight, then the weight.

    merits: `user_index`, `item_index`, `merit` of the proposals of the split's cold items, by a judge that has not seen
    them; users: `user_index`, `breadth`; fixed: budget and weight where the user has said, else None; density: as of
    `trial_density`.
    """
    tried: dict[Placing, Trial] = {}
    table: dict[str, dict[str, float]] = {}

    def look(placing: Placing | None) -> Trial:
        if placing in tried:
            return tried[placing]
        rows = split.train
        if placing is not None:
            chosen = place_items(merits, users, density * placing.budget, context.config.synthesize.min_events,
                                 context.config.synthesize.seed)  # fmt: skip
            rows = with_virtual(rows, chosen.withColumn("weight", F.lit(placing.weight) * F.col(MERIT)))
        rows = staged.keep("trial/rows", rows)
        factors = fit_als(rows, als, blocks)
        lists = staged.keep("trial/lists", ranked(split, factors.users, factors.items, K))
        found = measure(asked, lists, [K])
        known = {s: float(found[s].sums.means()[0]) for s in ("cold", "warm", "all") if s in found}
        trial = Trial(*(known.get(s, 0.0) for s in ("cold", "warm", "all")))
        name = "real alone" if placing is None else f"budget {placing.budget:g}, weight {placing.weight:g}"
        table[name] = {s: round(value, 4) for s, value in known.items()}
        if placing is not None:
            tried[placing] = trial
        return trial

    blocks = blocks_for(math.ceil(split.train.count() * (1 + max(BUDGETS))))
    asked = questions(split, COLD_ITEMS)
    asked = asked._replace(truth=staged.keep("trial/truth", asked.truth))
    real = look(None)
    budgets = (fixed[0],) if fixed[0] is not None else BUDGETS
    weights = (fixed[1],) if fixed[1] is not None else WEIGHTS
    middle = weights[len(weights) // 2]
    first = best(real, {p: look(p) for p in (Placing(b, middle) for b in budgets)})
    return best(real, {p: look(p) for p in (Placing(first.budget, w) for w in weights)}), table


def best(real: Trial, tried: dict[Placing, Trial]) -> Placing:
    """Of those that keep warm accuracy (WARM_KEPT) the one that ranks all items best; if none does, what keeps most."""
    keeping = {p: t for p, t in tried.items() if t.warm >= WARM_KEPT * real.warm}
    if not keeping:
        return max(tried, key=lambda p: tried[p].warm)
    return max(keeping, key=lambda p: keeping[p].all)
