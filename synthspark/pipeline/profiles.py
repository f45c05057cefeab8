"""Profiles in the stages: the feed that their generator learns from, its judge, and the rows that it makes."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark import schemas
from synthspark.config import ProfileNetwork
from synthspark.errors import ConfigError
from synthspark.features import encoding as encodings
from synthspark.judging import save_judge
from synthspark.lake import Publication
from synthspark.pipeline.context import Context, StageReport, read_encoding, side_name
from synthspark.profiles import TokenEncoding, fitting, hierarchy
from synthspark.profiles.conditions import parse
from synthspark.profiles.fitting import TokenLimits
from synthspark.profiles.judge import Judged, fit_judge
from synthspark.profiles.repair import code_rules
from synthspark.synthesis.generate import new_entities
from synthspark.synthesis.profiles import ProfileModel, completed_rows, drawn_rows, halving_pays, named, proposed_codes
from synthspark.training import TrainingTask, storage
from synthspark.training.task import Hyper

AUTOREGRESSIVE = "autoregressive"
VALIDATION_SHARE, VALIDATION_ROWS, LEAST_VALIDATED = 0.1, 10_000, 100
"""Rows that the generator does not learn from, at most; of a table smaller than the last there are none."""
LARGE_TABLE = 10_000
"""Rows from which on the network is the larger one: see `suited`."""
JUDGED_ROWS = 100_000
"""Real rows that the judge learns from at most; they are in the driver's memory (8 bytes per column)."""


class Suited(NamedTuple):
    """What suits a table."""

    batch_size: int
    epochs: int
    hyper: Hyper


def configured(context: Context, side: str) -> ProfileNetwork:
    """The configuration of a side's profile generator."""
    network: ProfileNetwork = getattr(context.config.train, f"profile_{side}")
    return network


def with_tokens(
    context: Context, staged: Publication, declared: DataFrame, key: str, kinds: dict[str, str], report: StageReport
) -> DataFrame:
    """`key` and the token columns of a side's declared rows; stages their encoding, and says what it leaves out."""
    side, f = side_name(key), context.config.features
    source = context.config.source.items if key == "item_id" else context.config.source.users
    bounds = TokenLimits(configured(context, side).min_category_count, f.max_categories, f.max_multi_values)
    fitted, left_out = fitting.fit(declared, kinds, bounds)
    report.notes += [f"new {side} have no {name!r}: {why}" for name, why in left_out.items()]
    tokens = staged.keep(f"tokens_{side}", fitting.encode(declared, fitted).select(key, *fitted.columns))
    fitted = fitting.counted(tokens, fitted)
    fitted, notes = hierarchy.learn(tokens, fitted, source.hierarchies if source is not None else [])
    report.notes += notes
    found = {t.column: t.name for t in fitted.tokens}
    if fitted.hierarchies:
        rules = ", ".join(f"{found[h.coarse]} > {found[h.fine]}" for h in fitted.hierarchies)
        report.notes.append(f"hierarchies of {side}, which no new row breaks: {rules}")
    staged.write_json(f"features/encoding_{side}/tokens.json", fitted.to_json())
    return tokens


def split_off(rows: DataFrame, key: str, count: int, seed: int) -> tuple[DataFrame, DataFrame | None]:
    """The rows to learn from, and those to stop by (None of a small table); `key` decides, so order does not."""
    if count < LEAST_VALIDATED:
        return rows, None
    share = min(VALIDATION_SHARE, VALIDATION_ROWS / count)
    place = F.pmod(F.xxhash64(F.lit(seed), key), F.lit(1_000_000))
    held = place < int(share * 1_000_000)
    return rows.where(~held), rows.where(held)


