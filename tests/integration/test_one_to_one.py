"""Columns that decide each other, as a category's id and its name: no network pairs what real rows never pair."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
import torch
from pyspark.sql import DataFrame, SparkSession

from synthspark.errors import ConfigError
from synthspark.features import encoding as encodings
from synthspark.profiles import fitting, hierarchy
from synthspark.profiles.conditions import parse
from synthspark.profiles.fitting import TokenLimits
from synthspark.profiles.repair import code_rules
from synthspark.profiles.tokens import TokenEncoding
from synthspark.sides import ITEMS
from synthspark.synthesis.generate import new_entities
from synthspark.synthesis.profiles import ProfileModel, completed_rows, drawn_rows
from synthspark.training import TrainingTask
from synthspark.training.artifacts import save_generator, save_tokens
from synthspark.training.gan import GanTrainer
from synthspark_models.autoregressive import AutoregressiveGenerator

pytestmark = pytest.mark.spark

NAMES = ("code", "name", "dept")
KINDS = dict.fromkeys(NAMES, "categorical")
SCHEMA = "key string, n int, code string, name string, dept string"
Row = tuple[str | None, ...]


def planted() -> list[Row]:
    """Twenty ids. c3 has two spellings, c5 and c6 share a name, c19 has rare names only; some lack, some are rare."""
    rows: list[Row] = []
    for i in range(760):
        of = i % 19
        name = "N3" if of == 3 and i % 4 == 0 else "n5" if of == 6 else f"n{of}"
        rows.append((None if i % 11 == 5 else f"c{of}", None if i % 13 == 7 else name, f"d{1 if of == 6 else of % 4}"))
    rows += [("c19", "once a", "d0"), ("c19", "once b", "d0"), ("odd", "n2", "d2"), ("rare", None, "d1")]
    return rows


def pairs(rows: list[Row]) -> set[tuple[str, str, str]]:
    """(columns, value, value) of every two attributes that stand in a row."""
    return {(f"{NAMES[a]}-{NAMES[b]}", str(r[a]), str(r[b])) for r in rows for a, b in combinations(range(3), 2)
            if r[a] is not None and r[b] is not None}  # fmt: skip


REAL = pairs(planted())


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(f"k{i}", i, *row) for i, row in enumerate(planted())], SCHEMA).cache()


def learned(table: DataFrame, least: int = 2) -> TokenEncoding:
    fitted, _ = fitting.fit(table, KINDS, TokenLimits(min_category_count=least))
    tokens = fitting.encode(table, fitted).select(*fitted.columns)
    return hierarchy.learn(tokens, fitting.counted(tokens, fitted), [])[0]


@pytest.fixture(scope="module")
def model(table: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> ProfileModel:
    """Not trained: it proposes anything."""
    fitted, url = learned(table), f"file://{tmp_path_factory.mktemp('one to one')}"
    save_tokens(url, fitted)
    task = TrainingTask("profile_items", "autoregressive", "", 760, fitted.columns, fitted.cardinalities, [], url, 1,
                        64, hyper={"hidden": 8, "layers": 1})  # fmt: skip
    torch.manual_seed(0)
    save_generator(task, AutoregressiveGenerator(fitted.cardinalities, hidden=8, layers=1), [])
    return ProfileModel.at(url)


def of(rows: DataFrame) -> list[Row]:
    return [tuple(r) for r in rows.select(*NAMES).collect()]


def test_columns_that_decide_each_other_are_one_hierarchy_and_no_circle(
    spark: SparkSession, table: DataFrame, model: ProfileModel
) -> None:
    plain = [(f"k{i}", i, f"c{i % 7}", f"n{i % 7}", f"d{i}") for i in range(70)]
    for fitted, expected in ((model.encoding(), {("code", "name"), ("code", "dept"), ("dept", "name")}),
                             (learned(spark.createDataFrame(plain, SCHEMA)), {("code", "name")})):  # fmt: skip
        name_of = {t.column: t.name for t in fitted.tokens}
        found = [tuple(sorted((name_of[h.fine], name_of[h.coarse]))) for h in fitted.hierarchies]
        assert set(found) == expected and len(found) == len(expected)
        assert sorted(hierarchy.drawing_order(fitted)) == list(range(len(fitted.tokens)))
    tokens = fitting.encode(table, model.encoding()).select(*model.encoding().columns)
    declared, notes = hierarchy.learn(tokens, model.encoding(), [["code", "name"], ["name", "code"]])
    assert len(declared.hierarchies) == 3
    assert [n.partition(":")[0] for n in notes] == ["hierarchy code > name"], "as the first of the two says"


def test_columns_that_nearly_always_have_one_value_do_not_decide_each_other(spark: SparkSession) -> None:
    rows = [(f"k{i}", i, "yes" if i % 200 == 3 else "no", "gift" if i % 200 == 9 else "own", None) for i in range(1000)]
    assert learned(spark.createDataFrame(rows, SCHEMA)).hierarchies == ()


def test_no_drawn_row_pairs_what_real_rows_never_pair(spark: SparkSession, model: ProfileModel) -> None:
    rows = of(drawn_rows(spark, model, 3000, seed=1))
    assert pairs(rows) <= REAL
    drawn = {(a, b) for a, b, _ in rows}
    assert {("c3", "n3"), ("c3", "N3"), ("c5", "n5"), ("c6", "n5")} <= drawn, "all that is real is drawn"
    assert any(a is None for a, _ in drawn) and any(a and b is None for a, b in drawn)
    assert {b for a, b in drawn if a == "c19"} <= {None}, "its names are rare: it has none"


def test_conditions_on_either_of_them_keep_to_real_pairs(spark: SparkSession, model: ProfileModel) -> None:
    for text in ("name=n5", "code=c3", "dept=d1"):
        rows = of(drawn_rows(spark, model, 200, 1, (parse(text),)))
        assert len(rows) == 200 and pairs(rows) <= REAL, text
    assert {r[0] for r in of(drawn_rows(spark, model, 200, 1, (parse("name=n5"),)))} >= {"c5", "c6"}
    with pytest.raises(ConfigError, match="no row can meet all the conditions"):
        drawn_rows(spark, model, 10, 1, (parse("code=c1"), parse("name=n2")))


def test_what_is_filled_in_belongs_to_what_is_known(table: DataFrame, model: ProfileModel) -> None:
    filled = completed_rows(table, "key", "n", model, seed=3)
    rows = of(filled)
    assert len(rows) == sum(None in row for row in planted())
    assert pairs(rows) <= REAL
    assert all(r[0] and r[1] for r in rows if r[0] not in ("rare", "c19")), "what can be known is filled in"
    assert ("rare", None, "d1") in rows, "nobody knows the name of a rare id"


@pytest.mark.parametrize("network", ["gan", "infogan"])
def test_networks_that_know_no_hierarchy_keep_it_all_the_same(
    spark: SparkSession, table: DataFrame, tmp_path: Path, network: str
) -> None:
    encoding = encodings.fit(table, KINDS, encodings.EncodingLimits(min_category_count=2))
    task = TrainingTask(
        name="profile_items", network=network, feed_url="", num_rows=760, code_columns=encoding.code_columns,
        cardinalities=encoding.cardinalities, number_columns=[], output_url=f"file://{tmp_path}", epochs=1,
        batch_size=8, hyper={"hidden": 16, "noise_dim": 4},
    )  # fmt: skip
    torch.manual_seed(0)
    meta = save_generator(task, GanTrainer(task, torch.device("cpu")).generator, [])
    for least in (2, 30):  # tokens may know fewer values than the network emits
        rules = code_rules(learned(table, least), encoding)
        made = new_entities(spark, 2000, ITEMS, encoding, task.output_url, meta, 0, 1, rules)
        rows = of(made)
        assert pairs(rows) <= REAL
        assert sum(r[0] is not None and r[1] is not None for r in rows) > 500
    again = encodings.encode(made.select("item_id", *NAMES), encoding).select("item_id", *encoding.code_columns)
    known = made.join(again.withColumnsRenamed({c: f"{c}_again" for c in encoding.code_columns}), on="item_id")
    for code, name in zip(encoding.code_columns, NAMES, strict=True):
        assert known.where(f"{name} is not null and {code} != {code}_again").count() == 0, "codes and values agree"
