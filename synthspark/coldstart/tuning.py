"""Choice of budget, slack and weight of virtual events, unless configured: a trial on items treated as cold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.audience import NOTHING, Merits, Placing, placed
from synthspark.indexing import uniform
from synthspark.judging import MERIT
from synthspark.quantiles import quantiles
from synthspark.ranking.gate import WARM_TOLERANCE
from synthspark.ranking.measures import SliceResult, averaged, measure, paired_difference, questions, rank_items
from synthspark.ranking.split import COLD, COLD_ITEMS, WARM, Split
from synthspark.recommend import AlsSettings, blocks_for, fit_als, with_virtual
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication

BUDGETS = (0.01, 0.03, 0.1, 0.2)
START = 0.03
"""Budget with which slacks are tried: large enough to tell them apart, and most shops can bear it."""
SLACKS = (None, 1.0, 2.0)
WEIGHTS = (0.25, 0.05)
"""Slacks are tried with the first weight. Weight 1 gains little more and costs more (docs/decisions/016)."""
STARTS = 2
"""Starts of ALS per trial: warm accuracy of the same placing differs by up to 1.5 % between two starts."""
K = 20
MAX_HELD, MIN_TRAIN = 2.0, 0.5
"""Maximum of held-out pairs and minimum of training rows of a cut by time, as multiples of those of a random split."""
MIN_KEPT = 0.997
"""Minimum share of the accuracy over all items that a placing must keep in the mean of the questions, and that the
interval of its warm accuracy must reach in each; a smaller loss is no more than chance."""
MIN_EXPECTED = 1 - WARM_TOLERANCE / 2
"""Minimum share of warm accuracy on drawn pairs that a placing is expected to keep: half of the gate's tolerance."""
UNSEEN, UNSEEN_BY_USER = 0.05, 0.03
"""The loss of warm accuracy that a trial does not see: on average UNSEEN x budget if items are placed by forecast, and
UNSEEN_BY_USER x its square root if by user (promise and outcome of 34 placings: docs/decisions/016)."""
MIN_SURELY_KEPT = 1 - WARM_TOLERANCE
"""Minimum of the interval of warm accuracy on drawn pairs, as a share of that of the real rows: that of the gate."""
OVERSTATED = 0.02
"""What a trial promises too much, at most. A larger gain of warm accuracy counts whatever its interval, which is wide
in a shop of few users."""
MIN_AS_GOOD = 0.99
"""Placings with this share of the best accuracy over all items count as equal; cold accuracy decides among them."""
RESAMPLES = 200
"""Bootstrap resamples for the intervals of gains and losses."""
LATER, DRAWN = "later", "drawn"
"""Questions of a trial: the newest pairs, like a split by time, and drawn pairs, like a random split."""


Trials = dict[str, dict[str, float]]
"""Placing in words -> slice and question -> NDCG@20."""


class TrialSplit(NamedTuple):
    """A split with the items of a fold as cold, and the test pairs of one question or two."""

    split: Split
    """`test` has the pairs of all questions."""
    tests: Mapping[str, DataFrame]
    """Question (LATER or DRAWN) -> `user_index`, `item_index`."""


@dataclass(frozen=True)
class Trial:
    """Accuracy of plain ALS with a placing, by question; the mean of its starts."""

    found: Mapping[str, Mapping[str, SliceResult]]
    """Question -> slice -> result; empty slices are absent."""

    def value(self, question: str, part: str) -> float:
        """Return NDCG@20 of a slice; 0 if the slice is empty."""
        known = self.found[question].get(part)
        return known.value([K], f"ndcg_{K}") if known else 0.0


def trial_split(pairs: DataFrame, fold: DataFrame, holdout: float, seed: int) -> TrialSplit:
    """Split `pairs` with the items of `fold` (`item_index`) as cold and a share `holdout` of the other pairs held out.

    pairs: `user_index`, `item_index`, `rating`, optionally `since` (when a pair was first seen); of open items and of
    this fold, of no others. With `since` there are two questions, which hold out half of `holdout` each:

    - LATER: the newest pairs, of cold and warm items alike, as in the next period. Judged by their whole past, new
      items would seem to sell far better than they will.
    - DRAWN: random older pairs of warm items, and all older pairs of the fold.

    A placing must pass both: by the newest pairs alone, warm accuracy seemed to rise where drawn pairs lost 4 %
    (docs/decisions/016). Pairs with a null `since` are never among the newest. Without `since`, or if no cut by time
    holds out about as much as asked (`_newest`), there is only DRAWN.
    """
    marked = pairs.join(fold.select("item_index", F.lit(True).alias("fold")), on="item_index", how="left")
    marked = marked.withColumn("fold", F.coalesce("fold", F.lit(False)))
    newest = _newest(pairs, marked, holdout / 2)
    later = F.lit(False) if newest is None else F.coalesce(newest, F.lit(False))
    share = uniform(F.lit("trial"), F.lit(seed), "user_index", "item_index")
    marked = marked.withColumn("later", later)
    marked = marked.withColumn(
        "drawn", ~F.col("later") & (F.col("fold") | (share < (holdout if newest is None else holdout / 2)))
    )
    train = marked.where(~F.col("fold") & ~F.col("later") & ~F.col("drawn"))
    questions = (DRAWN,) if newest is None else (LATER, DRAWN)
    tests = {name: marked.where(name).select("user_index", "item_index") for name in questions}
    role = F.when(F.col("fold"), COLD).otherwise(WARM).alias("role")
    users = pairs.select("user_index").distinct().select("user_index", F.lit(WARM).alias("role"))
    items = marked.select("item_index", role).distinct()
    test = marked.where("later or drawn").select("user_index", "item_index")
    return TrialSplit(Split(train.select("user_index", "item_index", "rating"), test, users, items), tests)


