"""Items, users and interactions of a shop, as placing and judging read them."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame

from synthspark.features.encoding import TableEncoding
from synthspark.judging import PairTable, in_fold
from synthspark.runs.context import Context


@dataclass(frozen=True)
class Shop:
    """Items, users and the warm interactions."""

    encoding: TableEncoding
    items: DataFrame
    """`item_index` and the encoded columns of warm items and of the items that need an audience."""
    pairs: DataFrame
    """`user_index`, `item_index`, `rating` of warm interactions, and `since` (microseconds) if it is known."""
    users: DataFrame
    """`user_index`, `vector` in the space of the generator of items, `breadth`: number of the user's warm items."""
    places: DataFrame
    """`item_index`, `vector` in the same space, of the items that the generator has learned from."""

    def table(self) -> PairTable:
        """Return the encoded columns that the judge reads."""
        return PairTable.of(self.encoding)

    def warm(self) -> DataFrame:
        """Return the items that have a warm interaction."""
        return self.items.join(self.pairs.select("item_index").distinct(), on="item_index", how="left_semi")


def folded(context: Context) -> Column:
    """Return the condition that a warm item is in the judge's fold."""
    fold: Column = in_fold("item_index", context.config.judge.fold_fraction, context.config.seed)
    return fold


def open_pairs(context: Context, pairs: DataFrame) -> DataFrame:
    """Return the pairs that the generator of items learns from: all, but without those of the judge's fold."""
    return pairs.where(~folded(context)) if context.config.judge.enabled else pairs