def suited(network: ProfileNetwork, rows: int) -> Suited:
    """The training of the default network by the number of rows, where nothing is said.

    A small table needs small batches, more passes, and a network that cannot remember it. Measured on a table of 2,000
    rows and one of 50,000 (docs/profiles.md); between them lies nothing that was tried.
    """
    batch_size = network.batch_size or int(np.clip(rows // 200, 64, 256))
    steps = max(1, rows // batch_size)
    epochs = network.epochs or int(np.clip(np.ceil(2200 / steps), 14, 100))
    large: Hyper = {"hidden": 256, "layers": 2, "dropout": 0.3}
    small: Hyper = {"hidden": 160, "layers": 3, "dropout": 0.25}
    return Suited(batch_size, epochs, large if rows >= LARGE_TABLE else small)


def train_profile_judge(context: Context, task: TrainingTask, side: str, report: StageReport) -> None:
    """Fit the judge of a trained profile generator beside it, or say why there is none."""
    if not configured(context, side).judged:
        return
    real = _real_codes(context, side, task.code_columns, context.config.seed)
    found = add_judge(task, real)
    if found is None:
        report.notes.append(f"{task.name} is not judged: {len(real)} rows are too few to learn what a real row is")
        return
    report.notes.append(f"{task.name}: a judge tells real rows from proposed ones with AUC {found.judge.auc:.3f}; "
                        f"{found.rate:.0%} of the proposals are taken")  # fmt: skip


def add_judge(task: TrainingTask, real: npt.NDArray[np.int64]) -> Judged | None:
    """Fit a judge on `real` token rows and as many proposals of the generator that `task` has trained; save it beside.

    None, and nothing saved, where they are too few.
    """
    halved = halving_pays()
    model = ProfileModel.unjudged(task.output_url, halved)
    proposed = proposed_codes(model, len(real), np.random.default_rng(task.seed))
    found = fit_judge(real, proposed, task.code_columns, task.seed)
    if found is not None:
        about = {"rate": found.rate, "halved": halved}
        save_judge(found.judge, {}, lambda name, data: storage.write(f"{task.output_url}/{name}", data), about)
    return found


def new_rows(context: Context, key: str, count: int, url: str, meta: dict[str, Any], first_index: int) -> DataFrame:
    """`count` new rows: the key, the attributes, the index from `first_index` on, and the encoded columns."""
    side, seed = side_name(key), context.config.synthesize.seed
    encoding = read_encoding(context, side)
    given = tuple(parse(text) for text in getattr(context.config.synthesize, f"{side}_where"))
    if meta["network"] != AUTOREGRESSIVE:
        if given:
            raise ConfigError(f"synthesize.{side}_where: {meta['network']!r} cannot keep to conditions; train "
                              f"train.profile_{side}.network: {AUTOREGRESSIVE}")  # fmt: skip
        rules = code_rules(read_tokens(context, side), encoding)
        return new_entities(context.spark, count, key, encoding, url, meta, first_index, seed, rules)
    model = ProfileModel.at(url)
    rows = named(drawn_rows(context.spark, model, count, seed, given), key, model, seed, first_index)
    return encodings.encode(rows, encoding)


def imputed_rows(context: Context, key: str, url: str) -> DataFrame:
    """Real rows that lack attributes, with these drawn: the clean columns."""
    side, index = side_name(key), f"{key.removesuffix('_id')}_index"
    indices = context.read(f"features/{side}", feed=True).select(key, index)
    entities = context.read(f"clean/{side}").join(indices, on=key, how="inner")
    completed = completed_rows(entities, key, index, ProfileModel.at(url), context.config.synthesize.seed)
    return completed.select(key, *[schemas.quoted(n) for n in read_encoding(context, side).kinds])


def read_tokens(context: Context, side: str) -> TokenEncoding:
    """The tokens that featurize fitted for `items` or `users`."""
    path = f"{context.lake.path(f'features/encoding_{side}', context.run_id)}/tokens.json"
    return TokenEncoding.from_json(json.loads(context.lake.read_text(path)))


def _real_codes(context: Context, side: str, columns: list[str], seed: int) -> npt.NDArray[np.int64]:
    """Token rows of all real entities, those to stop by among them, at most JUDGED_ROWS of them, drawn by a hash."""
    feed = context.read(f"feeds/profile_{side}", feed=True).select(*columns)
    validation = f"feeds/profile_{side}_validation"
    if context.has(validation):
        feed = feed.unionByName(context.read(validation, feed=True).select(*columns))
    drawn = feed.orderBy(F.xxhash64(F.lit(seed), *columns), *columns).limit(JUDGED_ROWS)
    return drawn.toPandas().to_numpy(dtype=np.int64)
