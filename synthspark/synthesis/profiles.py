"""New and completed rows on the executors: blocks of proposals, drawn and judged by the same task."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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
from synthspark.errors import ConfigError, LakeError
from synthspark.judging.artifacts import load_judge
from synthspark.judging.judge import Judge
from synthspark.profiles import conditions
from synthspark.profiles.conditions import Condition
from synthspark.profiles.fitting import encode
from synthspark.profiles.proposals import Proposer, density_ratio, draw_rows, rake
from synthspark.profiles.tokens import Codes, TokenEncoding
from synthspark.sides import Side
from synthspark.synthesis.arrow import column_of
from synthspark.synthesis.blocks import generator, in_blocks, map_blocks
from synthspark.synthesis.generate import IMPUTED, PROFILE, id_prefix
from synthspark.training import storage
from synthspark.training.artifacts import load_generator, load_tokens
from synthspark_models.autoregressive import AutoregressiveGenerator
from synthspark_models.tabular import MISSING

PROPOSALS = 32_768
"""Proposals per block: the more, the more of them share one pass through the network."""
MIN_PROPOSALS = 1024
"""Minimum number of proposals per block if there is a judge or a condition."""
MAX_ROUNDS = 50
"""Maximum number of times that a block proposes again if conditions are rarely met."""


@dataclass(frozen=True)
class ProfileModel:
    """A trained profile generator: folder and checksums of its files."""

    url: str
    sha256: str
    judge_sha256: str | None
    """sha256 of the judge in the same folder; None for no judge."""
    rate: float
    """Share of the proposals that are accepted."""
    halved: bool
    """Whether rows are drawn with bfloat16: decided once and stored, so that all executors draw the same rows."""

    @classmethod
    def without_judge(cls, url: str, halved: bool = False) -> ProfileModel:
        """Return the model whose model.json and tokens.json are below `url`, without its judge."""
        return cls(url, json.loads(storage.read(f"{url}/model.json"))["sha256"], None, 1.0, halved)

    @classmethod
    def at(cls, url: str) -> ProfileModel:
        """Return the model below `url`, with its judge if judge.json exists."""
        plain = cls.without_judge(url)
        if not storage.exists(f"{url}/judge.json"):
            return plain
        judge = json.loads(storage.read(f"{url}/judge.json"))
        return replace(plain, judge_sha256=judge["sha256"], rate=judge["rate"], halved=judge["halved"])

    def encoding(self) -> TokenEncoding:
        """Load the token encoding that the model was trained on."""
        return load_tokens(self.url)

    def loaded(self) -> tuple[AutoregressiveGenerator, TokenEncoding, Judge | None]:
        """Return network, tokens and judge, loaded once per Python worker."""
        return _loaded(self)


@lru_cache(maxsize=4)
def _loaded(model: ProfileModel) -> tuple[AutoregressiveGenerator, TokenEncoding, Judge | None]:
    torch.set_num_threads(1)  # the workers are the parallelism
    network, meta = load_generator(model.url)
    assert isinstance(network, AutoregressiveGenerator)
    if meta["sha256"] != model.sha256:
        raise LakeError(f"model {model.url} changed while it was being used")
    if model.halved:
        network.halve()
    judge = load_judge(model.url, model.judge_sha256, storage.read) if model.judge_sha256 else None
    return network, model.encoding(), judge


@lru_cache(maxsize=8)
def _proposer(model: ProfileModel, given: tuple[Condition, ...] = ()) -> Proposer:
    """Build the proposer once per worker: its hierarchies are as large as the vocabularies."""
    network, encoding, _ = model.loaded()
    return Proposer.of(network, encoding, conditions.condition_shares(encoding, given) if given else None)


def drawn_rows(
    spark: SparkSession, model: ProfileModel, count: int, seed: int, given: tuple[Condition, ...] = ()
) -> DataFrame:
    """Draw `count` rows of attributes, with `id` 0, 1, ...; each meets the conditions `given`.

    Rows depend on (model, count, seed, conditions) only, since each block of them is made as a whole.
    """
    encoding = model.encoding()
    if given:
        # Conditions that cannot be met raise an error here, not in a task.
        _proposer(model, given).propose(MIN_PROPOSALS, generator(seed, PROFILE))
    blocks = num_blocks(model, count)

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for block in batch.column(0).to_pylist():
                yield drawn_block(model, block, count, seed, given)

    schema = T.StructType([T.StructField("id", T.LongType()), *_fields(encoding)])
    return spark.range(0, blocks, 1, max(1, min(blocks, 10_000))).mapInArrow(apply, schema)


def num_blocks(model: ProfileModel, count: int) -> int:
    """Return the number of blocks that `count` rows are made in."""
    return math.ceil(count / _block_rows(model))


def drawn_block(
    model: ProfileModel, block: int, count: int, seed: int, given: tuple[Condition, ...] = ()
) -> pa.RecordBatch:
    """Make block number `block` of the `drawn_rows` of the same arguments."""
    encoding, first = model.loaded()[1], block * _block_rows(model)
    rows = min(_block_rows(model), count - first)
    codes, uniform, limits = _block(model, rows, generator(seed, PROFILE, block), given)
    numbers = pa.array(first + np.arange(rows), pa.int64())
    schema = T.StructType([T.StructField("id", T.LongType()), *_fields(encoding)])
    return _batch([numbers], codes, uniform, encoding, limits, schema)


def _block_rows(model: ProfileModel) -> int:
    return max(1, int(PROPOSALS * model.rate))


def named(rows: DataFrame, side: Side, model: ProfileModel, seed: int, first_index: int) -> DataFrame:
    """Add to `drawn_rows` ids `syn:<kind>:<8 digits of model and seed>:<number>` and indices from `first_index` on."""
    name = F.concat(F.lit(id_prefix(side, model.sha256, seed)), F.col("id").cast("string"))
    return rows.withColumns({side.key: name, side.index: (F.col("id") + first_index).cast("int")}).drop("id")


def halving_pays() -> bool:
    """Return whether this CPU has instructions for bfloat16 (AVX-512 BF16)."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def proposed_codes(model: ProfileModel, rows: int, rng: np.random.Generator) -> Codes:
    """Make `rows` proposals as codes (rows, K), without judging them."""
    proposer = _proposer(model)
    parts = [proposer.propose(min(PROPOSALS, rows - start), rng)[0] for start in range(0, rows, PROPOSALS)]
    return np.concatenate(parts)