def _newest(pairs: DataFrame, marked: DataFrame, holdout: float) -> Column | None:
    """Return the condition that a pair is among the newest `holdout`, null for a pair without a time.

    None if there is no usable cut: a cut must stay within MAX_HELD and MIN_TRAIN, and hold out pairs of cold and of
    warm items. Pairs of one instant (a bulk import) fall on the same side of a cut, which could hold out everything.
    marked: `pairs` with `fold`.
    """
    cut = quantiles(pairs, {"since": F.col("since")}, [1 - holdout])["since"] if "since" in pairs.columns else []
    if not cut:
        return None
    newest, fold = F.col("since") >= cut[0], F.col("fold")
    found = marked.agg(
        F.count("since").alias("dated"), F.count_if(newest & fold).alias("cold"),
        F.count_if(newest & ~fold).alias("warm"), F.count_if(~fold).alias("open"),
    ).collect()[0]  # fmt: skip
    most = MAX_HELD * max(1.0, holdout * found["dated"])
    least = MIN_TRAIN * (1 - holdout) * found["open"]
    fits = found["cold"] + found["warm"] <= most and found["open"] - found["warm"] >= least
    return newest if fits and found["cold"] and found["warm"] else None


def tuned(
    context: Context, staged: Publication, trial: TrialSplit, merits: Merits, users: DataFrame, als: AlsSettings,
    fixed: tuple[float | None, float | None], most: float,
) -> tuple[Placing, Trials]:  # fmt: skip
    """Return the best placing, and the accuracy of every one tried; see `search`.

    merits: merits of the split's cold items, by a judge that has not seen them, and of the items that share the budget;
    users: `user_index`, `breadth`; fixed: configured budget and weight, None where not configured; most: budget above
    which placings do not differ. NOTHING may be chosen unless the budget is configured.
    """
    table: Trials = {}
    split, config = trial.split, context.config.synthesize

    def measured(rows: DataFrame, seed: int) -> dict[str, dict[str, SliceResult]]:
        factors = fit_als(rows, replace(als, seed=seed), blocks)
        lists = staged.keep("trial/lists", rank_items(split, factors.users, factors.items, K))
        return {question: measure(of, lists, [K]) for question, of in asked.items()}

    @cache
    def look(placing: Placing) -> Trial:
        context.on_step(f"trying placings of virtual events: trial {len(table) + 1} of at most {most_trials}")
        rows = split.train
        if placing != NOTHING:
            within = replace(placing, budget=min(placing.budget, most))
            chosen = placed(merits, users, within, config.min_events, config.seed)
            rows = with_virtual(rows, chosen.withColumn("weight", F.lit(placing.weight) * F.col(MERIT)))
        rows = staged.keep("trial/rows", rows)
        starts = [measured(rows, als.seed + start) for start in range(STARTS)]
        found = Trial({question: averaged([of[question] for of in starts]) for question in asked})
        name = "real alone" if placing == NOTHING else placing.words()
        table[name] = {f"{s}, {q}": round(found.value(q, s), 4) for q in asked for s in COLD_ITEMS}
        if placing != NOTHING:
            kept = _kept_between(look(NOTHING), found, "warm", DRAWN)[0]
            table[name][f"warm, {DRAWN}, kept at least"] = round(kept, 4)
        return found

    blocks = blocks_for(math.ceil(split.train.count() * (1 + max(BUDGETS))))
    asked = {name: questions(split._replace(test=test), COLD_ITEMS) for name, test in trial.tests.items()}
    asked = {name: of._replace(truth=staged.keep(f"trial/truth_{name}", of.truth)) for name, of in asked.items()}
    differing = [b for k, b in enumerate(BUDGETS) if k == 0 or BUDGETS[k - 1] < most]
    budgets = [fixed[0]] if fixed[0] is not None else differing
    weights = (fixed[1],) if fixed[1] is not None else WEIGHTS
    most_trials = 2 * len(SLACKS) + len(budgets) * (len(weights) + 1)
    return search(look, budgets, weights, fixed[0] is None), table


