"""What is known of a shop's items and of who bought them, as placing and judging see it."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame

from synthspark.features.encoding import TableEncoding
from synthspark.judging import PairTable, in_fold
from synthspark.runs.context import Context


@dataclass(frozen=True)
class Shop:
    """Items, users and the interactions of the warm ones."""

    encoding: TableEncoding
    items: DataFrame
    """`item_index` and the encoded columns: of the warm, and of whoever asks for an audience."""
    pairs: DataFrame
    """`user_index`, `item_index`, `rating` of the warm, and `since` (microseconds) where that is known."""
    users: DataFrame
    """`user_index`, `vector` in the space that the generator of items has learned, `breadth`: warm items."""
    places: DataFrame
    """`item_index`, `vector` in that space, of the items that the generator has learned from."""

    def table(self) -> PairTable:
        """The columns that judging goes by."""
        return PairTable.of(self.encoding)

    def warm(self) -> DataFrame:
        """The items that somebody has."""
        return self.items.join(self.pairs.select("item_index").distinct(), on="item_index", how="left_semi")


def folded(context: Context) -> Column:
    """The condition that an item (if warm) is of the judge's fold."""
    fold: Column = in_fold("item_index", context.config.judge.fold_fraction, context.config.seed)
    return fold


def open_pairs(context: Context, pairs: DataFrame) -> DataFrame:
    """The pairs that the generator of items may see."""
    return pairs.where(~folded(context)) if context.config.judge.enabled else pairs
