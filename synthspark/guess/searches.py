"""Guess the columns of a search log: ids by the values that they share with other tables, the rest by names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from synthspark.errors import SourceError
from synthspark.guess.columns import ColumnFacts
from synthspark.guess.roles import missing_digits, named_column, without_zeros
from synthspark.guess.vocabulary import WORDS, matches

MIN_SHARED = 0.02
"""Minimum share of a column's values that are ids of another table for the column to hold such ids."""


@dataclass(frozen=True)
class SearchGuess:
    """Guessed configuration of the searches."""

    columns: dict[str, str]
    """Contract name -> column."""
    timestamp_format: str | None
    widths: dict[str, int] = field(default_factory=dict)
    """Contract name of an id -> its number of digits in the other table, if its leading zeros are missing here."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Unused column -> reason."""


def guess_searches(table: Sequence[ColumnFacts], ids: Mapping[str, ColumnFacts]) -> SearchGuess:
    """Guess the columns of a search log.

    ids: `item_id` and `user_id` -> column of another table that has these ids. Raises SourceError if no column can be
    the query or the item that was clicked.
    """
    columns: dict[str, str] = {}
    for role, known in ids.items():
        found = _sharing([c for c in table if c.name not in columns.values()], known, role)
        if found is not None:
            columns[role] = found
    for role in ("query", "item_id", "ts", "session_id", "user_id", "position"):
        if role not in columns:
            name = named_column(role, [c for c in table if c.name not in columns.values()])
            if name is not None:
                columns[role] = name
    for role in ("query", "item_id"):
        if role not in columns:
            raise SourceError(
                f"searches: none of the columns ({', '.join(c.name for c in table)}) looks like a {role}; leave "
                "--searches out, and add source.searches to the configuration by hand"
            )
    by_name = {c.name: c for c in table}
    ts = by_name.get(columns.get("ts", ""))
    widths = {role: width for role in ids if role in columns
              if (width := missing_digits(by_name[columns[role]], ids[role])) is not None}  # fmt: skip
    unused = [c for c in table if c.name not in columns.values()]
    return SearchGuess(
        columns={role: columns[role] for role in sorted(columns, key=list(WORDS).index)},
        timestamp_format=(ts.epoch or ts.pattern) if ts is not None else None,
        widths=widths,
        left_out={c.name: "not used by the job" if c.distinct else "no values" for c in unused},
    )


def _sharing(table: Sequence[ColumnFacts], known: ColumnFacts, role: str) -> str | None:
    """Return the column that shares most values with `known`, with or without leading zeros."""
    best, found = 0.0, None
    ids = known.values | without_zeros(known).values
    for column in table:
        if not column.values:
            continue
        common = len(column.values & ids) / len(column.values)
        score = common * (1 + matches(column.name, WORDS[role]) + (column.name == known.name))
        if common > MIN_SHARED and score > best:
            best, found = score, column.name
    return found
