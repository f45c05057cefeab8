"""conf/social.yaml and conf/ads.yaml on small made-up logs: what is no interest is left out, and the new are placed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.config import parse
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.runs.tables import EVENTS, RECOMMENDATIONS, SYNTHETIC_EVENTS, Table
from synthspark.stages.run import run_stage

pytestmark = [pytest.mark.spark, pytest.mark.slow]
CONF = Path(__file__).parents[2] / "conf"
TOPICS = ["cooking", "sailing", "chess", "gardens"]
PEOPLE, THINGS, NEW = 60, 160, 8
SMALL = {"epochs": 30, "hyper": {"hidden": 32, "noise_dim": 4, "negatives": 64}}


def reactions(rng: np.random.Generator, shown: str, kinds: list[str]) -> list[tuple[int, int, str, pd.Timestamp]]:
    """Everybody is shown anything, and reacts to most of what is of his topic."""
    rows = []
    for person in range(PEOPLE):
        mine = rng.choice(np.arange(person % 4, THINGS - NEW, 4), 26, replace=False)
        others = rng.choice(THINGS - NEW, 30, replace=False)
        for number, thing in enumerate([*mine, *others]):
            kind = kinds[number % len(kinds)] if number < len(mine) else shown
            rows.append((person, int(thing), kind, pd.Timestamp("2026-03-01") + pd.Timedelta(hours=int(thing))))
    return rows


def write_social(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rows = reactions(rng, "seen", ["like", "share", "like", "comment", "follow"])
    pd.DataFrame(rows, columns=["user", "post", "reaction", "at"]).astype({"user": str, "post": str}).to_parquet(
        folder / "reactions")  # fmt: skip
    posts = [(str(i), f"author {i % 12}", "en", f"news of {TOPICS[i % 4]} number {i % 7}", [TOPICS[i % 4], "today"],
              pd.Timestamp("2026-03-01") + pd.Timedelta(hours=i)) for i in range(THINGS)]  # fmt: skip
    pd.DataFrame(posts, columns=["post", "author", "language", "text", "tags", "posted_at"]).to_parquet(
        folder / "posts"
    )
    users = [(str(i), "en", [TOPICS[i % 4]]) for i in range(PEOPLE)]
    pd.DataFrame(users, columns=["user", "language", "interests"]).to_parquet(folder / "users")


def write_ads(folder: Path) -> None:
    rng = np.random.default_rng(1)
    rows = reactions(rng, "shown", ["click", "click", "conversion"])
    pd.DataFrame(rows, columns=["user", "creative", "outcome", "shown_at"]).astype(
        {"user": str, "creative": str}).to_parquet(folder / "impressions")  # fmt: skip
    creatives = [(str(i), f"{TOPICS[i % 4]} spring", TOPICS[i % 4], ["banner", "video"][i % 8 // 4],
                  f"all for {TOPICS[i % 4]} now {i % 5}") for i in range(THINGS)]  # fmt: skip
    columns = ["creative", "campaign", "advertiser", "format", "text"]
    pd.DataFrame(creatives, columns=columns).to_parquet(folder / "creatives")
    users = [(str(i), 20 + i % 40, TOPICS[i % 4], ["phone", "desktop"][i % 2]) for i in range(PEOPLE)]
    pd.DataFrame(users, columns=["user", "age", "region", "device"]).to_parquet(folder / "users")


def configuration(name: str, folder: Path) -> dict[str, Any]:
    """The file of conf/, its tables in `folder`, the networks as small as the log."""
    raw: dict[str, Any] = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    for table in raw["source"].values():
        table["path"] = str(folder / Path(table["path"]).name)
    raw["lake"]["root"] = str(folder / "lake")
    raw["features"] |= {"factor_rank": 4, "min_item_users": 3, "min_user_items": 3}
    raw["train"] = {"batch_size": 16, "device": "cpu", "behaviour_items": SMALL, "behaviour_users": SMALL,
                    "profile_items": {"epochs": 4}, "profile_users": {"epochs": 4}, "texts": {"epochs": 4}}  # fmt: skip
    raw["synthesize"] |= {"budget": 0.2, "weight": 0.5, "items": min(raw["synthesize"]["items"], 10)}
    raw["judge"] = {"min_fold_items": 10}
    raw["recommend"] = {"rank": 4, "k": 5, "iterations": 3}
    return raw


@pytest.mark.parametrize(("name", "write"), [("social", write_social), ("ads", write_ads)])
def test_what_was_only_shown_is_no_interest_and_the_new_find_those_who_like_their_kind(
    spark: SparkSession, tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path)
    config = parse(configuration(name, tmp_path))
    context = Context(spark, Lake(spark, config.lake.root), config, name)
    for stage in ("clean", "featurize", "train", "synthesize", "recommend"):
        run_stage(context, stage)
    assert context.read(EVENTS).count() == PEOPLE * 26
    new = [str(i) for i in range(THINGS - NEW, THINGS)]
    placed = context.read(SYNTHETIC_EVENTS).where((F.col("origin") == "cold_item") & F.col("item_id").isin(new))
    assert {row["item_id"] for row in placed.collect()} == set(new)
    assert right(placed) > 0.7
    assert right(context.read(RECOMMENDATIONS)) > 0.7
    made = context.read(Table("synthetic/items")).where("origin = 'new_item'").collect()
    assert len(made) == config.synthesize.items
    if name == "ads":
        assert all(row["campaign"].startswith(row["advertiser"]) for row in made)
        assert sum(row["text"] is not None for row in made) > len(made) / 2


def right(pairs: DataFrame) -> float:
    """Share of the pairs of one topic."""
    rows = pairs.select("user_id", "item_id").collect()
    return float(np.mean([int(row["user_id"]) % 4 == int(row["item_id"]) % 4 for row in rows]))
