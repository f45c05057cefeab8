"""Readers of what stage featurize has published."""

from __future__ import annotations

import json
from collections.abc import Callable

from pyspark.sql import DataFrame

from synthspark.features.encoding import EncodingLimits, TableEncoding
from synthspark.indexing import with_indices
from synthspark.runs.context import Context
from synthspark.runs.tables import INTERACTIONS, Table, encoding_folder, features
from synthspark.sides import SIDES, Side


def indexed_interactions(read: Callable[[Table], DataFrame]) -> DataFrame:
    """Read the interactions with `user_index` and `item_index`. read: `Context.read`, or `Publication.read`."""
    return with_indices(read(INTERACTIONS), {side: read(features(side)) for side in SIDES})


def limits(context: Context) -> EncodingLimits:
    """Return the configured bounds of encodings."""
    f = context.config.features
    return EncodingLimits(f.min_category_count, f.max_categories, f.max_vocabulary, f.max_tokens, f.text_model)


def read_encoding(context: Context, side: Side, name: str = "encoding") -> TableEncoding:
    """Read the encoding that featurize fitted for items or users. name: another one in the same folder."""
    path = f"{context.url(encoding_folder(side))}/{name}.json"
    return TableEncoding.from_json(json.loads(context.lake.read_text(path)))