def search(
    look: Callable[[Placing], Trial], budgets: Sequence[float], weights: Sequence[float], may_be_nothing: bool
) -> Placing:  # fmt: skip
    """Return the best placing (see `best`) among those that are looked at: first slacks, then budgets for each weight.

    Slacks are compared at START, and at the smallest of the ascending `budgets` if none gains. For each weight, budgets
    grow until one no longer gains: accuracy over all items grows with the budget, and so does the cost for warm items,
    which a small weight lowers. What is found is compared with the other slacks, which differ more at larger budgets.
    """
    real, tried = look(NOTHING), dict[Placing, Trial]()

    def best_of(placings: Iterable[Placing]) -> Placing:
        tried.update((placing, look(placing)) for placing in placings)
        return best(real, tried, may_be_nothing)

    def grown(first: Placing, weights: Sequence[float]) -> Placing:
        for weight in weights:
            for budget in (b for b in budgets if b >= first.budget):
                placing = replace(first, budget=budget, weight=weight)
                best_of([placing])
                if not _gains(real, tried[placing], placing):
                    break
        return best(real, tried, may_be_nothing)

    start = max((b for b in budgets if b <= START), default=budgets[0])
    chosen = best_of(Placing(start, weights[0], slack) for slack in SLACKS)
    if chosen == NOTHING and start != budgets[0]:
        chosen = best_of(Placing(budgets[0], weights[0], slack) for slack in SLACKS)
    chosen = grown(chosen if chosen != NOTHING else Placing(budgets[0], weights[0], SLACKS[0]), weights)
    if chosen == NOTHING:
        return chosen
    turned = best_of(replace(chosen, slack=slack) for slack in SLACKS)
    return chosen if turned.slack == chosen.slack else grown(turned, [turned.weight])


def best(real: Trial, tried: Mapping[Placing, Trial], may_be_nothing: bool = True) -> Placing:
    """Return the placing with the best cold accuracy among those that gain and are MIN_AS_GOOD over all items.

    Accuracies are compared as shares of those of the real rows alone; over all items, by the mean of the questions. A
    placing gains if

    - warm accuracy on drawn pairs, less what a trial does not see (`_unseen`), keeps MIN_EXPECTED, and its interval
      keeps MIN_SURELY_KEPT, unless it gains more than OVERSTATED;
    - in every question, the interval of warm accuracy reaches MIN_KEPT, and that of accuracy over all items reaches 1;
    - accuracy over all items keeps MIN_KEPT in the mean of the questions;
    - in some question, cold accuracy rises with its interval above zero.

    Warm accuracy on the newest pairs is judged by its interval only: they are fewer, and their mean would reject
    harmless placings by chance. If no placing gains, returns NOTHING or, unless `may_be_nothing`, the placing that
    keeps most of the warm accuracy in its worst question.
    """
    gaining = {p: t for p, t in tried.items() if _gains(real, t, p)}
    if not gaining:
        return NOTHING if may_be_nothing else max(tried, key=lambda p: _share_kept(real, tried[p], "warm", min))
    good = {p: _share_kept(real, t, "all", sum) for p, t in gaining.items()}
    as_good = [p for p in gaining if good[p] >= MIN_AS_GOOD * max(good.values())]
    return max(as_good, key=lambda p: sum(gaining[p].value(q, "cold") for q in real.found))


def _unseen(placing: Placing) -> float:
    """Return the loss of warm accuracy, as a share, that a trial of the placing does not see on average."""
    if placing.slack is None:
        return UNSEEN_BY_USER * math.sqrt(placing.budget)
    return UNSEEN * placing.budget


def _gains(real: Trial, tried: Trial, placing: Placing) -> bool:
    before, after = real.value(DRAWN, "warm"), tried.value(DRAWN, "warm")
    if after < (MIN_EXPECTED + _unseen(placing)) * before:
        return False
    if after <= (1 + OVERSTATED) * before and _kept_between(real, tried, "warm", DRAWN)[0] < MIN_SURELY_KEPT:
        return False
    least = {"warm": MIN_KEPT, "all": 1.0}
    if any(_kept_between(real, tried, part, q)[1] < least[part] for part, q in product(least, real.found)):
        return False
    if _share_kept(real, tried, "all", sum) < MIN_KEPT * len(real.found):
        return False
    return any(_surely(real.found[q], tried.found[q]) for q in real.found)


def _surely(real: Mapping[str, SliceResult], tried: Mapping[str, SliceResult]) -> bool:
    """Return whether cold accuracy rises with its interval above zero."""
    if "cold" not in real or "cold" not in tried:
        return False
    sums = ([real["cold"].sums], [tried["cold"].sums])
    return paired_difference(*sums, [K], f"ndcg_{K}", RESAMPLES, 0).low > 0


def _kept_between(real: Trial, tried: Trial, part: str, question: str) -> tuple[float, float]:
    """Return the interval of a placing's accuracy as a share of that of the real rows alone."""
    before, after = real.found[question].get(part), tried.found[question].get(part)
    if before is None or after is None:
        return 1.0, 1.0
    found = paired_difference([before.sums], [after.sums], [K], f"ndcg_{K}", RESAMPLES, 0)
    return 1 + found.low / max(found.real, 1e-9), 1 + found.high / max(found.real, 1e-9)


def _share_kept(real: Trial, tried: Trial, part: str, over: Callable[[Iterable[float]], float]) -> float:
    """Return a placing's accuracy as a share of that of the real rows alone, combined over the questions by `over`."""
    return over(tried.value(q, part) / max(real.value(q, part), 1e-9) for q in real.found)
