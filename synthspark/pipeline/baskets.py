"""The baskets of users whom nobody knows yet: what synthesize and evaluate share."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.lake import Publication
from synthspark.pipeline.context import Context
from synthspark.synthesis.generate import histories, preferences
from synthspark.synthesis.herding import crowd_of, herded
from synthspark.synthesis.placing import basket_size, draw_items

LARGEST_SHARE = 10
"""A cold user's basket is at most one in this many items: of a small catalogue more would say nothing."""
DRAWN_PER_ITEM = 2
"""Items drawn for each one of a cold user's basket: half of them lead ALS to the place that was generated."""


def cold_baskets(
    context: Context, staged: Publication, users: DataFrame, targets: DataFrame, known: DataFrame, model_url: str,
    meta: dict[str, Any],
) -> DataFrame:  # fmt: skip
    """`user_index`, `item_index`, `weight` of the virtual events of real users who did little or nothing.

    users: `user_index`, the encoded columns and `noise`; targets: `item_index` and `vector` in ALS's own
    space; known: `user_index`, `item_index` of what users did, which the generator takes into account and the
    basket leaves out.
    """
    asked = users.select("user_index")
    own = staged.keep("known", known.join(asked, on="user_index", how="left_semi").select("user_index", "item_index"))
    with_history = users.join(histories(own, targets, "user_index"), on="user_index", how="left")
    seed = context.config.synthesize.seed
    made = staged.keep("made_cold_users", preferences(with_history, "user_index", model_url, meta, seed))
    return baskets(context, staged, made, targets, own)


def baskets(context: Context, staged: Publication, made: DataFrame, targets: DataFrame, own: DataFrame) -> DataFrame:
    """`user_index`, `item_index`, `weight` for real users with a preference, however it was `made`.

    made: `user_index`, `vector`, `log_activity`; own: pairs that are left out.
    """
    s = context.config.synthesize
    seen = own.groupBy("user_index").agg(F.collect_set("item_index").alias("exclude"))
    largest = max(1, targets.count() // LARGEST_SHARE)
    asked = made.withColumn("size", basket_size(s.min_events, min(s.max_basket, largest)))
    asked = asked.withColumn("k", (F.col("size") * DRAWN_PER_ITEM).cast("int"))
    drawn = draw_items(asked.join(seen, on="user_index", how="left"), targets, s.seed)
    asked = asked.withColumn("k", F.col("size"))
    placed = herded(staged.keep("drawn", drawn), asked, targets, crowd_of(targets))
    return placed.withColumn("weight", F.lit(s.basket_weight))


def new_baskets(
    context: Context, staged: Publication, users: DataFrame, targets: DataFrame, model_url: str, meta: dict[str, Any]
) -> DataFrame:
    """The same for new users: as active as they were generated, and just drawn, so that they vary as real ones do."""
    s = context.config.synthesize
    made = staged.keep("made_new_users", preferences(users, "user_index", model_url, meta, s.seed))
    drawn = draw_items(made.withColumn("k", basket_size(s.min_events, s.max_events)), targets, s.seed)
    return drawn.select("user_index", "item_index", F.lit(s.unjudged_weight).alias("weight"))
