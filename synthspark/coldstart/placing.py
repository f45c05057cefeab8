"""Which users meet which items: synthetic pairs in proportion to a user's activity, and to what an item will sell.

By users alone a few items may get everybody; by items alone the heaviest buyers get everything. What suits a shop, the
users' own choice or a bound on both sides, is tried (docs/decisions/017).
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synthspark.indexing import uniform
from synthspark.retrieval import Draw, scored, top_k

PAIR = ("user_index", "item_index")
ROUNDS = 2
"""Times that an item asks for users: of the first it loses some to others, of the second hardly any."""


def num_candidates(budget: float, per_event: float, least: int) -> Column:
    """Of a user with `breadth` items: they grow with activity, from `least` on."""
    return F.greatest(F.ceil(F.col("breadth") * (budget * per_event)), F.lit(least)).cast("int")


def propose(users: DataFrame, items: DataFrame, min_users: int) -> DataFrame:
    """The generator's candidates: `user_index`, `item_index`, `score`, each pair once.

    users: `user_index`, `vector`, `k`; items: `item_index`, `vector`. Per user the `k` items that score highest; and
    per item the `min_users` users whose taste (the direction of their factor, not its length) is nearest, so that every
    item can have somebody.
    """
    by_user = _matched(users, items, "user_index", "item_index")
    both = by_user.unionByName(scored(of_like_taste(users, items, min_users), users, items))
    return both.groupBy(*PAIR).agg(F.max("score").alias("score"))


def of_like_taste(users: DataFrame, items: DataFrame, min_users: int) -> DataFrame:
    """`user_index`, `item_index` of the `min_users` users nearest to each item, as of `propose`."""
    asked = items.withColumn("k", F.lit(min_users))
    return _matched(asked, _unit_length(users.drop("k")), "item_index", "user_index").select(*PAIR)


def preferred(users: DataFrame, items: DataFrame) -> DataFrame:
    """`user_index`, `item_index` of the `k` items that score highest with each user, as of `propose`."""
    return _matched(users, items, "user_index", "item_index").select(*PAIR)


def place_by_user(pairs: DataFrame, users: DataFrame, budget: float, min_users: int, seed: int) -> DataFrame:
    """Of each user the `budget` x breadth pairs of most merit, whatever the items.

    pairs: `user_index`, `item_index`, `merit`; users: `user_index`, `breadth`. A budget of a part of an event is one
    event of that chance, drawn by user. An item that nobody chose so gets its best `min_users`.
    """
    by_user = Window.partitionBy("user_index").orderBy(*_best_first(seed))
    sized = pairs.join(_sized(users, budget, seed), on="user_index", how="inner")
    return _with_the_lonely(sized.withColumn("_chosen", F.row_number().over(by_user) <= F.col("_k")), min_users, seed)


def place_by_forecast(
    pairs: DataFrame, users: DataFrame, forecast: DataFrame, budget: float, slack: float, min_users: int, seed: int
) -> DataFrame:
    """`budget` x breadth pairs in all, of each item in proportion to its forecast.

    pairs, users: as of `place_by_user`; forecast: `item_index`, `expected` users, in any unit. An item asks for the
    users of most merit; a user takes the best of those that ask, up to `slack` x `budget` x breadth. For those who
    refused it asks others (ROUNDS). An item that nobody took gets its best `min_users`.
    """
    volume = budget * float(users.agg(F.sum("breadth")).collect()[0][0] or 0)
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
    return _with_the_lonely(asking, min_users, seed)


def _sized(users: DataFrame, budget: float, seed: int) -> DataFrame:
    """`user_index`, `_k`: how many events a user may have; a part of an event is one of that chance."""
    wanted = F.col("breadth") * budget
    k = F.floor(wanted) + (uniform(F.lit("events"), F.lit(seed), "user_index") < wanted - F.floor(wanted)).cast("int")
    return users.select("user_index", k.cast("int").alias("_k"))


def _best_first(seed: int) -> tuple[Column, Column, Column, Column]:
    return F.col("merit").desc(), F.xxhash64(F.lit(seed), *PAIR), F.col("item_index"), F.col("user_index")


def _with_the_lonely(pairs: DataFrame, min_users: int, seed: int) -> DataFrame:
    """The pairs that are `_chosen`, and of an item that has none its best `min_users`.

    Items with equal scores for a user get the user in turn, in a drawn order, so that they share those users.
    """
    _, order, by_item_index, by_user_index = _best_first(seed)
    alike = Window.partitionBy("user_index", "merit").orderBy(order, by_item_index)
    by_item = Window.partitionBy("item_index").orderBy("_turn", F.col("merit").desc(), order, by_user_index)
    ranked = pairs.withColumn("_turn", F.row_number().over(alike))
    ranked = ranked.withColumn("_nobody", ~F.max("_chosen").over(Window.partitionBy("item_index")))
    ranked = ranked.withColumn("_place", F.row_number().over(by_item))
    kept = ranked.where(F.col("_chosen") | (F.col("_nobody") & (F.col("_place") <= min_users)))
    return kept.select(*PAIR, "merit")


def draw_items(users: DataFrame, items: DataFrame, seed: int, sharpness: float | None) -> DataFrame:
    """`user_index`, `item_index`, `score`: for each user `k` items, drawn in proportion to preference^sharpness.

    users: `user_index`, `vector`, `k`, and optionally `exclude`, the items that the user has; items: `item_index`,
    `vector`; in ALS's own space, so that inner products are the expected preferences. sharpness None: the best.
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
