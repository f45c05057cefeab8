"""Generators on the executors: mapInArrow over fixed blocks; the model is loaded once per Python worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark import schemas
from synthspark.features import encoding as encodings
from synthspark.features.encoding import TableEncoding
from synthspark.profiles.repair import CodeRule, repaired
from synthspark.sides import Side
from synthspark.synthesis.arrow import column_of
from synthspark.synthesis.blocks import ROWS, generator, in_blocks, map_blocks
from synthspark.training.artifacts import load_generator
from synthspark_models import BehaviourGenerator, RowGenerator
from synthspark_models.behaviour import PRIOR_COUNTERPARTS

HISTORY = "history"
MAX_HISTORY = 50
"""Maximum number of counterparts in a history; entities with more are not cold."""
PROFILE, BEHAVIOUR, IMPUTED, WRITTEN = 1, 2, 3, 4
"""Salts, so that a block draws different noise for different purposes."""


@lru_cache(maxsize=8)
def loaded(url: str, sha256: str) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Load a model once per worker; sha256 is part of the key, since a new model may have the same URL."""
    torch.set_num_threads(1)  # the workers are the parallelism
    module, meta = load_generator(url)
    assert meta["sha256"] == sha256, f"model {url} changed while it was being used"
    return module, meta


def preferences(entities: DataFrame, index: str, model_url: str, meta: dict[str, Any], seed: int) -> DataFrame:
    """Generate each entity's preference by the behaviour generator.

    entities: `index` int, the encoded columns of `meta` (model.json), `noise` (0 for the most likely preference, 1 for
    a random one), and `history` (of `histories`; null for none) if the network has this input. Returns `index`,
    `vector` array<float> (in the space of the real factors) and `log_activity` float.
    """
    codes, numbers, tokens, sha256 = (meta[n] for n in ("code_columns", "number_columns", "token_columns", "sha256"))

    def handle(block: int, rows: pa.Table) -> pa.Table:
        network, about = loaded(model_url, sha256)
        assert isinstance(network, BehaviourGenerator)
        noise = generator(seed, BEHAVIOUR, block).standard_normal((ROWS, network.noise_dim), dtype=np.float32)
        place = rows.column(index).to_numpy() % ROWS
        scale = rows.column("noise").to_numpy().astype(np.float32)[:, None]
        made = network(
            tensor_of(rows, codes, np.int64),
            tensor_of(rows, numbers, np.float32),
            torch.from_numpy(noise[place] * scale),
            _history(rows, network.history_dim),
            tensor_of(rows, tokens, np.int64),
        )
        vector = made.vector * about["factor_scale"]
        columns = [
            rows.column(index).combine_chunks().cast(pa.int32()),
            _lists(vector.numpy()),
            pa.array(made.log_activity.numpy(), pa.float32()),
        ]
        return pa.Table.from_arrays(columns, names=[index, "vector", "log_activity"])

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with torch.inference_mode():
            yield from map_blocks(batches, handle)

    known = [HISTORY] if HISTORY in entities.columns else []
    blocks = in_blocks(entities.select(index, "noise", *codes, *numbers, *tokens, *known), index)
    return blocks.mapInArrow(apply, f"{index} int, vector array<float>, log_activity float")


def histories(pairs: DataFrame, vectors: DataFrame, side: Side) -> DataFrame:
    """Summarize the interactions of entities as input of the generator: index and `history` array<float>.

    pairs: `user_index`, `item_index`; vectors: the other side's index and `vector`. Sums are in the order of the
    indices, so that they are the same for any partitioning. The formula is that of `synthspark_models.summarised`.
    """
    key, other = side.index, side.other.index
    length = F.sqrt(F.aggregate("vector", F.lit(0.0), lambda total, x: total + x * x))
    direction = F.transform("vector", lambda x: x / F.greatest(length, F.lit(1e-12)))
    known = pairs.join(vectors.select(other, direction.alias("direction")), on=other, how="inner")
    met = F.slice(F.sort_array(F.collect_list(F.struct(other, "direction"))), 1, MAX_HISTORY).alias("met")
    listed = known.groupBy(key).agg(met).withColumn("count", F.size("met").cast("double"))
    empty = F.transform(F.element_at("met", 1)["direction"], lambda _: F.lit(0.0))
    total = F.aggregate("met", empty, lambda acc, m: F.zip_with(acc, m["direction"], lambda a, b: a + b))
    scaled = F.transform(total, lambda x: (x / (F.col("count") + PRIOR_COUNTERPARTS)).cast("float"))
    return listed.select(key, F.concat(scaled, F.array(F.log1p("count").cast("float"))).alias(HISTORY))


