"""Compare `apply` with training again: `make benchmark-apply` (an hour and a half).

Writes benchmarks/results/apply.json; docs/production.md has its table.

Complete Journey at three dates, with the demo's tables and the default of every other setting. The release is trained
on sales until 28 days before the date; on the date, `apply` uses it, and another run is trained from scratch, up to its
virtual events. For both, ALS is fitted on real and virtual events and predicts what warm users buy in the following
four weeks. As in protocol `time`, the products are those with features.min_item_users buyers by the end of that time;
cold are those with fewer buyers on the date. CPU seconds include all processes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models"), str(ROOT / "benchmarks")]

from pyspark.sql import functions as F  # noqa: E402
from scale import adopt_orphans, reaped_cpu  # noqa: E402

from synthspark.coldstart.spaces import als_settings  # noqa: E402
from synthspark.config import load  # noqa: E402
from synthspark.features.published import indexed_interactions  # noqa: E402
from synthspark.ranking.measures import measure, questions, rank_items  # noqa: E402
from synthspark.ranking.split import COLD, WARM, Slice, Split  # noqa: E402
from synthspark.recommend import blocks_for, fit_als, rating, with_virtual  # noqa: E402
from synthspark.runs.context import Context  # noqa: E402
from synthspark.runs.lake import Lake  # noqa: E402
from synthspark.runs.tables import SYNTHETIC_EVENTS, features  # noqa: E402
from synthspark.session import session  # noqa: E402
from synthspark.sides import ITEMS, SIDES, USERS  # noqa: E402
from synthspark.stages.run import run_stage  # noqa: E402

SHOP = ROOT / "data" / "complete_journey"
RESULTS = ROOT / "benchmarks" / "results" / "apply.json"
WEEKS = timedelta(days=28)
DATES = (date(2017, 9, 1), date(2017, 10, 1), date(2017, 11, 1))
K = 20
STAGES = ("clean", "featurize", "train", "synthesize")
"""Stages of a run that make what `apply` makes."""
SLICES = {"cold": Slice((WARM,), (COLD,)), "warm": Slice((WARM,), (WARM,)), "all": Slice((WARM,), (WARM, COLD))}


def main(folder: Path, dates: Sequence[date]) -> None:
    """Measure the given dates and keep existing results of others."""
    adopt_orphans()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for day in dates:
        row = measured(folder / day.isoformat(), day)
        kept = sorted([r for r in kept if r["date"] != row["date"]] + [row], key=lambda r: r["date"])
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
        print(json.dumps(row))


def measured(folder: Path, day: date) -> dict[str, Any]:
    """Return CPU seconds and NDCG@20 by slice, of applying the release and of training again."""
    config = str(write(folder, day - WEEKS))
    command(__file__, "--run", config, "release")
    write(folder, day)
    words = ("apply", "--models", "release", "--force", "--run-id", "applied")
    applied = command("-m", "synthspark", *words, "--config", config)
    again = command(__file__, "--run", config, "again")
    found = {name: scored(config, name, str(folder / "after.parquet")) for name in ("applied", "again")}
    return {"date": day.isoformat(), "cpu_seconds": {"applied": applied, "again": again}, "ndcg": found}


def write(folder: Path, day: date) -> Path:
    """Write the shop until `day`, later events as `after.parquet`, and a configuration that reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    events = pd.read_parquet(SHOP / "transactions.parquet")
    at = pd.to_datetime(events["transaction_timestamp"])
    cut = pd.Timestamp(datetime.combine(day, datetime.min.time()), tz=at.dt.tz)
    events[at < cut].to_parquet(folder / "transactions.parquet")
    events[(at >= cut) & (at < cut + WEEKS)].to_parquet(folder / "after.parquet")
    demo: dict[str, Any] = yaml.safe_load((ROOT / "conf" / "demo.yaml").read_text())
    data = {"lake": {"root": str(folder / "lake")}, **{key: demo[key] for key in ("source", "events", "spark")}}
    data["source"]["events"]["path"] = str(folder / "transactions.parquet")
    data["source"]["users"]["path"] = str(SHOP / "households.parquet")
    data["source"]["items"]["path"] = str(SHOP / "products.parquet")
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def stages(path: Path, run_id: str) -> None:
    """Run STAGES in this process and in one session, as `synthspark run` does."""
    config = load(path)
    with session("benchmark-apply", config.spark) as spark:
        context = Context(spark, Lake(spark, config.lake.root), config, run_id)
        for stage in STAGES:
            run_stage(context, stage)


