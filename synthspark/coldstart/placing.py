"""Choice of the synthetic pairs, in proportion to users' activity and to items' forecasts.

If pairs are chosen per user alone, a few items may get all users; per item alone, the heaviest buyers get all items.
A trial decides between the best pairs of each user and bounds on both sides (docs/decisions/017).
"""

from __future__ import annotations

import math

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synthspark.indexing import uniform
from synthspark.retrieval import Draw, top_k, with_score

PAIR = ("user_index", "item_index")
ROUNDS = 2
"""Rounds in which items ask for users: in the first round some users refuse, in the second hardly any."""


def num_candidates(budget: float, per_event: float, least: int) -> Column:
    """Return the number of candidates of a user: in proportion to `breadth` (number of items), at least `least`."""
    return F.greatest(F.ceil(F.col("breadth") * (budget * per_event)), F.lit(least)).cast("int")


def propose(users: DataFrame, items: DataFrame, min_users: int) -> DataFrame:
    """Return the generator's candidates: `user_index`, `item_index`, `score`, each pair once.

    users: `user_index`, `vector`, `k`; items: `item_index`, `vector`. Candidates are, per user, the `k` items that
    score highest and, per item, the `min_users` users whose taste (the direction of their vector, not its length) is
    nearest, so that every item has candidates.
    """
    by_user = _matched(users, items, "user_index", "item_index")
    both = by_user.unionByName(with_score(of_like_taste(users, items, min_users), users, items))
    return both.groupBy(*PAIR).agg(F.max("score").alias("score"))


def of_like_taste(users: DataFrame, items: DataFrame, min_users: int) -> DataFrame:
    """Return `user_index`, `item_index` of the `min_users` users nearest to each item; arguments as in `propose`."""
    asked = items.withColumn("k", F.lit(min_users))
    return _matched(asked, _unit_length(users.drop("k")), "item_index", "user_index").select(*PAIR)


def preferred(users: DataFrame, items: DataFrame) -> DataFrame:
    """Return `user_index`, `item_index` of the `k` items that score highest per user; arguments as in `propose`."""
    return _matched(users, items, "user_index", "item_index").select(*PAIR)


def place_by_user(
    pairs: DataFrame, users: DataFrame, budget: float, min_users: int, seed: int, every: bool = False
) -> DataFrame:
    """Choose `budget` x breadth pairs per user, those of the highest merit, without a limit per item.

    pairs: `user_index`, `item_index`, `merit`; users: `user_index`, `breadth`. A fraction of an event becomes one event
    with that probability, drawn by user. An item without any chosen pair gets its `min_users` best ones, as far as the
    budget goes once more (`_with_the_lonely`), or whatever the budget if `every` is true.
    """
    by_user = Window.partitionBy("user_index").orderBy(*_best_first(seed))
    sized = pairs.join(_sized(users, budget, seed), on="user_index", how="inner")
    chosen = sized.withColumn("_chosen", F.row_number().over(by_user) <= F.col("_k"))
    most = None if every else _most_lonely(pairs, _volume(users, budget), min_users)
    return _with_the_lonely(chosen, min_users, most, seed)


def place_by_forecast(
    pairs: DataFrame, users: DataFrame, forecast: DataFrame, budget: float, slack: float, min_users: int, seed: int,
    every: bool = False,
) -> DataFrame:  # fmt: skip
    """Choose `budget` x breadth pairs in total, shared among the items in proportion to their forecasts.

    pairs, users: as in `place_by_user`; forecast: `item_index`, `expected` users, in any unit. An item asks for the
    users with the highest merit; a user accepts the best of the items that ask, up to `slack` x `budget` x breadth. In
    the next of ROUNDS rounds the item asks others in place of users who refused. An item without any chosen pair gets
    its `min_users` best ones, as in `place_by_user`.
    """
    volume = _volume(users, budget)
    expected = forecast.agg(F.sum(F.col("expected").cast("decimal(20,0)"))).collect()[0][0]
    share = volume / float(expected or 1)
    wanted = F.greatest(F.round(F.col("expected") * share), F.lit(min_users)).cast("int").alias("_wanted")
    asking = pairs.join(forecast.select("item_index", wanted), on="item_index", how="inner")
    asking = asking.join(_sized(users, slack * budget, seed), on="user_index", how="inner")
    asking = asking.withColumns({"_chosen": F.lit(False), "_refused": F.lit(False)})
    item, user = Window.partitionBy("item_index"), Window.partitionBy("user_index")
    for _ in range(ROUNDS):
        free = {"_of_item": F.col("_wanted") - F.count_if("_chosen").over(item),
                "_of_user": F.col("_k") - F.count_if("_chosen").over(user)}  # fmt: skip
        asking = asking.withColumns(free)
        asking = asking.withColumn("_open", ~F.col("_chosen") & ~F.col("_refused") & (F.col("_of_user") > 0))
        place = F.row_number().over(item.orderBy(F.col("_open").desc(), *_best_first(seed)))
        asking = asking.withColumn("_asks", F.col("_open") & (place <= F.col("_of_item")))
        rank = F.row_number().over(user.orderBy(F.col("_asks").desc(), *_best_first(seed)))
        asking = asking.withColumn("_takes", F.col("_asks") & (rank <= F.col("_of_user")))
        asking = asking.withColumns({"_chosen": F.col("_chosen") | F.col("_takes"),
                                     "_refused": F.col("_refused") | (F.col("_asks") & ~F.col("_takes"))})  # fmt: skip
    return _with_the_lonely(asking, min_users, None if every else _most_lonely(pairs, volume, min_users), seed)


