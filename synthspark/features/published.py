"""What stage featurize has published, read back."""

from __future__ import annotations

import json
from collections.abc import Callable

from pyspark.sql import DataFrame

from synthspark.features.encoding import TableEncoding
from synthspark.runs.context import Context
from synthspark.runs.tables import INTERACTIONS, Table, encoding_folder, features
from synthspark.sides import SIDES, Side


def indexed_interactions(read: Callable[[Table], DataFrame]) -> DataFrame:
    """The interactions with `user_index` and `item_index`. read: `Context.read`, or that of a stage."""
    found = read(INTERACTIONS)
    for side in SIDES:
        found = found.join(read(features(side)).select(side.key, side.index), on=side.key, how="inner")
    return found


def read_encoding(context: Context, side: Side) -> TableEncoding:
    """The encoding that featurize fitted for items or users."""
    path = f"{context.url(encoding_folder(side))}/encoding.json"
    return TableEncoding.from_json(json.loads(context.lake.read_text(path)))
