"""Fold-in of users, and of items as if they were users, with bounded memory per entity."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.judging import thinned
from synthspark.recommend import AlsSettings
from synthspark.recommend.fold_in import folded_in
from synthspark.sides import ITEMS, USERS


def bounded_fold_in(pairs: DataFrame, items: DataFrame, settings: AlsSettings, most: int) -> DataFrame:
    """Run `folded_in` on thinned `pairs`, so that no worker holds all pairs of a best seller or a robot."""
    return folded_in(thinned(pairs, F.xxhash64("item_index"), most), items, settings, most)


def swapped(df: DataFrame) -> DataFrame:
    """Swap the index columns of users and items."""
    names = {USERS.index: ITEMS.index, ITEMS.index: USERS.index}
    return df.select(*[F.col(name).alias(names.get(name, name)) for name in df.columns])
