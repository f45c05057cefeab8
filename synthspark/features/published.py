"""What stage featurize has published, read back."""

from __future__ import annotations

import json
from collections.abc import Callable

from pyspark.sql import DataFrame

from synthspark.features.encoding import EncodingLimits, TableEncoding
from synthspark.runs.context import Context
from synthspark.runs.tables import INTERACTIONS, Table, encoding_folder, features
from synthspark.sides import SIDES, Side


def indexed_interactions(read: Callable[[Table], DataFrame]) -> DataFrame:
    """The interactions with `user_index` and `item_index`. read: `Context.read`, or that of a stage."""
    found = read(INTERACTIONS)
    for side in SIDES:
        found = found.join(read(features(side)).select(side.key, side.index), on=side.key, how="inner")
    return found


def limits(context: Context) -> EncodingLimits:
    """The bounds of encodings that the configuration sets."""
    f = context.config.features
    return EncodingLimits(f.min_category_count, f.max_categories, f.max_vocabulary, f.max_tokens, f.text_model)


def read_encoding(context: Context, side: Side, name: str = "encoding") -> TableEncoding:
    """The encoding that featurize fitted for items or users; `name` of another one in its folder."""
    path = f"{context.url(encoding_folder(side))}/{name}.json"
    return TableEncoding.from_json(json.loads(context.lake.read_text(path)))
