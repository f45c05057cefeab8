"""Stage recommend: the ALS that evaluate judges, on real interactions and the virtual ones of cold users and items.

New users and items stay out: nobody is to be recommended them, and their events were not judged.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.spaces import als_blocks, als_settings
from synthspark.recommend import REAL, blocks_for, fit_als, rating, recommendations
from synthspark.runs.context import Context, StageReport
from synthspark.runs.tables import INTERACTIONS, RECOMMENDATIONS, SYNTHETIC_EVENTS, features
from synthspark.sides import ITEMS, USERS

COLD = ("cold_item", "cold_user")


def recommend(context: Context) -> StageReport:
    """Publish recommendations: `user_id`, `item_id`, `rank`, `score`; cold users and items included."""
    config, report = context.config.recommend, StageReport()
    with context.publication("recommend") as staged:
        context.on_step("fitting ALS on real and synthetic events")
        real = context.read(INTERACTIONS).select("user_id", "item_id", "weight", F.lit(True).alias(REAL))
        unit = context.record("featurize")["details"]["unit_weight"]
        virtual = context.read(SYNTHETIC_EVENTS).where(F.col("origin").isin(*COLD))
        virtual = virtual.select(
            "user_id", "item_id", (F.col("weight") * unit).alias("weight"), F.lit(False).alias(REAL)
        )
        both = real.unionByName(virtual).groupBy("user_id", "item_id")
        summed = both.agg(F.sum("weight").alias("weight"), F.max(REAL).alias(REAL))
        users = context.read(features(USERS)).select("user_id", "user_index")
        items = context.read(features(ITEMS)).select("item_id", "item_index")
        ratings = summed.join(users, on="user_id", how="inner").join(items, on="item_id", how="inner")
        ratings = ratings.withColumn("rating", rating(F.col("weight"), unit)).persist()
        report.rows_in = ratings.count()
        blocks = max(als_blocks(context), blocks_for(report.rows_in))
        factors = fit_als(ratings, als_settings(context), blocks)
        seen = None
        if config.exclude_seen:
            seen = real.join(users, on="user_id", how="inner").join(items, on="item_id", how="inner")
        context.on_step("ranking items for every user")
        lists = recommendations(factors, config.k, seen)
        named = lists.join(users, on="user_index", how="inner").join(items, on="item_index", how="inner")
        report.rows_out = staged.write(RECOMMENDATIONS, named.select("user_id", "item_id", "rank", "score"))
        report.tables["recommended"] = _summary(context, staged.read(RECOMMENDATIONS))
        staged.details.update(report.to_json())
        ratings.unpersist()
    return report


def _summary(context: Context, lists: DataFrame) -> dict[str, int]:
    least = context.config.features.min_item_users
    cold = context.read(features(ITEMS)).where(F.col("breadth") < least).select("item_id")
    of_cold = lists.join(cold, on="item_id", how="left_semi")
    return {
        "users": lists.select("user_id").distinct().count(),
        "items": lists.select("item_id").distinct().count(),
        "places given to cold items": of_cold.count(),
    }