def new_entities(
    spark: SparkSession, count: int, side: Side, encoding: TableEncoding, model_url: str, meta: dict[str, Any],
    first_index: int, seed: int, rules: Sequence[CodeRule] = (),
) -> DataFrame:  # fmt: skip
    """Make `count` new rows: the key, the decoded attributes, an index from `first_index` on, and encoded columns.

    rules: hierarchies of attributes that rows are repaired to keep, since these networks do not model them. Ids are
    `syn:<kind>:<8 digits of the model and the seed>:<number>`: reserved, and the same for the same model and seed.
    """
    attributes = schemas.entity_schema(side.key, encoding.kinds)
    codes, numbers, sha256 = meta["code_columns"], meta["number_columns"], meta["sha256"]
    fields = [*attributes.fields, T.StructField(side.index, T.IntegerType())]
    fields += [T.StructField(c, T.IntegerType()) for c in codes] + [T.StructField(c, T.FloatType()) for c in numbers]
    prefix = id_prefix(side, sha256, seed)
    saved = encoding.to_json()

    def handle(block: int, rows: pa.Table) -> pa.Table:
        network, _ = loaded(model_url, sha256)
        assert isinstance(network, RowGenerator)
        torch.manual_seed(int(generator(seed, PROFILE, block).integers(1 << 62)))
        sample = network(network.latent(ROWS))
        number = rows.column("id").to_numpy()
        place = number % ROWS
        code, value = repaired(sample.codes().numpy()[place], rules), sample.numbers.numpy()[place]
        decoded = encodings.decode(TableEncoding.from_json(saved), code, value)
        columns = [pa.array([f"{prefix}{n}" for n in number], pa.string())]
        for field in attributes.fields[1:]:
            columns.append(column_of(decoded[field.name], field.dataType))
        columns.append(pa.array(first_index + number, pa.int32()))
        columns += [pa.array(code[:, j], pa.int32()) for j in range(code.shape[1])]
        columns += [pa.array(value[:, j], pa.float32()) for j in range(value.shape[1])]
        return pa.Table.from_arrays(columns, names=[f.name for f in fields])

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with torch.inference_mode():
            yield from map_blocks(batches, handle)

    return in_blocks(spark.range(count).select(F.col("id")), "id").mapInArrow(apply, T.StructType(fields))


def id_prefix(side: Side, sha256: str, seed: int) -> str:
    """Return the prefix of the ids of new rows: `syn:<kind>:<8 digits of the model and the seed>:`."""
    short = f"{int(sha256[:8], 16) ^ (seed & 0xFFFFFFFF):08x}"
    return f"{schemas.SYNTHETIC_ID_PREFIX}{side.one}:{short}:"


def tensor_of(rows: pa.Table, columns: list[str], dtype: npt.DTypeLike) -> torch.Tensor:
    """Return the named columns as one tensor, shape (B, columns)."""
    if not columns:
        return torch.zeros(len(rows), 0, dtype=torch.long if dtype == np.int64 else torch.float32)
    return torch.from_numpy(np.column_stack([rows.column(c).to_numpy() for c in columns]).astype(dtype))


def _history(rows: pa.Table, width: int) -> torch.Tensor | None:
    """Return the column `history` as (B, width), nulls as zeros; None without the column or for width 0."""
    if width == 0 or HISTORY not in rows.column_names:
        return None
    empty = np.zeros(width, np.float32)
    lists = rows.column(HISTORY).to_pylist()
    return torch.from_numpy(np.stack([empty if h is None else np.asarray(h, np.float32) for h in lists]))


def _lists(matrix: npt.NDArray[np.float32]) -> pa.Array:
    offsets = pa.array(np.arange(0, matrix.size + 1, matrix.shape[1]), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(matrix.reshape(-1), pa.float32()))
