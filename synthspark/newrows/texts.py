"""Texts and sets of new rows: feed and training of the writer, and writing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pyspark.sql import DataFrame

from synthspark.coldstart.learn import MIN_FEED
from synthspark.coldstart.tasks import require_known_settings
from synthspark.features import encoding as encodings
from synthspark.features.encoding import TableEncoding
from synthspark.features.published import read_encoding
from synthspark.newrows.feeds import configured
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import clean, encoding_folder, text_feed, text_validation_feed
from synthspark.sides import Side
from synthspark.synthesis.texts import drawn_texts, order_of
from synthspark.texts import TextEncoding, fitting
from synthspark.training import TrainingTask
from synthspark.training.artifacts import load_texts, save_texts
from synthspark.training.storage import portable

WRITER = "writer"
STEPS = 2000
"""Maximum number of training steps if epochs are not set: minutes on a CPU, whatever the number of rows."""
MAX_EPOCHS = 60
"""Maximum number of epochs if they are not set."""


def texts_feed(
    context: Context, staged: Publication, declared: DataFrame, side: Side, kinds: Mapping[str, str],
    fitted: TableEncoding, report: StageReport,
) -> DataFrame | None:  # fmt: skip
    """Return the key, the encoded other attributes and the pieces of the texts; None if nothing can be learned.

    declared: key and attributes; kinds: attributes to write -> kind. Stages the encoding of the pieces.
    """
    if not kinds:
        return None
    least = context.config.features.min_category_count
    texts, left_out = fitting.fit(declared, kinds, least)
    report.notes += [f"new {side.name} have no {name!r}: {why}" for name, why in left_out.items()]
    if not texts.texts:
        return None
    staged.write_json(f"{encoding_folder(side)}/texts.json", texts.to_json())
    rows = fitting.encode(encodings.encode(declared, fitted), texts)
    return rows.select(side.key, *fitted.code_columns, *fitted.scalar_columns, *texts.columns)


def text_task(context: Context, side: Side, report: StageReport) -> TrainingTask | None:
    """Return the training task of a side's writer; None, reported in the notes, if it cannot or must not be trained."""
    config, name = context.config.train.texts, f"texts_{side.name}"
    if not context.has(text_feed(side)):
        return None
    if configured(context, side).dp is not None:
        report.notes.append(f"{name} is not trained: train.profile_{side.name}.dp does not cover it")
        return None
    rows, validation = (context.rows("featurize", t) for t in (text_feed(side), text_validation_feed(side)))
    if rows < MIN_FEED:
        report.notes.append(f"{name} is not trained: its feed has {rows} rows")
        return None
    require_known_settings("texts", WRITER, config.hyper)
    path = f"{context.url(encoding_folder(side))}/texts.json"
    texts, encoding = TextEncoding.from_json(json.loads(context.lake.read_text(path))), read_encoding(context, side)
    per_epoch = math.ceil(rows / config.batch_size)
    task = TrainingTask(
        name=name,
        network=WRITER,
        feed_url=portable(context.url(text_feed(side))),
        num_rows=rows,
        code_columns=encoding.code_columns,
        cardinalities=encoding.cardinalities,
        number_columns=encoding.scalar_columns,
        piece_columns=texts.columns,
        num_pieces=texts.size,
        output_url=portable(f"{context.checkpoints()}/{name}"),
        epochs=config.epochs or int(np.clip(round(STEPS / per_epoch), 1, MAX_EPOCHS)),
        batch_size=config.batch_size,
        seed=context.config.seed,
        device=context.config.train.device,
        validation_url=portable(context.url(text_validation_feed(side))) if validation else None,
        validation_rows=validation,
        hyper={"steps_per_epoch": 0 if config.epochs else STEPS, **config.hyper},
    )
    save_texts(task.output_url, texts)
    return task


def with_texts(
    context: Context, staged: Publication, rows: DataFrame, side: Side, url: str, meta: Mapping[str, Any]
) -> DataFrame:
    """Add the attributes that the writer at `url` generates to `rows`.

    rows: the side's index, its attributes and their encoded columns; meta: the writer's model.json. A text that fewer
    than features.min_category_count real rows have is not copied: another draw is used or, if all are rare, null.
    """
    texts, seed, least = load_texts(url), context.config.synthesize.seed, context.config.features.min_category_count
    drawn = staged.keep("drawn_texts", drawn_texts(rows, side.index, texts, url, meta, seed))
    written = rows.drop(*[text.name for text in texts.texts])
    for place, text in enumerate(texts.texts):
        first = fitting.first_common_value(
            drawn, context.read(clean(side)), side.index, text.name, order_of(place), least
        )
        written = written.join(first, on=side.index, how="left")
    return written
