"""The whole job on a planted shop: four kinds of users, four kinds of items, and dirt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synthspark import schemas
from synthspark.config import RANKERS, Config, Evaluate, parse
from synthspark.errors import ConfigError, LakeError, SourceError
from synthspark.likeness.of_run import likeness
from synthspark.runs.context import Context, StageReport
from synthspark.runs.lake import STAGES, Lake
from synthspark.runs.publication import Publication
from synthspark.runs.tables import Table
from synthspark.stages.card import write_card
from synthspark.stages.run import run_all, run_stage
from synthspark.training import TrainingTask
from tests.browser import screenshot

pytestmark = [pytest.mark.spark, pytest.mark.slow]

USERS, ITEMS, COLD, KINDS, BOUGHT = 60, 160, 4, 4, 30
ROWS = USERS * BOUGHT + 3
SIMPLE = ["knn", "ridge", "attribute_users"]
"""Arms of simple models: judged once, with the other protocols."""
ARMS = [arm for arm in Evaluate().arms if arm not in SIMPLE]


def write_shop(folder: Path) -> None:
    """Users buy items whose number is theirs modulo KINDS; attributes say which. COLD items have no event.

    Four kinds, so that an item with another's attributes rarely keeps its own kind.
    """
    rng = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        mine = [i for i in range(ITEMS - COLD) if i % KINDS == user % KINDS]
        for item in rng.choice(mine, BOUGHT, replace=False):
            stamp = f"2024-0{1 + item % 5}-1{user % 9} 1{item % 9}:00:00"
            rows.append((f"u {user}", f"i{item}", stamp, 1 + item % 3, 1.5 + item))
    rows += [rows[0], ("u 1", None, "2024-01-01", 1, 1.0), ("u 1", "ghost", "2024-01-01", 1, 1.0)]
    pd.DataFrame(rows, columns=["Who?", "what", "when", "qty", "price"]).to_csv(folder / "events.csv", index=False)
    kinds = ["north", "east", "south", "west"]
    items = [(f"i{i}", kinds[i % KINDS], 1.5 + i, f"{kinds[i % KINDS]} thing {i}", "only") for i in range(ITEMS)]
    pd.DataFrame(items, columns=["what", "kind", "price", "name", "shop"]).to_parquet(folder / "items.parquet")
    users = [(f"u {i}", kinds[i % KINDS], 20 + i % 40) for i in range(USERS)] + [("u new", "east", 33)]
    pd.DataFrame(users, columns=["Who?", "taste", "age"]).to_parquet(folder / "users.parquet")


def settings(folder: Path) -> dict[str, Any]:
    small = {"hidden": 32, "noise_dim": 4}
    behaviour = {"network": "behaviour", "hyper": {**small, "negatives": 64}}
    gan = {"network": "gan", "epochs": 2, "hyper": small}
    default = {"epochs": 4, "hyper": {"hidden": 16, "layers": 1}}
    return {
        "lake": {"root": str(folder / "lake of mine")},
        "source": {
            "events": {
                "path": str(folder / "events.csv"),
                "format": "csv",
                "options": {"header": "true"},
                "columns": {"user_id": "Who?", "item_id": "what", "ts": "when", "value": "qty", "price": "price"},
                "event_type": "purchase",
            },
            "items": {
                "path": str(folder / "items.parquet"),
                "columns": {"item_id": "what"},
                "attributes": {"kind": "categorical", "price": "numeric", "name": "text", "shop": "categorical"},
            },
            "users": {
                "path": str(folder / "users.parquet"),
                "columns": {"user_id": "Who?"},
                "attributes": {"taste": "categorical", "age": "numeric"},
            },
        },
        "features": {"factor_rank": 4, "max_tokens": 3, "positives": 4, "min_item_users": 3, "min_user_items": 3},
        "train": {
            "epochs": 12, "batch_size": 16, "device": "cpu", "profile_items": default, "profile_users": gan,
            "behaviour_items": behaviour, "behaviour_users": {**behaviour, "epochs": 60},
            "texts": {"epochs": 40, "batch_size": 16, "hyper": {"hidden": 64, "embedding": 16, "patience": 0}},
        },
        "synthesize": {"users": 30, "items": 20, "budget": 0.2, "max_events": 10},
        "judge": {"min_fold_items": 10},
        "recommend": {"rank": 4, "k": 5, "iterations": 3},
        "evaluate": {"ks": [5], "bootstrap": 100, "cold_fraction": 0.4, "als_seeds": 1, "arms": ARMS},
    }  # fmt: skip


def rows_of(context: Context, table: str, *drop: str) -> list[str]:
    return sorted(str(tuple(r)) for r in context.read(Table(table)).drop(*drop).collect())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    return folder


@pytest.fixture(scope="module")
def config(shop: Path) -> Config:
    return parse(settings(shop))


@pytest.fixture(scope="module")
def done(spark: SparkSession, config: Config) -> Context:
    context = Context(spark, Lake(spark, config.lake.root), config, "first")
    run_all(context, False, lambda _: None, lambda *_: None)
    return context


def test_new_items_have_names_that_suit_them_and_are_nobodys(done: Context) -> None:
    new = done.read(Table("synthetic/items")).where("origin = 'new_item' and name is not null").collect()
    assert len(new) > 15
    assert np.mean([row["name"].startswith(f"{row['kind']} thing") for row in new]) > 0.7
    real = {row["name"] for row in done.read(Table("clean/items")).collect()}
    assert not real & {row["name"] for row in new}
    path = Path(done.lake.path("reports", "first").removeprefix("file:")) / "metrics.json"
    figures = {row["figure"]: row["value"] for row in json.loads(path.read_text())["fidelity"]}
    assert figures["copies_of_rare of name"] == 0 and 0 <= figures["detection_auc of name"] <= 1


def test_clean_accounts_for_every_row_and_featurize_tells_what_it_leaves_out(done: Context) -> None:
    clean = done.record("clean")
    assert clean["tables"]["events"] == {
        "rows in": ROWS,
        "kept": USERS * BOUGHT,
        "rejected: duplicate": 1,
        "rejected: null_key": 1,
        "rejected: unknown_item": 1,
    }
    assert clean["rows_in"] == clean["rows_out"] + clean["rows_rejected"]
    assert done.read(Table("clean/events")).columns == schemas.EVENTS.names
    notes = " ".join(done.record("featurize")["notes"])
    assert "attribute 'shop' of items is left out: a single value ('only')" in notes
    features = done.read(Table("features/items", feed=True))
    assert {t for _, t in features.dtypes} == {"string", "int", "float"}
    assert features.where(" or ".join(f"{c} is null" for c in features.columns)).count() == 0
    assert features.count() == ITEMS


def test_synthetic_tables_have_the_clean_schemas_and_their_keys_hold(done: Context) -> None:
    extra = schemas.SYNTHETIC.names
    for table in ("users", "items", "events"):
        synthetic, clean = done.read(Table(f"synthetic/{table}")), done.read(Table(f"clean/{table}"))
        assert synthetic.columns == clean.columns + extra
        assert synthetic.drop(*extra).schema == clean.schema
    events = done.read(Table("synthetic/events"))
    origins = {r["origin"] for r in events.select("origin").distinct().collect()}
    assert origins == {"new_user", "new_item", "cold_user", "cold_item"}
    for key, table in (("user_id", "users"), ("item_id", "items")):
        known = done.read(Table(f"clean/{table}")).select(key).union(done.read(Table(f"synthetic/{table}")).select(key))
        assert events.join(known, on=key, how="left_anti").count() == 0
        new = {r[0] for r in done.read(Table(f"synthetic/{table}")).select(key).collect()}
        assert len(new) == {"users": 30, "items": 20}[table]
        assert all(n.startswith(schemas.SYNTHETIC_ID_PREFIX) for n in new)
    cold = {r[0] for r in events.where("origin = 'cold_item'").select("item_id").distinct().collect()}
    assert cold == {f"i{i}" for i in range(ITEMS - COLD, ITEMS)}
    assert {r[0] for r in events.where("origin = 'cold_user'").select("user_id").distinct().collect()} == {"u new"}
    first, last = done.read(Table("clean/events")).agg(F.min("ts"), F.max("ts")).collect()[0]
    times = events.agg(F.min("ts"), F.max("ts"), F.count_if(F.col("ts").isNull())).collect()[0]
    assert first.date() <= times[0].date()
    assert times[1].date() <= last.date()
    assert times[2] == 0
    levels = events.select(F.col("value") - F.round("value"), F.col("price") * 100 - F.round(F.col("price") * 100))
    assert all(abs(v) < 1e-6 for row in levels.distinct().collect() for v in row)


def test_the_planted_taste_reaches_the_cold_items(done: Context) -> None:
    events = (
        done.read(Table("synthetic/events"))
        .where("origin = 'cold_item'")
        .select("user_id", "item_id", "weight")
        .collect()
    )
    same = [int(e.user_id.split()[1]) % KINDS == int(e.item_id[1:]) % KINDS for e in events]
    # By weight: users whose kind has fewer cold and new items than the budget get others, too, of next to no weight.
    assert np.average(same, weights=[e.weight for e in events]) > 0.95
    # Whose name, as the tiny writer made it, does not speak of another kind.
    kinds_of_new = done.read(Table("synthetic/items")).where("startswith(name, kind)").select("item_id", "kind")
    new = done.read(Table("synthetic/events")).where("origin = 'new_item'").join(kinds_of_new, on="item_id")
    kinds = ["north", "east", "south", "west"]
    placed = new.select("user_id", "kind", "weight").collect()
    right = [kinds[int(r.user_id.split()[1]) % KINDS] == r.kind for r in placed]
    assert np.average(right, weights=[r.weight for r in placed]) > 0.95
    judge = done.record("train")["details"]["judge_items"]
    assert judge["auc"] > 0.9
    assert "real alone" in judge["trials"]
    assert len(judge["trials"]) == 5  # real alone, three slacks and another weight: the budget is given
    weights = done.read(Table("synthetic/events")).where("origin = 'cold_item'").agg(F.min("weight"), F.max("weight"))
    assert 0 < weights.collect()[0][0] <= weights.collect()[0][1] < judge["placing"]["weight"]
    known = done.read(Table("features/interactions", feed=True)).select("user_id", "item_id")
    virtual = (
        done.read(Table("synthetic/events")).where("origin in ('cold_item', 'cold_user')").select("user_id", "item_id")
    )
    assert done.record("recommend")["rows_in"] == known.union(virtual).distinct().count(), "as evaluate judges it"
    lists = done.read(Table("recommendations"))
    assert lists.columns == ["user_id", "item_id", "rank", "score"]
    assert lists.groupBy("user_id").count().where("count > 5").count() == 0
    assert lists.where("item_id like 'syn:%' or user_id like 'syn:%'").count() == 0
    assert lists.where("user_id = 'u new'").count() == 5


def test_metrics_json_has_the_fixed_shape_and_sees_the_gain(done: Context) -> None:
    path = Path(done.lake.path("reports", "first").removeprefix("file:")) / "metrics.json"
    metrics = json.loads(path.read_text())
    assert set(metrics) == {"run_id", "protocols", "fidelity", "privacy", "verdict", "stages"}
    assert [s["stage"] for s in metrics["stages"]] == list(STAGES)
    assert all(s["seconds"] > 0 for s in metrics["stages"])
    keys = {"protocol", "seed", "arm", "slice", "metric", "k", "value", "ci_low", "ci_high", "num_users"}
    assert all(set(row) == keys for row in metrics["protocols"])
    ndcg = {(r["arm"], r["slice"]): r["value"] for r in metrics["protocols"] if r["metric"] == "ndcg" and r["k"] == 5}
    assert {a for a, _ in ndcg} == {*ARMS, *RANKERS} - {"popular_lately"}, "which is a reference by time"
    assert ndcg["real+synthetic", "cold"] > ndcg["real", "cold"] + 0.1
    for arm in ("random", "popularity", "duplicated", "permuted"):
        assert ndcg["real+synthetic", "cold"] > ndcg[arm, "cold"] + 0.1
    # Users are too few for some to be left unseen.
    for part, figure in (("fidelity", "quality"), ("privacy", "membership_auc")):
        assert {r["table"] for r in metrics[part] if not r["table"].startswith("events of")} == {"items"}
        (value,) = (r["value"] for r in metrics[part] if r["figure"] == figure)
        assert 0.2 < value <= 1
    assert {r["table"] for r in metrics["fidelity"]} == {"items", "events of new items", "events of new users"}
    assert metrics["verdict"]["why"].startswith("ship" if metrics["verdict"]["ship"] else "do not ship")


def test_every_protocol_answers(done: Context) -> None:
    """Cold users, cold users x cold items, and time; simple models and rankers beside."""
    words = {
        "protocols": ["cold_user", "cold_user_item", "time"],
        "profiles": False,
        "events_left": [0],
        "arms": ["real", "real+synthetic", *SIMPLE],
        "ablations": {"no ranking": {"hyper": {"ranking_weight": 0.0}, "judged": False}},
        "als_seeds": 1,
        "ks": [5],
        "bootstrap": 100,
        "cold_fraction": 0.5,
    }
    # Placing is tried out by the run itself: three times more would be minutes.
    placed = done.config.synthesize.model_copy(update={"weight": 0.5})
    config = done.config.model_copy(update={"evaluate": Evaluate.model_validate(words), "synthesize": placed})
    report = run_stage(replace(done, config=config), "evaluate")
    rows = report.details["protocols"]
    assert {r["protocol"] for r in rows} == {"cold_user", "cold_user_item", "time"}
    ndcg = {(r["protocol"], r["arm"], r["slice"]): r["value"] for r in rows if r["metric"] == "ndcg"}
    for protocol in ("cold_user", "cold_user_item"):
        # Taste is declared: a fourth of the items suits, and popularity does not know which.
        assert ndcg[protocol, "real+synthetic", "cold"] > ndcg[protocol, "real", "cold"] + 0.1
    assert ndcg["cold_user", "real", "cold"] == ndcg["cold_user", "popular", "cold"]  # whom ALS does not know
    assert {a for p, a, _ in ndcg if p == "time"} == {*words["arms"], "no ranking", "popular", "popular_lately",
                                                      "popular_in_category", "content_knn"}  # fmt: skip
    assert {s for p, a, s in ndcg if (p, a) == ("time", "real")} >= {"cold", "warm", "all"}
    assert report.details["verdict"]["why"].count("cold_user") >= 2


def test_the_report_opens_in_a_browser_and_its_pictures_are_drawn(done: Context, tmp_path: Path) -> None:
    path = Path(done.lake.path("reports", "first").removeprefix("file:")) / "report.html"
    html = path.read_text(encoding="utf-8")
    verdict = json.loads((path.parent / "metrics.json").read_text())["verdict"]["why"]
    assert verdict[1:].replace(">", "&gt;") in html and html.count("<img ") >= 15 and "nearest real row" in html
    assert all(f"<td>{stage}</td>" in html for stage in STAGES) and "unknown_item" in html
    image, complaints = screenshot(path, tmp_path / "page.png")
    assert complaints == ""
    colours = {colour: count for count, colour in image.getcolors(1 << 24) or []}
    for name, colour in (("real", (0, 114, 178)), ("synthetic", (213, 94, 0))):
        assert colours.get(colour, 0) > 5_000, f"no bars of {name}"


def test_real_rows_alone_are_judged_without_training(done: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthspark.proof.judged.learn", lambda *_: pytest.fail("trained for nothing"))
    words = {"arms": ["real"], "profiles": False, "als_seeds": 1, "ks": [5], "bootstrap": 100, "cold_fraction": 0.4}
    config = done.config.model_copy(update={"evaluate": Evaluate.model_validate(words)})
    report = run_stage(replace(done, config=config), "evaluate")
    assert {r["arm"] for r in report.details["protocols"]} == {"real", "popular"}


def test_same_seed_same_rows_whatever_the_partitions(done: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = ("synthetic/users", "synthetic/items", "synthetic/events")
    before = {t: rows_of(done, t) for t in tables}
    done.spark.conf.set("spark.sql.shuffle.partitions", "7")
    done.spark.conf.set("spark.sql.adaptive.enabled", "false")
    try:
        run_stage(done, "synthesize")
    finally:
        done.spark.conf.set("spark.sql.shuffle.partitions", "2")
        done.spark.conf.set("spark.sql.adaptive.enabled", "true")
    assert {t: rows_of(done, t) for t in tables} == before
    # What came after is out of date now, and a resumed run does it again; what came before is left alone.
    assert [s for s in STAGES if done.lake.record("first", s) is None] == ["recommend", "evaluate"]
    done.lake.write_text(done.lake.record_path("first", "evaluate"), "{}")
    monkeypatch.setattr("synthspark.stages.evaluate.judge_protocol", lambda *_: iter(()))  # minutes, and judged above
    ran: list[str] = []
    run_all(done, True, lambda _: None, lambda stage, report: ran.append(stage) if report else None)
    assert ran == ["recommend", "evaluate"] or ran == ["recommend"]


def test_errors_name_what_is_wrong_and_leave_earlier_runs_alone(
    spark: SparkSession, shop: Path, done: Context, tmp_path: Path
) -> None:
    kept = rows_of(done, "clean/events")

    def attempt(change: dict[str, Any], stage: str = "clean", run_id: str = "first") -> None:
        data = settings(shop)
        for key, value in change.items():
            section, _, last = key.rpartition(".")
            target: Any = data
            for part in section.split("."):
                target = target[part]
            target[last] = value
        made = parse(data)
        run_stage(Context(spark, Lake(spark, made.lake.root), made, run_id), stage)

    pd.DataFrame({"Who?": pd.Series([], dtype=str), "what": pd.Series([], dtype=str)}).to_parquet(
        tmp_path / "e.parquet"
    )
    with pytest.raises(SourceError, match=r"source.events \(.*nowhere.*Path does not exist"):
        attempt({"source.events.path": "/nowhere/at/all"})
    with pytest.raises(SourceError, match=r"no column 'knd'. Did you mean 'kind'"):
        attempt({"source.items.columns": {"item_id": "what", "kind": "knd"}})
    with pytest.raises(SourceError, match="source.users .*it has no row"):
        attempt({"source.users.path": str(tmp_path / "e.parquet")})
    with pytest.raises(
        SourceError,
        match=rf"source.events: all {ROWS} rows were rejected: value_above_max \({ROWS - 1}\), null_key \(1\)",
    ):
        attempt({"source.events.bounds": {"value": {"min": None, "max": 0}}})
    with pytest.raises(LakeError, match="has not published stage 'clean'.*synthspark clean"):
        attempt({}, "featurize", "other")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LakeError, match="file/lake.* failed: .*"):
        attempt({"lake.root": str(tmp_path / "file" / "lake")})
    assert rows_of(done, "clean/events") == kept
    staging = Path(done.lake.root.removeprefix("file:")) / "_staging"
    assert list(staging.glob("*")) == []


def test_new_items_on_conditions_and_completed_ones(done: Context) -> None:
    wanted = {"items": 7, "items_where": ["kind=north", "price<40"], "impute": ["items"], "cold_items": False}
    asked = done.config.synthesize.model_copy(update=wanted)
    context = replace(done, config=done.config.model_copy(update={"synthesize": asked}))
    run_stage(context, "synthesize")
    items = context.read(Table("synthetic/items")).toPandas()
    assert list(items["origin"]) == ["new_item"] * 7  # no real item lacks what could be generated
    assert set(items["kind"]) == {"north"}
    assert (items["price"] < 40).all()
    report, staged = StageReport(), Publication(context.lake, context.run_id, "evaluate")
    figures, _ = likeness(context, staged, report)
    staged.abandon()
    events = {r["figure"]: r["value"] for r in figures if r["table"] == "events of new items"}
    assert events["like_segment by taste"] > events["everybody_like_segment"] + 0.2
    assert any("events of new items (kind=north and price<40)" in note for note in report.notes)
    for update, message in (
        ({"items_where": ["kind=nroth"]}, "Did you mean 'north'"),
        ({"users_where": ["taste=north"]}, "'gan' does not support conditions"),
        ({"impute": ["users"]}, "users cannot be completed"),
    ):
        section = done.config.synthesize.model_copy(update=update)
        with pytest.raises(ConfigError, match=message):
            run_stage(replace(done, config=done.config.model_copy(update={"synthesize": section})), "synthesize")


def test_every_model_has_a_card_that_says_how_to_load_it(done: Context) -> None:
    for name in ("profile_items", "profile_users", "behaviour_items", "behaviour_users"):
        folder = Path(done.lake.path(f"models/{name}", "first").removeprefix("file:"))
        card = json.loads((folder / "card.json").read_text())
        assert card["name"] == name
        assert card["data"]["rows"] > 0
        assert "(" in card["load"]
        assert card["sha256"] in (folder / "card.md").read_text()
        assert card["privacy"]["differential_privacy"] is None


def test_a_card_says_what_differential_privacy_holds_and_of_what(done: Context, tmp_path: Path) -> None:
    where = done.lake.path("models/profile_items", "first").removeprefix("file:")
    meta = json.loads((Path(where) / "model.json").read_text())
    task = TrainingTask("profile_items", "autoregressive", "", 160, ["a"], [7], [], f"file://{tmp_path}", 4, 16)
    said = {"epsilon": 4.25, "delta": 1e-5, "noise_multiplier": 1.5}
    write_card(done, task, meta | {"differential_privacy": said})
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["privacy"]["differential_privacy"] == said
    assert "tokens.json" in card["privacy"]["not_covered_by_it"]
    assert '"epsilon": 4.25, "delta": 1e-05' in (tmp_path / "card.md").read_text()
