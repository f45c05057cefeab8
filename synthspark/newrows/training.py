"""Train a generator of new rows and its judge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark.sql import functions as F

from synthspark.coldstart.learn import MIN_FEED
from synthspark.coldstart.tasks import generator_task, require_known_settings
from synthspark.config import ProfileNetwork
from synthspark.judging import save_judge
from synthspark.newrows.feeds import AUTOREGRESSIVE, configured, read_rows_encoding, read_tokens
from synthspark.profiles.judge import Judged, fit_judge
from synthspark.runs.context import Context, StageReport
from synthspark.runs.tables import profile_feed, validation_feed
from synthspark.sides import Side
from synthspark.synthesis.profiles import ProfileModel, halving_pays, proposed_codes
from synthspark.training import TrainingTask, storage
from synthspark.training.artifacts import save_tokens
from synthspark.training.private import check
from synthspark.training.storage import portable
from synthspark.training.task import Hyper

LARGE_TABLE = 10_000
"""Minimum number of rows for the larger network, see `settings_by_rows`."""
JUDGED_ROWS = 100_000
"""Maximum number of real rows that the judge learns from; they are in the driver's memory (8 bytes per column)."""


class Suited(NamedTuple):
    """Training settings that suit a table."""

    batch_size: int
    epochs: int
    hyper: Hyper


def settings_by_rows(network: ProfileNetwork, rows: int) -> Suited:
    """Choose settings of the default network by the number of rows, unless configured.

    A small table needs small batches, more epochs, and a network that cannot memorise it. Measured on tables of 2,000
    and 50,000 rows (docs/profiles.md); sizes in between were not measured.
    """
    batch_size = network.batch_size or int(np.clip(rows // 200, 64, 256))
    steps = max(1, rows // batch_size)
    epochs = network.epochs or int(np.clip(np.ceil(2200 / steps), 14, 100))
    large: Hyper = {"hidden": 256, "layers": 2, "dropout": 0.3}
    small: Hyper = {"hidden": 160, "layers": 3, "dropout": 0.25}
    return Suited(batch_size, epochs, large if rows >= LARGE_TABLE else small)


def profile_task(context: Context, side: Side, report: StageReport) -> TrainingTask | None:
    """Return the training task of a side's profile generator; None, with a note, if nothing can be learned.

    The default generator uses tokens, and early stopping by rows held out from training.
    """
    name, default = f"profile_{side.name}", configured(context, side).network == AUTOREGRESSIVE
    rows, output = context.rows("featurize", profile_feed(side)), f"{context.checkpoints()}/{name}"
    why = None
    if not context.config.source.attributes(side):
        why = f"{side.name} have no attribute to learn from"
    elif not (read_tokens(context, side).tokens if default else read_rows_encoding(context, side).encoders):
        why = f"{side.name} have no attribute that could be generated"
    elif rows < MIN_FEED:
        why = f"its feed has {rows} rows"
    if why is not None:
        report.notes.append(f"{name} is not trained: {why}")
        return None
    if not default:
        encoding = read_rows_encoding(context, side)
        return generator_task(context, name, encoding, context.url(profile_feed(side)), rows, output)
    return _token_task(context, side, rows, output)


def _token_task(context: Context, side: Side, rows: int, output: str) -> TrainingTask:
    name, network, tokens = f"profile_{side.name}", configured(context, side), read_tokens(context, side)
    require_known_settings(name, network.network, network.hyper)
    size, validation = settings_by_rows(network, rows), validation_feed(side)
    # With dp, the best epoch must not be chosen by private rows.
    validated = context.rows("featurize", validation) if network.dp is None else 0
    task = TrainingTask(
        name=name,
        network=network.network,
        feed_url=portable(context.url(profile_feed(side))),
        num_rows=rows,
        code_columns=tokens.columns,
        cardinalities=tokens.cardinalities,
        number_columns=[],
        output_url=portable(output),
        epochs=size.epochs,
        batch_size=size.batch_size,
        seed=context.config.seed,
        device=context.config.train.device,
        validation_url=portable(context.url(validation)) if validated else None,
        validation_rows=validated,
        init_from=portable(network.init_from) if network.init_from else None,
        dp=network.dp.model_dump() if network.dp is not None else None,
        hyper={**size.hyper, **network.hyper},
    )
    if task.dp is not None:
        check(task, context.config.train.processes)
    save_tokens(task.output_url, tokens)
    return task


def train_profile_judge(context: Context, task: TrainingTask, side: Side, report: StageReport) -> None:
    """Fit the judge of a trained profile generator and save it next to it, or report why there is none."""
    if not configured(context, side).judged:
        return
    real = _real_codes(context, side, task.code_columns, context.config.seed)
    found = add_judge(task, real)
    if found is None:
        report.notes.append(f"{task.name} is not judged: {len(real)} rows are too few to train a judge")
        return
    report.notes.append(f"{task.name}: a judge separates real rows from proposed ones with AUC "
                        f"{found.judge.auc:.3f}; {found.rate:.0%} of the proposals are accepted")  # fmt: skip


def add_judge(task: TrainingTask, real: npt.NDArray[np.int64]) -> Judged | None:
    """Fit a judge on `real` token rows and as many proposals of the generator trained by `task`; save it next to it.

    Returns None, and saves nothing, if there are too few rows.
    """
    halved = halving_pays()
    model = ProfileModel.without_judge(task.output_url, halved)
    proposed = proposed_codes(model, len(real), np.random.default_rng(task.seed))
    found = fit_judge(real, proposed, task.code_columns, task.seed)
    if found is not None:
        about = {"rate": found.rate, "halved": halved}
        save_judge(found.judge, {}, lambda name, data: storage.write(f"{task.output_url}/{name}", data), about)
    return found


def _real_codes(context: Context, side: Side, columns: list[str], seed: int) -> npt.NDArray[np.int64]:
    """Return token rows of real entities, including validation rows: at most JUDGED_ROWS, drawn by a hash."""
    feed = context.read(profile_feed(side)).select(*columns)
    validation = validation_feed(side)
    if context.has(validation):
        feed = feed.unionByName(context.read(validation).select(*columns))
    drawn = feed.orderBy(F.xxhash64(F.lit(seed), *columns), *columns).limit(JUDGED_ROWS)
    return drawn.toPandas().to_numpy(dtype=np.int64)
