"""The linear regression beside the generator: against scikit-learn, whatever the partitions, and what it withholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn.linear_model import Ridge as ReferenceRidge

from synthspark.errors import LakeError
from synthspark.features.encoding import FIRST
from synthspark.judging.features import Bag, PairTable
from synthspark.judging.ridge import FOLDED, WIDTH, Design, Ridge, fit_ridge, with_linear
from synthspark.training import storage

pytestmark = pytest.mark.spark

TITLE = Bag(["w0", "w1"], np.array([0, 1, 2, 3], np.float32), 3.0)
TABLE = PairTable(["brand"], [FIRST + 3], ["price"], [], [TITLE])
ROWS = 120


@pytest.fixture(scope="module")
def known(spark: SparkSession) -> DataFrame:
    """Vectors that follow brand and words and know nothing of the price, which varies widely."""
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(3 + 4, 2))
    rows = []
    for i in range(ROWS):
        brand, word = int(rng.integers(3)), int(rng.integers(1, 4))
        vector = taste[brand] + taste[3 + word] + 0.1 * rng.normal(size=2)
        rows.append((i, FIRST + brand, float(100 * rng.normal()), word, 0, [float(v) for v in vector]))
    return spark.createDataFrame(
        rows, "item_index int, brand int, price float, w0 int, w1 int, vector array<float>"
    ).persist()


def test_it_is_the_ridge_regression_of_its_penalties(known: DataFrame) -> None:
    ridge = fit_ridge(known, "item_index", TABLE)
    rows = known.orderBy("item_index").toPandas()
    one_hot = np.zeros((ROWS, FIRST + 3 + 1 + 4 + FOLDED))
    one_hot[np.arange(ROWS), rows["brand"]] = 1
    one_hot[:, FIRST + 3] = rows["price"]
    one_hot[np.arange(ROWS), FIRST + 3 + 1 + rows["w0"]] = 1
    target = np.stack(rows["vector"])
    found = {r["item_index"]: r["vector"] for r in ridge.vectors(known.drop("vector"), "item_index").collect()}
    mine = np.array([found[i] for i in range(ROWS)])
    # The penalties are chosen: some of those that may be gives the very same.
    scales = [(b, p, w) for b in (1, 10, 100, 1000) for p in (1, 10, 100, 1000) for w in (1, 10, 100, 1000)]
    blocks = np.repeat([0, 1, 2], [FIRST + 3, 1, 4 + FOLDED])
    gaps = []
    for scale in scales:
        shrink = np.sqrt(np.array(scale))[blocks]
        reference = ReferenceRidge(alpha=1.0).fit(one_hot / shrink, target)
        gaps.append(np.abs(reference.predict(one_hot / shrink) - mine).max())
    assert min(gaps) < 1e-3
    assert np.square(mine - target).mean() < 0.05 * target.var()


def test_a_kind_of_attribute_that_says_nothing_is_shrunken_most(known: DataFrame) -> None:
    weights = fit_ridge(known, "item_index", TABLE).weights
    assert np.abs(weights[FIRST + 3]).max() < 1e-3 < np.abs(weights[: FIRST + 3]).max()


def test_the_same_bytes_whatever_the_partitions(known: DataFrame) -> None:
    found = [fit_ridge(known.repartition(n), "item_index", TABLE).weights.tobytes() for n in (1, 7)]
    assert found[0] == found[1]


def test_kept_beside_the_judge_and_refused_where_it_is_another(known: DataFrame, tmp_path: Path) -> None:
    ridge = fit_ridge(known, "item_index", TABLE)
    sha256 = ridge.save(lambda name, data: storage.write(f"{tmp_path}/{name}", data))
    data = storage.read(f"{tmp_path}/ridge.safetensors")
    assert (Ridge.load(TABLE, data, {"ridge_sha256": sha256}).weights == ridge.weights).all()
    with pytest.raises(LakeError, match="train again"):
        Ridge.load(TABLE, data + b" ", {"ridge_sha256": sha256})


def test_unseen_words_and_empty_rows_have_a_vector(spark: SparkSession, known: DataFrame) -> None:
    ridge = fit_ridge(known, "item_index", TABLE)
    rows = [(0, FIRST, 0.0, 4 + 999_999, 0), (1, 0, 0.0, 0, 0)]
    items = spark.createDataFrame(rows, "item_index int, brand int, price float, w0 int, w1 int")
    made = with_linear(items.select("item_index"), items, ridge).collect()
    assert all(np.isfinite(row["linear"]).all() for row in made) and len(made) == 2


def test_wide_vocabularies_share_the_columns_and_narrow_ones_have_their_own() -> None:
    wide = Bag(["w0"], np.ones(100_000, np.float32), 1.0)
    table = PairTable(["brand", "kind"], [10, 50_000], [], [], [wide])
    widths = Design(table).widths
    assert widths[0] == 10 and sum(widths) <= WIDTH and min(widths[1:]) > 1000
    assert len(Design(table).blocks()) == sum(widths) + 1
