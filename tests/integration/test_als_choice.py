"""ALS chosen on real rows, through Spark: what is tried, told and used afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.coldstart import als_choice
from synthspark.coldstart.half_life import choose_half_life, half_life
from synthspark.coldstart.spaces import als_settings
from synthspark.config import Config
from synthspark.config.learning import Recommend
from synthspark.errors import ConfigError
from synthspark.recommend import choice
from synthspark.recommend.choice import held_out
from synthspark.runs.context import Context, StageReport
from synthspark.runs.lake import Lake

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def pairs(spark: SparkSession) -> DataFrame:
    """Users of three tastes, who buy of their third of 60 items, one item a second."""
    rng = np.random.default_rng(0)
    rows = [(u, 3 * int(i) + u % 3) for u in range(60) for i in rng.choice(20, 10, replace=False)]
    dated = [(*rows[k], 0.7, since) for since, k in enumerate(rng.permutation(len(rows)).tolist())]
    return spark.createDataFrame(dated, "user_index int, item_index int, rating float, since long").persist()


@pytest.fixture
def context(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    for name, values in (("RANKS", (1, 4)), ("ALPHAS", (1.0,)), ("REGULARIZATIONS", (0.1,))):
        monkeypatch.setattr(choice, name, values)
    source = {"events": {"path": "e.parquet", "columns": {"user_id": "u", "item_id": "i"}, "event_type": "purchase"}}
    config = Config.model_validate({"source": source, "recommend": {"auto": True, "rank": 1, "iterations": 5}})
    return Context(spark, Lake(spark, str(tmp_path)), config, "r")


def test_the_rank_that_tastes_need_is_chosen_told_and_used(context: Context, pairs: DataFrame) -> None:
    report = StageReport()
    with context.lake.publication("r", "featurize") as staged:
        chosen = als_choice.choose_als(context, staged, pairs, report)
        staged.details.update(report.to_json())
    assert als_settings(chosen).rank == 4 and not chosen.config.recommend.auto
    assert [row["rank"] for row in report.details["als_tried"]] == [1, 4]
    assert "rank 4" in report.notes[0] and len(report.notes) == 1
    assert als_settings(context).rank == 4  # of every later stage, by the record


def test_the_choice_does_not_depend_on_how_much_all_weights_have_decayed(context: Context, pairs: DataFrame) -> None:
    tried = []
    for decay in (1.0, 0.001):
        report, decayed = StageReport(), F.log1p(decay * F.expm1("rating")).cast("float")
        with context.lake.publication("r", "featurize") as staged:
            als_choice.choose_als(context, staged, pairs.withColumn("rating", decayed), report)
        tried.append(report.details["als_tried"])
    assert tried[0] == tried[1]


def test_a_run_that_was_featurized_without_says_so(context: Context) -> None:
    plain = replace(context, run_id="plain")
    with plain.lake.publication("plain", "featurize") as staged:
        staged.details.update(StageReport().to_json())
    with pytest.raises(ConfigError, match="run featurize"):
        als_settings(plain)


def test_what_protocol_time_judges_is_not_looked_at(pairs: DataFrame) -> None:
    train, test = held_out(pairs, 0.2, 0)
    asked = test.join(pairs, on=["user_index", "item_index"]).agg({"since": "max"}).collect()[0][0]
    known = train.join(pairs, on=["user_index", "item_index"]).agg({"since": "max"}).collect()[0][0]
    assert known < 360 <= asked < 480 and train.count() + test.count() < pairs.count()
    at_once = pairs.selectExpr("user_index", "item_index", "rating", "7L as since")
    train, test = held_out(at_once, 0.2, 0)
    assert train.count() + test.count() == pairs.count() and test.count() > 60


def moved_tastes(spark: SparkSession, days: int) -> DataFrame:
    """Users who buy of one third of 60 items, and from 30 days before the tried part on of the next third."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"i{3 * rng.integers(20) + (u + (day >= 0.6 * days - 30)) % 3}", day)
        for u in range(60) for day in rng.choice(days, 30, replace=False).tolist()
    ]  # fmt: skip
    events = spark.createDataFrame(rows, "user_id string, item_id string, day int")
    at = F.timestamp_seconds(F.col("day") * 86_400)
    dated = events.select("user_id", "item_id", F.lit("purchase").alias("event_type"), at.alias("ts"))
    return dated.withColumns({name: F.lit(None).cast("double") for name in ("value", "price")})


def test_a_short_half_life_is_chosen_where_tastes_move(context: Context, spark: SparkSession) -> None:
    report, context = StageReport(), als_choice.with_settings(context, {"rank": 6, "auto": True})
    with context.lake.publication("r", "featurize") as staged:
        chosen = choose_half_life(context, staged, moved_tastes(spark, 400), report)
        staged.details.update(report.to_json())
    tried = {row["days"]: row["ndcg"] for row in report.details["half_lives_tried"]}
    assert list(tried) == [90, None, 45, 20] and chosen in (20, 45) and tried[chosen] > 1.02 * tried[90]
    assert half_life(context) == chosen and f"half-life of {chosen:g} days" in report.notes[0]
    off = replace(context, config=context.config.model_copy(update={"recommend": Recommend()}))
    assert half_life(off) == 90


def test_the_half_life_stays_where_events_cannot_be_split_by_time(context: Context, spark: SparkSession) -> None:
    for ts in (F.lit(None).cast("timestamp"), F.timestamp_seconds(F.lit(0))):
        report = StageReport()
        with context.lake.publication("r", "featurize") as staged:
            assert choose_half_life(context, staged, moved_tastes(spark, 40).withColumn("ts", ts), report) == 90
        assert "the half-life stays 90 days" in report.notes[0] and "half_life_days" not in report.details
