"""Stage recommend: ALS on real and synthetic interactions, and a list for every real user."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.indexing import with_index
from synthspark.pipeline.context import Context, StageReport, als_blocks
from synthspark.pipeline.featurize import als_settings
from synthspark.recommend import Factors, fit_als, rating, recommendations


def recommend(context: Context) -> StageReport:
    """Publish recommendations: `user_id`, `item_id`, `rank`, `score`; cold users and items included."""
    config, report = context.config.recommend, StageReport()
    with context.lake.publication(context.run_id, "recommend") as staged:
        real = context.read("features/interactions", feed=True).select("user_id", "item_id", "weight")
        unit = context.record("featurize")["details"]["unit_weight"]
        virtual = context.read("synthetic/events").select(
            "user_id", "item_id", (F.col("weight") * unit).alias("weight")
        )
        summed = real.unionByName(virtual).groupBy("user_id", "item_id").agg(F.sum("weight").alias("weight"))
        users, items = _indexed(context, "user_id"), _indexed(context, "item_id")
        ratings = summed.join(users, on="user_id", how="inner").join(items, on="item_id", how="inner")
        ratings = ratings.withColumn("rating", rating(F.col("weight"), unit)).persist()
        report.rows_in = ratings.count()
        factors = fit_als(ratings, als_settings(context), als_blocks(context))
        seen = None
        if config.exclude_seen:
            seen = real.join(users, on="user_id", how="inner").join(items, on="item_id", how="inner")
        shown = Factors(
            factors.users.join(users.where("real").select("user_index"), on="user_index", how="left_semi"),
            factors.items.join(items.where("real").select("item_index"), on="item_index", how="left_semi"),
        )
        lists = recommendations(shown, config.k, seen)
        named = lists.join(users.select("user_id", "user_index"), on="user_index", how="inner")
        named = named.join(items.select("item_id", "item_index"), on="item_index", how="inner")
        report.rows_out = staged.write("recommendations", named.select("user_id", "item_id", "rank", "score"))
        report.tables["recommended"] = _summary(context, staged.read("recommendations"))
        staged.details.update(report.to_json())
        ratings.unpersist()
    return report


def _indexed(context: Context, key: str) -> DataFrame:
    """`key`, its index among real and synthetic ids together, and whether it is `real`."""
    name = key.removesuffix("_id")
    real = context.read(f"features/{name}s", feed=True).select(key, F.lit(True).alias("real"))
    new = context.read(f"synthetic/{name}s").select(key, F.lit(False).alias("real"))
    return with_index(real.unionByName(new), key, f"{name}_index").persist()


def _summary(context: Context, lists: DataFrame) -> dict[str, int]:
    least = context.config.features.min_item_users
    cold = context.read("features/items", feed=True).where(F.col("breadth") < least).select("item_id")
    of_cold = lists.join(cold, on="item_id", how="left_semi")
    return {
        "users": lists.select("user_id").distinct().count(),
        "items": lists.select("item_id").distinct().count(),
        "places given to cold items": of_cold.count(),
    }
