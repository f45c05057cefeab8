"""A random sample of users with all their rows: a quick look at a large shop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.clean.columns import ID_TYPES, ColumnSource, require_types, resolved
from synthspark.clean.ids import as_id
from synthspark.indexing import uniform

USER = "user_id"


@dataclass(frozen=True)
class UserSample:
    """Users drawn by a hash of their ids, the same ones in every table."""

    share: float
    """Share of the users that is drawn."""
    users: int
    """Number of users in the events before sampling, counted approximately."""
    seed: int

    def words(self) -> str:
        """Return the sample in words, for reports and plans."""
        return f"a sample of about {self.users * self.share:,.0f} of {self.users:,} users is read (source.max_users)"

    def of(
        self, table: DataFrame, column: ColumnSource, name: str, null_values: Sequence[str] | None = None
    ) -> DataFrame:
        """Return the rows of drawn users, and those without a user id, which are rejected later.

        column: source of the user id; name: name of the table in errors. Raises SourceError as `resolved` does.
        """
        ids = _ids(table, column, name, null_values)
        return table.where(ids.isNull() | (uniform(F.lit("sampled users"), F.lit(self.seed), ids) < self.share))


def user_sample(
    events: DataFrame, column: ColumnSource, name: str, null_values: Sequence[str] | None, max_users: int, seed: int
) -> UserSample | None:
    """Return a sample of about `max_users` users of the events; None if there are not more."""
    ids = _ids(events, column, name, null_values)
    users = events.agg(F.approx_count_distinct(ids).alias("users")).collect()[0]["users"]
    return UserSample(max_users / users, users, seed) if users > max_users else None


def _ids(table: DataFrame, column: ColumnSource, name: str, null_values: Sequence[str] | None) -> Column:
    """Return the user ids of `table` as the contract's tables have them."""
    ids = resolved(table, column, name)
    found = table.select(ids.alias(USER))
    require_types(found, {USER: ID_TYPES}, name, "an id")
    return as_id(ids, found.schema[USER].dataType, null_values)
