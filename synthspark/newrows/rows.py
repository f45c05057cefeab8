"""Generate new rows, and complete real rows."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame

from synthspark import schemas
from synthspark.errors import ConfigError
from synthspark.features import encoding as encodings
from synthspark.features.published import read_encoding
from synthspark.newrows.feeds import AUTOREGRESSIVE, read_rows_encoding, read_tokens
from synthspark.newrows.texts import with_texts
from synthspark.profiles.conditions import parse
from synthspark.profiles.repair import code_rules
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.runs.tables import clean, features, model_folder
from synthspark.sides import Side
from synthspark.synthesis.generate import new_entities
from synthspark.synthesis.profiles import ProfileModel, completed_rows, drawn_rows, named


def new_rows(
    context: Context, staged: Publication, side: Side, count: int, url: str, meta: dict[str, Any], first_index: int
) -> DataFrame:
    """Generate `count` new rows: key, attributes, index from `first_index` on, and encoded columns.

    Raises ConfigError if conditions are set for a network that does not support them.
    """
    seed = context.config.synthesize.seed
    encoding = read_encoding(context, side)
    given = tuple(parse(text) for text in context.config.synthesize.where(side))
    if meta["network"] != AUTOREGRESSIVE:
        if given:
            raise ConfigError(f"synthesize.{side.name}_where: {meta['network']!r} does not support conditions; set "
                              f"train.profile_{side.name}.network: {AUTOREGRESSIVE} and train again")  # fmt: skip
        own = read_rows_encoding(context, side)
        rules = code_rules(read_tokens(context, side), own)
        rows = new_entities(context.spark, count, side, own, url, meta, first_index, seed, rules)
        rows = rows.drop(*own.columns)
    else:
        model = ProfileModel.at(url)
        rows = named(drawn_rows(context.spark, model, count, seed, given), side, model, seed, first_index)
    encoded, writer = encodings.encode(rows, encoding), f"texts_{side.name}"
    told = context.model_meta(writer)
    if told is None:
        return encoded
    made = staged.keep(f"new_{side.name}", encoded)  # computed once, not again for each text
    written = with_texts(context, staged, made, side, context.url(model_folder(writer)), told)
    return encodings.encode(written.drop(*encoding.columns), encoding)


def imputed_rows(context: Context, side: Side, url: str) -> DataFrame:
    """Return real rows with missing attributes, in the clean columns, with the missing values drawn."""
    indices = context.read(features(side)).select(side.key, side.index)
    entities = context.read(clean(side)).join(indices, on=side.key, how="inner")
    completed = completed_rows(entities, side.key, side.index, ProfileModel.at(url), context.config.synthesize.seed)
    return completed.select(side.key, *[schemas.quoted(n) for n in read_encoding(context, side).kinds])
