"""New and completed rows of a planted table: a hierarchy, prices by kind, missing sizes, sets, dates, and dirt."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark.errors import ConfigError
from synthspark.judging import save_judge
from synthspark.profiles import fitting, hierarchy
from synthspark.profiles.conditions import parse
from synthspark.profiles.fitting import TokenLimits
from synthspark.profiles.judge import fit_judge
from synthspark.profiles.tokens import NumberTokens, TokenEncoding
from synthspark.sides import ITEMS
from synthspark.synthesis.profiles import ProfileModel, completed_rows, drawn_rows, named, proposed_codes
from synthspark.training import TrainingTask, storage
from synthspark.training.artifacts import save_generator, save_tokens
from synthspark.training.autoregressive import AutoregressiveTrainer

pytestmark = pytest.mark.spark

ROWS = 1200
KINDS = {"dép art": "categorical", "type": "categorical", "price": "numeric", "size": "categorical", "stock": "numeric",
         "tags": "multi", "listed": "datetime", "same": "categorical", "code": "categorical", "none": "numeric",
         "title": "text"}  # fmt: skip
SCHEMA = ("id string, n int, `dép art` string, type string, price double, size string, stock double, "
          "tags array<string>, listed timestamp, same string, code string, none double, title string")  # fmt: skip
PRICES = {"frais": (0.5, 4.99), "sec": (5.0, 20.0), "日用": (100.0, 900.0)}


def planted() -> list[tuple[object, ...]]:
    """Nine types in three departments; the department decides the price; a third has no size, all of `frais`."""
    rng = np.random.default_rng(0)
    rows: list[tuple[object, ...]] = []
    for i in range(ROWS):
        department = list(PRICES)[i % 3]
        low, high = PRICES[department]
        price = float(np.round(rng.uniform(low, high), 2)) if i % 50 else float("inf") if i else -0.0
        size = None if department == "frais" else ("10", "007", "x" * 10_000)[int(rng.integers(3))]
        tags = sorted({"a", department} if i % 2 else {department}) if i % 7 else None
        listed = datetime(2024, 1, 1) + timedelta(days=int(rng.integers(90)))
        kind, stock = f"{department}-{rng.integers(3)}", float(rng.poisson(3))
        rows.append((f"i{i}", i, department, kind, price, size, stock, tags, listed, "only", f"unique {i}", None, "-"))
    rows[1] = (*rows[1][:3], "once", *rows[1][4:])
    return rows


@pytest.fixture(scope="module")
def declared(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(planted(), SCHEMA).repartition(3).cache()


@pytest.fixture(scope="module")
def learned(declared: DataFrame) -> tuple[TokenEncoding, dict[str, str], list[str], pd.DataFrame]:
    fitted, left_out = fitting.fit(declared, KINDS, TokenLimits(min_category_count=2))
    tokens = fitting.encode(declared, fitted).select("n", *fitted.columns).cache()
    fitted, notes = hierarchy.learn(tokens, fitting.counted(tokens, fitted), [["dép art", "type"]])
    return fitted, left_out, notes, tokens.orderBy("n").toPandas()


@pytest.fixture(scope="module")
def model(
    learned: tuple[TokenEncoding, dict[str, str], list[str], pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> ProfileModel:
    fitted, _, _, tokens = learned
    url = f"file://{tmp_path_factory.mktemp('model with space')}"
    save_tokens(url, fitted)
    task = TrainingTask("profile_items", "autoregressive", "", ROWS, fitted.columns, fitted.cardinalities, [], url, 60,
                        64, hyper={"hidden": 48, "dropout": 0.0})  # fmt: skip
    torch.manual_seed(0)
    trainer = AutoregressiveTrainer(task, torch.device("cpu"))
    trainer.start(0, ROWS // 64)
    rng = np.random.default_rng(0)
    for _ in range(60 * (ROWS // 64)):
        rows = tokens.iloc[rng.choice(ROWS, 64, replace=False)]
        trainer.step({c: torch.from_numpy(rows[c].to_numpy()) for c in fitted.columns})
    trainer.keep()
    save_generator(task, trainer.generator, [])
    real = tokens[fitted.columns].to_numpy(dtype=np.int64)
    found = fit_judge(real, proposed_codes(ProfileModel.without_judge(url), ROWS, rng), fitted.columns, 0)
    assert found is not None
    about = {"rate": found.rate, "halved": False}
    save_judge(found.judge, {}, lambda name, data: storage.write(f"{url}/{name}", data), about)
    return ProfileModel.at(url)


def test_what_a_table_is_made_of_is_found(
    learned: tuple[TokenEncoding, dict[str, str], list[str], pd.DataFrame],
) -> None:
    fitted, left_out, notes, tokens = learned
    assert fitted.constants == {"same": "only"}
    assert left_out == {
        "code": "nearly every value is unique (an id by mistake?)",
        "none": "all null",
        "title": "train.texts.enabled is false",
    }
    by_name = {t.name: t for t in fitted.tokens}
    stock, price = by_name["stock"], by_name["price"]
    assert isinstance(stock, NumberTokens)
    assert isinstance(price, NumberTokens)
    assert stock.step == 1.0
    assert price.step == 0.01
    found = {(h.coarse, h.fine) for h in fitted.hierarchies}
    assert (by_name["dép art"].column, by_name["type"].column) in found
    assert notes == []
    # Infinite is missing, and so are all sizes of one department; counts are of all rows.
    assert fitted.counts[fitted.columns.index(price.column)][1] == ROWS // 50 - 1
    assert all(sum(c) == ROWS for c in fitted.counts)
    assert (tokens[fitted.columns] > 0).all().all()


def test_new_rows_keep_hierarchy_ranges_grids_and_missing_values(spark: SparkSession, model: ProfileModel) -> None:
    rows = drawn_rows(spark, model, 900, seed=1).toPandas()
    assert sorted(rows["id"]) == list(range(900))
    known = rows.dropna(subset=["type", "dép art"])
    assert len(known) > 850
    assert all(t.startswith(f"{d}-") for t, d in zip(known["type"], known["dép art"], strict=True))
    assert "once" not in set(rows["type"])  # rarer than min_category_count
    assert set(rows["same"]) == {"only"}
    assert rows[["code", "none", "title"]].isna().all().all()
    right = [
        PRICES[d][0] - 0.5 <= p <= PRICES[d][1] for d, p in zip(rows["dép art"], rows["price"], strict=True) if p > 0
    ]
    assert np.mean(right) > 0.95
    assert all(p == round(p, 2) for p in rows["price"].dropna())
    assert all(s == int(s) for s in rows["stock"].dropna())
    assert (rows["listed"].dt.hour == 0).all()
    assert rows["listed"].between("2024-01-01", "2024-03-31").all()
    fresh = rows["dép art"] == "frais"
    assert rows["size"][fresh].isna().mean() > 0.97
    assert rows["size"][~fresh].isna().mean() < 0.03
    shares = rows["dép art"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx(dict.fromkeys(PRICES, 1 / 3), abs=0.04)
    with_tags = rows.dropna(subset=["tags"])
    assert np.mean([d in set(t) for t, d in zip(with_tags["tags"], with_tags["dép art"], strict=True)]) > 0.95


def test_the_same_seed_gives_the_same_rows_wherever_they_are_made(spark: SparkSession, model: ProfileModel) -> None:
    def made(seed: int, master_parts: str) -> list[str]:
        spark.conf.set("spark.sql.shuffle.partitions", master_parts)
        rows = named(drawn_rows(spark, model, 300, seed), ITEMS, model, seed, 7).drop("listed")
        return sorted(str(r) for r in rows.collect())

    first = made(3, "2")
    assert made(3, "5") == first
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    assert made(4, "2") != first
    assert first[0].startswith("Row(dép art=")
    assert "syn:item:" in first[0]


def test_every_condition_holds_in_every_row(spark: SparkSession, model: ProfileModel) -> None:
    given = tuple(parse(t) for t in ("type=sec-1", "price<9", "price>=6", "size=007", "listed>=2024-02-01"))
    rows = drawn_rows(spark, model, 400, 1, given).toPandas()
    assert len(rows) == 400
    assert set(rows["dép art"]) == {"sec"}  # it follows
    assert set(rows["type"]) == {"sec-1"}
    assert set(rows["size"]) == {"007"}
    assert rows["price"].between(6, 8.99).all()
    assert rows["price"].nunique() > 50
    assert (rows["listed"] >= "2024-02-01").all()
    with pytest.raises(ConfigError, match="no row can meet all the conditions on dép art, type at once"):
        drawn_rows(spark, model, 5, 1, (parse("type=sec-1"), parse("dép art=frais")))
    with pytest.raises(ConfigError, match="Did you mean 'type'"):
        drawn_rows(spark, model, 5, 1, (parse("tpye=sec-1"),))


def test_what_is_missing_is_completed_and_what_is_there_stays(
    spark: SparkSession, declared: DataFrame, model: ProfileModel
) -> None:
    lost = F.when(F.col("n") % 4 == 0, None)
    torn = declared.withColumn("dép art", lost.otherwise(F.col("dép art")))
    torn = torn.withColumn("price", F.when(F.col("n") % 4 == 1, None).otherwise(F.col("price")))
    completed = completed_rows(torn, "id", "n", model, seed=1)
    rows = completed.toPandas().set_index("id")
    truth = declared.toPandas().set_index("id").loc[rows.index]
    torn_rows = torn.toPandas().set_index("id").loc[rows.index]
    assert not rows[["dép art", "price", "type", "stock"]].isna().any().any()
    for name in ("dép art", "type", "price", "stock"):
        there = torn_rows[name].notna()
        assert (rows[name][there] == torn_rows[name][there]).all()
    lacked = torn_rows["dép art"].isna() & (truth["type"] != "once")
    assert (rows["dép art"][lacked] == truth["dép art"][lacked]).all()  # the type says it
    priceless = torn_rows["price"].isna() & (truth["type"] != "once")
    inside = [PRICES[d][0] - 0.5 <= p <= PRICES[d][1] for d, p in
              zip(truth["dép art"][priceless], rows["price"][priceless], strict=True)]  # fmt: skip
    assert np.mean(inside) > 0.95
    again = completed_rows(torn.repartition(5), "id", "n", model, seed=1)
    assert sorted(map(str, again.collect())) == sorted(map(str, completed.collect()))


def test_a_missing_fine_value_decides_nothing_and_hides_no_hierarchy(spark: SparkSession) -> None:
    rows = [(None if i % 5 == 0 else f"t{i % 12}", f"d{i % 3}") for i in range(240)]
    df = spark.createDataFrame(rows, "fine string, coarse string")
    fitted, _ = fitting.fit(df, {"fine": "categorical", "coarse": "categorical"}, TokenLimits())
    tokens = fitting.encode(df, fitted)
    fitted, _ = hierarchy.learn(tokens, fitting.counted(tokens, fitted), [])
    (found,) = fitted.hierarchies
    assert len(found.pairs) == 12 + 3  # each fine value with its own, none with all


def test_a_declared_hierarchy_that_data_contradict_is_said_and_kept_as_seen(declared: DataFrame) -> None:
    fitted, _ = fitting.fit(declared, {"type": "categorical", "size": "categorical"}, TokenLimits())
    tokens = fitting.encode(declared, fitted)
    fitted, notes = hierarchy.learn(tokens, fitting.counted(tokens, fitted), [["size", "type"]])
    assert len(fitted.hierarchies) == 1
    assert notes[0].startswith("hierarchy size > type: ")
    with pytest.raises(ConfigError, match="'sise' is not a categorical attribute. Did you mean 'size'"):
        hierarchy.learn(tokens, fitted, [["sise", "type"]])


@pytest.mark.parametrize("rows", [1, 10])
def test_a_table_of_few_rows_is_fitted(spark: SparkSession, rows: int) -> None:
    df = spark.createDataFrame(planted()[:rows], SCHEMA)
    fitted, _ = fitting.fit(df, KINDS, TokenLimits())
    tokens = fitting.encode(df, fitted)
    fitted, _ = hierarchy.learn(tokens, fitting.counted(tokens, fitted), [])
    assert all(sum(c) == rows for c in fitted.counts)
    assert TokenEncoding.from_json(fitted.to_json()) == fitted


def test_nothing_of_a_row_is_in_the_saved_model(model: ProfileModel) -> None:
    """Values that fewer rows than the bound have are in no file of it: neither ids nor rare categories."""
    folder = Path(model.url.removeprefix("file://"))
    said = b"".join(p.read_bytes() for p in folder.iterdir() if p.suffix in (".json", ".txt"))
    assert b"once" not in said
    assert b"unique 17" not in said