def _volume(users: DataFrame, budget: float) -> float:
    return budget * float(users.agg(F.sum("breadth")).collect()[0][0] or 0)


def _most_lonely(pairs: DataFrame, volume: float, min_users: int) -> int | None:
    """Return how many items without a chosen pair get `min_users` pairs: so many as `volume` holds; None for all."""
    most = math.ceil(volume / min_users)
    items = pairs.agg(F.count_distinct("item_index")).collect()[0][0]
    return most if items > most else None


def _sized(users: DataFrame, budget: float, seed: int) -> DataFrame:
    """Return `user_index`, `_k`: maximum number of events per user; a fraction is one event with that probability."""
    wanted = F.col("breadth") * budget
    k = F.floor(wanted) + (uniform(F.lit("events"), F.lit(seed), "user_index") < wanted - F.floor(wanted)).cast("int")
    return users.select("user_index", k.cast("int").alias("_k"))


def _best_first(seed: int) -> tuple[Column, Column, Column, Column]:
    return F.col("merit").desc(), F.xxhash64(F.lit(seed), *PAIR), F.col("item_index"), F.col("user_index")


def _with_the_lonely(pairs: DataFrame, min_users: int, most: int | None, seed: int) -> DataFrame:
    """Return the `_chosen` pairs, and the `min_users` best pairs of each item without a chosen one.

    most: maximum number of these items, those whose best pair has the highest merit; None for all. In a catalogue full
    of products that nobody buys, one event for each would be many times the budget.

    Items of equal merit for a user take turns, in an order drawn by a hash, so that they share their users.
    """
    _, order, by_item_index, by_user_index = _best_first(seed)
    alike = Window.partitionBy("user_index", "merit").orderBy(order, by_item_index)
    by_item = Window.partitionBy("item_index").orderBy("_turn", F.col("merit").desc(), order, by_user_index)
    ranked = pairs.withColumn("_turn", F.row_number().over(alike))
    ranked = ranked.withColumn("_nobody", ~F.max("_chosen").over(Window.partitionBy("item_index")))
    ranked = ranked.withColumn("_place", F.row_number().over(by_item))
    lonely = F.col("_nobody") & (F.col("_place") <= min_users)
    if most is None:
        return ranked.where(F.col("_chosen") | lonely).select(*PAIR, "merit")
    best = ranked.where(lonely).groupBy("item_index").agg(F.max("merit").alias("_best"))
    drawn = F.xxhash64(F.lit(seed), "item_index")
    best = best.orderBy(F.col("_best").desc(), drawn, "item_index").limit(most).select("item_index")
    served = ranked.where(lonely).join(best, on="item_index", how="left_semi")
    return ranked.where("_chosen").select(*PAIR, "merit").unionByName(served.select(*PAIR, "merit"))


def draw_items(users: DataFrame, items: DataFrame, seed: int, sharpness: float | None) -> DataFrame:
    """Draw `k` items per user, in proportion to preference^sharpness: `user_index`, `item_index`, `score`.

    users: `user_index`, `vector`, `k`, and optionally `exclude`, the items that the user has; items: `item_index`,
    `vector`. Both vectors are in ALS's own space, where inner products are the expected preferences. sharpness: None
    for the `k` best items.
    """
    draw = None if sharpness is None else Draw(seed, sharpness)
    return _matched(users, items, "user_index", "item_index", draw)


def _unit_length(entities: DataFrame) -> DataFrame:
    squares = F.aggregate("vector", F.lit(0.0), lambda total, x: total + x * x)
    length = F.greatest(F.sqrt(squares), F.lit(1e-12))
    scaled = F.transform("vector", lambda x: (x / length).cast("float"))
    return entities.withColumn("vector", scaled)


def _matched(queries: DataFrame, targets: DataFrame, query: str, target: str, draw: Draw | None = None) -> DataFrame:
    exclude = F.col("exclude") if "exclude" in queries.columns else F.lit(None).cast("array<int>").alias("exclude")
    asked = queries.select(F.col(query).alias("query_index"), "vector", "k", exclude)
    found = top_k(asked, targets.select(F.col(target).alias("target_index"), "vector"), draw)
    named = found.withColumnsRenamed({"query_index": query, "target_index": target})
    return named.select(*PAIR, "score")
