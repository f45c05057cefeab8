"""New rows of every classic network, made by the executors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pyspark.sql import SparkSession

from synthspark.features.encoding import TableEncoding
from synthspark.features.encoding.categorical import CategoricalEncoder
from synthspark.sides import ITEMS
from synthspark.synthesis.generate import new_entities
from synthspark.texts.fitting import first_common_value
from synthspark.training import TrainingTask
from synthspark.training.artifacts import save_generator
from synthspark.training.gan import GanTrainer

pytestmark = pytest.mark.spark

COLOURS = ("red", "green", "blue", "black")
ENCODING = TableEncoding(
    {"colour": "categorical"}, (CategoricalEncoder("colour", "code_00_colour", COLOURS, has_missing=False),), {}
)


@pytest.mark.parametrize("network", ["gan", "dcgan", "infogan", "wgan_gp"])
def test_new_rows_are_decoded_and_depend_on_the_seed_alone(spark: SparkSession, tmp_path: Path, network: str) -> None:
    task = TrainingTask(
        name="profile_items", network=network, feed_url="", num_rows=8, code_columns=ENCODING.code_columns,
        cardinalities=ENCODING.cardinalities, number_columns=[], output_url=f"file://{tmp_path}", epochs=1,
        batch_size=8, hyper={"hidden": 16, "noise_dim": 4},
    )  # fmt: skip
    torch.manual_seed(0)
    meta = save_generator(task, GanTrainer(task, torch.device("cpu")).generator, [])

    def made(count: int, seed: int) -> list[tuple[str, str]]:
        rows = new_entities(spark, count, ITEMS, ENCODING, task.output_url, meta, first_index=7, seed=seed)
        return [(r["item_id"], r["colour"]) for r in rows.orderBy("item_index").collect()]

    rows = made(60, seed=1)
    assert len({key for key, _ in rows}) == 60
    assert {colour for _, colour in rows} <= {None, *COLOURS}
    assert made(30, seed=1) == rows[:30]
    assert [c for _, c in made(60, seed=2)] != [c for _, c in rows]


def test_what_few_real_rows_have_is_not_written_again(spark: SparkSession) -> None:
    titles = ["Red Mug", "red  mug", "RED MUG ", "Blue bowl", "blue BOWL", None, "Gnu"]
    real = spark.createDataFrame([(title,) for title in titles], "`ti.tle` string")
    drawn = spark.createDataFrame(
        [(0, "gnu", 0), (0, "blue bowl", 1), (0, "red mug", 2), (0, "new", 3), (1, "GNU", 0), (1, "Blue Bowl", 1),
         (2, "new too", 5), (2, "new", 4), (3, None, 0), (3, "new", 1)],
        "item_index int, `ti.tle` string, place int",
    )  # fmt: skip
    found = {row[0]: row[1] for row in first_common_value(drawn, real, "item_index", "ti.tle", "place", 3).collect()}
    assert found == {0: "red mug", 2: "new", 3: None}  # three have the mug, two the bowl; a row may have none


def test_sets_are_copies_in_whatever_order(spark: SparkSession) -> None:
    real = spark.createDataFrame([(["a", "B"],), (None,)], "tags array<string>")
    drawn = spark.createDataFrame([(0, ["b", "A"], 0), (0, ["a"], 1)], "item_index int, tags array<string>, place int")
    assert [row["tags"] for row in first_common_value(drawn, real, "item_index", "tags", "place", 3).collect()] == [
        ["a"]
    ]