def completed_rows(entities: DataFrame, key: str, index: str, model: ProfileModel, seed: int) -> DataFrame:
    """Return the rows of `entities` that lack an attribute, with missing values drawn where the model can.

    entities: `key`, `index` (int, unique) and the attributes. Known values stay as they are.
    """
    encoding = model.encoding()
    drawn_fields = [f for f in _fields(encoding) if encoding.positions_of(f.name)]
    names = [f.name for f in drawn_fields]
    lacking = [F.col(schemas.quoted(n)).isNull() for n in names]
    if not lacking:
        return entities.limit(0)
    asked = entities.where(F.greatest(*[c.cast("int") for c in lacking], F.lit(0)) == 1)
    schema = T.StructType([T.StructField(index, T.IntegerType()), *drawn_fields])

    def handle(block: int, rows: pa.Table) -> pa.Table:
        proposer = _proposer(model)
        tokens = proposer.encoding
        codes = np.column_stack([rows.column(c).to_numpy() for c in tokens.columns]).astype(np.int64)
        rng = generator(seed, IMPUTED, block)
        completed = proposer.impute(codes, codes == MISSING, rng)
        numbers = rows.column(index).combine_chunks().cast(pa.int32())
        batch = _batch([numbers], completed, rng.random(completed.shape), tokens, None, schema)
        return pa.Table.from_batches([batch])

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from map_blocks(batches, handle)

    tokens = encode(asked, encoding).select(index, *encoding.columns)
    filled = in_blocks(tokens, index).mapInArrow(apply, schema)
    renamed = filled.select(index, *[F.col(schemas.quoted(n)).alias(f"_{i}") for i, n in enumerate(names)])
    merged = asked.join(renamed, on=index, how="inner")
    place = {n: f"_{i}" for i, n in enumerate(names)}
    return merged.select(
        key, index,
        *[F.coalesce(F.col(schemas.quoted(n)), F.col(place[n])).alias(n) if n in place else F.col(schemas.quoted(n))
          for n in encoding.kinds],
    )  # fmt: skip


def _block(
    model: ProfileModel, rows: int, rng: np.random.Generator, given: tuple[Condition, ...]
) -> tuple[Codes, npt.NDArray[np.float64], dict[str, tuple[float, float]] | None]:
    """Return codes (rows, K) of accepted proposals, their noise (rows, K), and limits of conditions (or None)."""
    _, encoding, judge = model.loaded()
    proposer = _proposer(model, given)
    wanted = proposer.wanted
    size = rows if judge is None and wanted is None else max(MIN_PROPOSALS, math.ceil(rows / model.rate))
    codes, weights = proposer.propose(size, rng)
    for _ in range(MAX_ROUNDS):
        if (weights > 0).sum() >= rows:
            break
        more, weights_of_more = proposer.propose(size, rng)
        codes, weights = np.concatenate([codes, more]), np.concatenate([weights, weights_of_more])
    if (weights > 0).sum() < rows:
        asked = f"conditions {', '.join(c.name + c.sign + c.value for c in given)}" if given else "hierarchies"
        raise ConfigError(f"{asked}: only {(weights > 0).sum()} of {len(codes)} proposals meet them; ask for fewer "
                          "rows, or set fewer conditions")  # fmt: skip
    if len(codes) > rows:
        if judge is not None:
            weights = weights * density_ratio(judge, codes)
            if wanted is None:
                weights = rake(codes, weights, encoding.counts, encoding.forbidden_codes())
        codes = codes[draw_rows(codes, weights, rows, rng)]
    return codes, rng.random(codes.shape), wanted.limits if wanted else None


def _fields(encoding: TokenEncoding) -> list[T.StructField]:
    return [T.StructField(name, schemas.ATTRIBUTE_TYPES[kind]) for name, kind in encoding.kinds.items()]


def _batch(
    leading: list[pa.Array], codes: Codes, uniform: npt.NDArray[np.float64], encoding: TokenEncoding,
    limits: dict[str, tuple[float, float]] | None, schema: T.StructType,
) -> pa.RecordBatch:  # fmt: skip
    decoded: dict[str, Any] = encoding.decode(codes, uniform, limits)
    arrays = [column_of(decoded[f.name], f.dataType) for f in schema.fields[len(leading) :]]
    return pa.RecordBatch.from_arrays([*leading, *arrays], names=[f.name for f in schema.fields])
