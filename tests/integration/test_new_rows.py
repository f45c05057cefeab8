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
