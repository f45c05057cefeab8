"""Yesterday's models on today's shop: the same events where nothing has changed, and events for whoever is new."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.cli import cli
from synthspark.config import parse
from synthspark.errors import ConfigError, LakeError, SynthSparkError
from synthspark.features.interactions import pair_statistics
from synthspark.runs.context import Context
from synthspark.runs.current import current, promote, prune, require_not_current
from synthspark.runs.lake import Lake
from synthspark.runs.tables import (
    EVENTS,
    INTERACTIONS,
    RECOMMENDATIONS,
    SYNTHETIC_EVENTS,
    Table,
    factors,
    features,
)
from synthspark.sides import ITEMS, SIDES, USERS
from synthspark.stages.apply import apply_all
from synthspark.stages.run import run_stage
from synthspark.training import storage
from tests.integration.test_pipeline import ITEMS as NUM_ITEMS
from tests.integration.test_pipeline import KINDS, settings, write_shop

pytestmark = [pytest.mark.spark, pytest.mark.slow]
RELEASE = "release"
VERDICT = {"ship": True, "why": "ship: proven"}


def verdict(context: Context, ship: bool = True, why: str = VERDICT["why"]) -> None:
    """Record one, as if it had been judged: that is not what these tests are about."""
    record = {"stage": "evaluate", "published": [], "rows": {}, "details": {"verdict": {"ship": ship, "why": why}}}
    path = context.lake.record_path(context.run_id, "evaluate")
    context.lake.delete(path)
    context.lake.write_text(path, json.dumps(record))


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    config = parse(settings(folder))
    context = Context(spark, Lake(spark, config.lake.root), config, RELEASE)
    for stage in ("clean", "featurize", "train", "synthesize"):
        run_stage(context, stage)
    verdict(context)
    return context


@pytest.fixture
def release(made: Context) -> Context:
    verdict(made)
    return made


def today(release: Context, folder: Path) -> dict[str, Any]:
    """The sources of the release in a folder of their own, and the configuration that reads them."""
    raw = settings(Path(release.config.source.events.path or "").parent)
    for table in raw["source"].values():
        shutil.copy(table["path"], folder / Path(table["path"]).name)
        table["path"] = str(folder / Path(table["path"]).name)
    return raw


def applied(
    release: Context, raw: dict[str, Any], run_id: str, *, force: bool = False, recommend: bool = False
) -> Context:
    config = parse(raw)
    context = Context(release.spark, release.lake, config, run_id)
    apply_all(context, RELEASE, force, recommend, lambda _: None, lambda *_: None)
    return context


def values(frame: DataFrame) -> list[str]:
    return sorted(str(row) for row in frame.collect())


def test_on_the_same_sources_it_places_the_same_events(release: Context, tmp_path: Path) -> None:
    again = applied(release, today(release, tmp_path), "same", recommend=True)
    tables = [SYNTHETIC_EVENTS, Table("synthetic/items"), Table("synthetic/users"), *map(features, SIDES)]
    for table in tables:
        assert values(again.read(table)) == values(release.read(table)), table.name
    assert again.read(SYNTHETIC_EVENTS).where("origin = 'cold_item'").count() > 0
    assert again.read(RECOMMENDATIONS).count() > 0 and again.lake.record("same", "evaluate") is None
    drift = again.record("featurize")["details"]["drift"]
    assert drift["users_without_vector"] == 0 and drift["unknown_values"] == 0


def test_events_decay_by_the_half_life_that_was_chosen_for_the_release(release: Context, tmp_path: Path) -> None:
    raw = today(release, tmp_path)
    raw["recommend"]["auto"] = True
    lake, about = release.lake, release.record("featurize")
    path = lake.record_path(RELEASE, "featurize")
    als = {key: getattr(release.config.recommend, key) for key in ("rank", "regularization", "alpha")}
    chosen = {**about, "details": {**about["details"], "half_life_days": 2.0, "als": als}}
    try:
        lake.delete(path)
        lake.write_text(path, json.dumps(chosen))
        made = applied(release, raw, "decayed")
    finally:
        lake.delete(path)
        lake.write_text(path, json.dumps(about))
    assert made.record("featurize")["details"]["half_life_days"] == 2.0
    wanted = pair_statistics(made.read(EVENTS), made.config.events.weights, 2.0)
    weights = ("user_id", "item_id", "weight")
    assert values(made.read(INTERACTIONS).select(*weights)) == values(wanted.select(*weights))
    assert values(made.read(INTERACTIONS).select(*weights)) != values(release.read(INTERACTIONS).select(*weights))


def test_new_items_and_users_get_events_and_who_did_more_another_vector(release: Context, tmp_path: Path) -> None:
    raw = today(release, tmp_path)
    kinds = ["north", "east", "south", "west"]
    items = pd.read_parquet(tmp_path / "items.parquet")
    fresh = [(f"n{i}", kinds[i % KINDS], 2.5, f"{kinds[i % KINDS]} thing {i}", "only") for i in range(8)]
    odd = [("odd", "unheard of", 1.0, None, "only")]
    pd.concat([items, pd.DataFrame(fresh + odd, columns=items.columns)]).to_parquet(tmp_path / "items.parquet")
    users = pd.read_parquet(tmp_path / "users.parquet")
    people = pd.DataFrame([("late", "north", 30), ("newer", "west", 41)], columns=users.columns)
    pd.concat([users, people]).to_parquet(tmp_path / "users.parquet")
    events = pd.read_csv(tmp_path / "events.csv")
    # `late` buys what the north buys, and so do three users whom the release knows buy one thing more.
    bought = [("late", f"i{i * KINDS}", "2024-06-01 10:00:00", 1, 1.0) for i in range(12)]
    bought += [(f"u {u}", "i1", "2024-06-01 10:00:00", 1, 1.0) for u in (0, 4, 8)]
    pd.concat([events, pd.DataFrame(bought, columns=events.columns)]).to_csv(tmp_path / "events.csv", index=False)
    context = applied(release, raw, "grown")

    placed = context.read(SYNTHETIC_EVENTS).where("origin = 'cold_item'")
    of_new = placed.where(F.col("item_id").isin([f"n{i}" for i in range(8)])).select("user_id", "item_id").collect()
    assert {row["item_id"] for row in of_new} == {f"n{i}" for i in range(8)}
    right = [
        int(r["item_id"][1:]) % KINDS == int(r["user_id"].split()[1]) % KINDS for r in of_new if r["user_id"] != "late"
    ]
    assert sum(right) / len(right) > 0.7
    baskets = context.read(SYNTHETIC_EVENTS).where("origin = 'cold_user'").select("user_id").distinct().collect()
    form = release.record("synthesize")["details"]["basket_forms"]["cold"]
    assert ({"newer"} <= {row["user_id"] for row in baskets}) == (form is not None)

    def vectors(of: Context) -> dict[str, list[float]]:
        table = of.read(factors("item_factors", USERS)).drop("index", "log_popularity")
        return {row["user_id"]: list(row)[1:] for row in table.collect()}

    before, after = vectors(release), vectors(context)
    changed = {user for user, vector in after.items() if before.get(user) != vector}
    assert changed == {"late", "u 0", "u 4", "u 8"}
    north = [after[f"u {u}"] for u in range(0, 60, KINDS) if f"u {u}" in after]
    south = [after[f"u {u}"] for u in range(2, 60, KINDS) if f"u {u}" in after]

    def likeness(others: list[list[float]]) -> float:
        return sum(sum(a * b for a, b in zip(after["late"], other, strict=True)) for other in others) / len(others)

    assert likeness(north) > likeness(south)
    assert context.record("featurize")["details"]["drift"]["unknown_attribute"] in ("kind", "shop")

    release.spark.conf.set("spark.sql.shuffle.partitions", "5")
    try:
        again = applied(release, raw, "grown-again")
    finally:
        release.spark.conf.set("spark.sql.shuffle.partitions", "2")
    for table in (SYNTHETIC_EVENTS, *(factors("item_factors", side) for side in SIDES)):
        assert values(again.read(table)) == values(context.read(table)), f"{table.name}: other bytes by another plan"


def test_new_rows_are_the_releases_without_what_is_sold_no_more(release: Context, tmp_path: Path) -> None:
    raw = today(release, tmp_path)
    new_users = release.read(SYNTHETIC_EVENTS).where("origin = 'new_user'")
    gone = new_users.groupBy("item_id").count().orderBy(F.desc("count"), "item_id").first()
    assert gone is not None
    items = pd.read_parquet(tmp_path / "items.parquet")
    items[items["what"] != gone["item_id"]].to_parquet(tmp_path / "items.parquet")
    events = pd.read_csv(tmp_path / "events.csv")
    events[events["what"] != gone["item_id"]].to_csv(tmp_path / "events.csv", index=False)
    context = applied(release, raw, "delisted")
    for table in (Table("synthetic/items"), Table("synthetic/users")):
        assert values(context.read(table)) == values(release.read(table))
    kept = new_users.where(F.col("item_id") != gone["item_id"])
    assert values(context.read(SYNTHETIC_EVENTS).where("origin = 'new_user'")) == values(kept)
    raw["synthesize"]["users"] = 5
    fewer = applied(release, raw, "fewer").read(Table("synthetic/users"))
    assert fewer.where("origin = 'new_user'").count() == 5


def test_an_applied_run_is_promoted_by_the_verdict_of_its_release_which_stays(release: Context, tmp_path: Path) -> None:
    applied(release, today(release, tmp_path), "tonight")
    lake = release.lake
    assert promote(lake, "tonight")["release"] == RELEASE and current(lake)["run_id"] == "tonight"  # type: ignore[index]
    with pytest.raises(LakeError, match="the release that the current run 'tonight' was made with"):
        require_not_current(lake, RELEASE)
    verdict(release, ship=False, why="do not ship: no gain")
    with pytest.raises(LakeError, match="made by run 'release', whose verdict is: do not ship: no gain"):
        promote(lake, "tonight")
    with pytest.raises(LakeError, match="run 'release' should not be applied: do not ship: no gain .*--force"):
        applied(release, today(release, tmp_path), "refused")
    assert "refused" not in lake.runs()
    removed, _ = prune(lake, 1)
    assert RELEASE not in removed and "tonight" not in removed
    with pytest.raises(LakeError, match="was itself made by applying run 'release'; apply that one"):
        context = Context(release.spark, lake, release.config, "again")
        apply_all(context, "tonight", True, False, lambda _: None, lambda *_: None)


def _other_kind(raw: dict[str, Any]) -> None:
    raw["source"]["items"]["attributes"]["kind"] = "text"


def _one_more(raw: dict[str, Any]) -> None:
    raw["source"]["users"]["attributes"]["town"] = "categorical"


def _another_rank(raw: dict[str, Any]) -> None:
    raw["features"]["factor_rank"] = 8


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (
            _other_kind,
            ConfigError,
            "source.items.attributes: 'kind' is text, run 'release' was trained with it as c",
        ),
        (_one_more, ConfigError, "source.users.attributes: 'town' is categorical, run .* with it not declared"),
        (_another_rank, ConfigError, "vectors of length 4 in space item_factors, the configuration asks for 8"),
    ],
)
def test_another_configuration_is_refused_before_anything_is_read(
    release: Context, tmp_path: Path, change: Callable[[dict[str, Any]], None], kind: type[SynthSparkError], words: str
) -> None:
    raw = deepcopy(today(release, tmp_path))
    change(raw)
    with pytest.raises(kind, match=words):
        applied(release, raw, "other")
    assert "other" not in release.lake.runs()


def test_a_release_that_is_damaged_missing_or_of_another_version_is_refused(
    release: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = today(release, tmp_path)
    with pytest.raises(LakeError, match=r"run 'releas' has not published stage 'clean'. Did you mean 'release'\?"):
        context = Context(release.spark, release.lake, release.config, "x")
        apply_all(context, "releas", False, False, lambda _: None, lambda *_: None)
    monkeypatch.setattr("synthspark.stages.apply.__version__", "99")
    with pytest.raises(LakeError, match="was made by synthspark .*, this is 99; train again"):
        applied(release, raw, "x")
    monkeypatch.undo()
    read = storage.read
    monkeypatch.setattr(storage, "read", lambda url: read(url) + b" ")
    with pytest.raises(LakeError, match=r"model.safetensors is damaged \(its sha256 is not the recorded one\)"):
        applied(release, raw, "x")
    monkeypatch.undo()
    exists = release.lake.exists
    monkeypatch.setattr(release.lake, "exists", lambda path: "safetensors" not in path and exists(path))
    with pytest.raises(LakeError, match=r"model.safetensors is missing; train again"):
        applied(release, raw, "x")
    assert "x" not in release.lake.runs()


def test_the_lake_of_another_shop_is_refused(release: Context, tmp_path: Path) -> None:
    raw = today(release, tmp_path)
    for name, keys in (("events.csv", ["Who?", "what"]), ("items.parquet", ["what"]), ("users.parquet", ["Who?"])):
        path = tmp_path / name
        frame = pd.read_csv(path) if name.endswith("csv") else pd.read_parquet(path)
        frame[keys] = frame[keys].map(lambda value: f"other {value}")
        frame.to_csv(path, index=False) if name.endswith("csv") else frame.to_parquet(path)
    with pytest.raises(LakeError, match="knows none of today's items and users: it is of another shop"):
        applied(release, raw, "alien")
    assert release.lake.record("alien", "featurize") is None


def test_without_a_cold_item_nothing_is_placed_and_what_drifts_is_told(release: Context, tmp_path: Path) -> None:
    raw = today(release, tmp_path)
    items = pd.read_parquet(tmp_path / "items.parquet")
    seen = set(pd.read_csv(tmp_path / "events.csv")["what"])
    items[items["what"].isin(seen)].to_parquet(tmp_path / "items.parquet")
    raw["apply"] = {"max_cold_items": 0.0, "max_users_without_vector": 0.0}
    raw["synthesize"] |= {"items": 0, "users": 0}
    raw["features"]["min_item_users"] = 12  # so that some of those who were warm are not any more
    context = applied(release, raw, "warm")
    origins = [row[0] for row in context.read(SYNTHETIC_EVENTS).select("origin").distinct().collect()]
    assert "cold_item" not in origins or context.read(features(ITEMS)).where("breadth = 0").count() == 0
    notes = " ".join(context.record("featurize")["notes"])
    assert "of the items are cold, more than 0%: run 'release' is too old for this shop, train again" in notes


def test_the_command(release: Context, tmp_path: Path) -> None:
    import yaml

    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(today(release, tmp_path)))
    done = CliRunner().invoke(cli, ["apply", "--config", str(path), "--models", RELEASE, "--run-id", "by command"])
    assert isinstance(done.exception, LakeError) and "run id 'by command'" in str(done.exception)
    done = CliRunner().invoke(cli, ["apply", "--config", str(path), "--models", RELEASE, "--run-id", "by-command"],
                              catch_exceptions=False)  # fmt: skip
    assert done.exit_code == 0 and release.lake.record("by-command", "synthesize") is not None
    assert NUM_ITEMS == release.read(features(ITEMS)).count()