def command(*words: str) -> float:
    """Run a command in a separate process and return its CPU seconds."""
    before = reaped_cpu()
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{words}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    return round(reaped_cpu() - before, 1)


def scored(*arguments: str) -> dict[str, float]:
    """Return `accuracy`, computed in a separate process: `command` waits for every child, and a session's JVM stays."""
    done = subprocess.run([sys.executable, __file__, "--score", *arguments], cwd=ROOT, check=True, capture_output=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def accuracy(path: Path, run_id: str, after: Path) -> dict[str, float]:
    """Return NDCG@20 on later sales, of ALS fitted on a run's real and virtual events."""
    config = load(path)
    with session("benchmark-apply", config.spark) as spark:
        context = Context(spark, Lake(spark, config.lake.root), config, run_id)
        unit = context.record("featurize")["details"]["unit_weight"]
        real = indexed_interactions(context.read).select(
            "user_index", "item_index", rating(F.col("weight"), unit).alias("rating")
        )
        least = {ITEMS: config.features.min_item_users, USERS: config.features.min_user_items}
        roles = {
            side: context.read(features(side)).select(
                side.key, side.index, F.when(F.col("breadth") >= least[side], WARM).otherwise(COLD).alias("role")
            )
            for side in SIDES
        }
        virtual = context.read(SYNTHETIC_EVENTS).where(F.col("origin").isin("cold_item", "cold_user"))
        sold = spark.read.parquet(str(after)).select(
            F.col("household_id").cast("string").alias("user_id"), F.col("product_id").cast("string").alias("item_id")
        )  # fmt: skip
        for side in SIDES:
            named = roles[side].select(side.key, side.index)
            virtual, sold = (rows.join(named, on=side.key, how="inner") for rows in (virtual, sold))
        sold = sold.select("user_index", "item_index").distinct()
        pairs = real.select("user_index", "item_index")
        sold = sold.join(pairs, on=["user_index", "item_index"], how="left_anti")
        buyers = pairs.union(sold).groupBy("item_index").agg(F.count(F.lit(1)).alias("buyers"))
        judged = buyers.where(F.col("buyers") >= least[ITEMS]).select("item_index")
        items = roles[ITEMS].drop("item_id").join(judged, on="item_index", how="left_semi").persist()
        rows = with_virtual(real, virtual.select("user_index", "item_index", "weight")).persist()
        vectors = fit_als(rows, als_settings(context), blocks_for(rows.count()))
        split = Split(real, sold.persist(), roles[USERS].drop("user_id"), items)
        asked = questions(split, SLICES)
        asked = asked._replace(truth=asked.truth.persist())
        found = measure(asked, rank_items(split, vectors.users, vectors.items, K).persist(), [K])
        return {name: round(result.value([K], f"ndcg_{K}"), 4) for name, result in found.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / "lake" / "apply")
    parser.add_argument("--dates", type=date.fromisoformat, nargs="+", default=list(DATES))
    parser.add_argument("--run", nargs=2, metavar=("CONFIG", "RUN_ID"), help=argparse.SUPPRESS)
    parser.add_argument("--score", nargs=3, metavar=("CONFIG", "RUN_ID", "AFTER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        stages(Path(given.run[0]), given.run[1])
    elif given.score:
        print(json.dumps(accuracy(Path(given.score[0]), given.score[1], Path(given.score[2]))))
    else:
        main(given.folder, given.dates)
