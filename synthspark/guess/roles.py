"""Guess the roles of columns: keys by the values that tables share, other roles by names and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from synthspark.errors import SourceError
from synthspark.guess.columns import ColumnFacts
from synthspark.guess.texts import MOSTLY
from synthspark.guess.vocabulary import CLOCK_WORDS, ID_WORDS, NOT_TYPES, PIECES, TOTALS, WORDS, known_weight, matches
from synthspark.names import free_name

MAX_TYPES = 30
"""Maximum number of distinct values of an event type column."""
FEW = 12
"""Whole numbers with at most this many distinct values are classes (kids, doors), not amounts."""
TEXT_WORDS = 3.5
"""Minimum mean number of words of a text attribute."""
KEY_BONUS = 0.2
"""Bonus for names that end like keys: customer.id is preferred to customer.name."""


@dataclass(frozen=True)
class EventGuess:
    """Guessed configuration of the events."""

    columns: dict[str, str]
    """Contract name -> column."""
    event_types: Mapping[str, int]
    """Type -> rows of the sample, from the column event_type; empty if there is none."""
    timestamp_format: str | None
    quiet_hour: int | None
    """Hour of the day with the fewest events; None if unknown."""
    total: str | None = None
    """Column of the amount paid for all pieces together, if no column has the price of one piece."""
    widths: dict[str, int] = field(default_factory=dict)
    """Contract name of an id -> its number of digits in the other table, if its leading zeros are missing here."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Unused column -> reason."""


@dataclass(frozen=True)
class EntityGuess:
    """Guessed configuration of items or users."""

    key: str
    key_width: int | None
    """Number of digits of the key in the events, if its leading zeros are missing here (as after a spreadsheet)."""
    attributes: dict[str, str]
    """Column (or path) -> kind."""
    names: dict[str, str]
    """Column (or path) -> name of the attribute."""
    separators: dict[str, str] = field(default_factory=dict)
    """Column of lists stored as text -> separator of their values."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Unused column -> reason."""


def guess_events(
    events: Sequence[ColumnFacts], items: Sequence[ColumnFacts], users: Sequence[ColumnFacts], given: Mapping[str, str]
) -> tuple[EventGuess, str | None, str | None]:
    """Guess the columns of the events and the keys of items and users.

    given: contract name -> column named by the user, "" for none. Returns (events, key of items, key of users); a key
    is None if no column of that table shares values with the events. Raises SourceError if no column can be the user
    or item id, or if a column is named like a time but its values cannot be parsed.
    """
    columns = dict(given)
    keys: dict[str, str | None] = {"item_id": None, "user_id": None}
    for role, table in (("item_id", items), ("user_id", users)):
        mine = columns.get(role)
        open_columns = [c for c in events if c.name == mine or (mine is None and c.name not in columns.values())]
        bare = [[without_zeros(c) for c in cs] for cs in (open_columns, table)]
        pair = _shared([*open_columns, *bare[0]], [*table, *bare[1]], role)
        if pair is not None:
            columns[role], keys[role] = pair
    columns = {role: name for role, name in columns.items() if name}
    for role in ("user_id", "item_id", "ts", "session_id", "event_type", "query", "price", "value"):
        if role not in columns and role not in given:
            found = named_column(role, [c for c in events if c.name not in columns.values()])
            if found is not None:
                columns[role] = found
    for role in ("user_id", "item_id"):
        if role not in columns:
            names = ", ".join(c.name for c in events)
            option = role.replace("_", "-")
            raise SourceError(
                f"events: none of the columns ({names}) looks like a {role}; say which it is: --{option} COLUMN"
            )
    if "ts" not in columns and "ts" not in given:
        _require_no_clock([c for c in events if c.name not in columns.values()])
    widths = {}
    for role, table in (("item_id", items), ("user_id", users)):
        width = missing_digits(_by_name(events, columns[role]), _by_name(table, keys[role]))
        if width is not None:
            widths[role] = width
    return _event_guess(columns, events, widths), keys["item_id"], keys["user_id"]


def _require_no_clock(columns: Sequence[ColumnFacts]) -> None:
    for column in columns:
        if column.numbers < MOSTLY and column.distinct > 1 and matches(column.name, CLOCK_WORDS) == 1:
            raise SourceError(
                f"events: column {column.name!r} is called a time, but {column.example[:40]!r} is in no known "
                "notation; write its values as in 2024-01-31 10:00:00, or pass --ts none (or --ts COLUMN) "
                "and add the column and its timestamp_format to the configuration by hand"
            )


def missing_digits(column: ColumnFacts | None, other: ColumnFacts | None) -> int | None:
    """Return the number of digits to zero-pad `column` to so that it matches `other`; None if not needed."""
    if column is None or other is None or column.padded or not other.padded:
        return None
    widths = {len(value) for value in other.values}
    return widths.pop() if len(widths) == 1 else None


def _by_name(table: Sequence[ColumnFacts], name: str | None) -> ColumnFacts | None:
    return next((c for c in table if c.name == name), None)


def without_zeros(column: ColumnFacts) -> ColumnFacts:
    """Return the column with leading zeros removed from its values, as spreadsheets do."""
    return replace(column, values=frozenset(value.lstrip("0") or "0" for value in column.values))


def _event_guess(columns: dict[str, str], events: Sequence[ColumnFacts], widths: dict[str, int]) -> EventGuess:
    by_name = {c.name: c for c in events}
    ts = by_name.get(columns.get("ts", ""))
    total = _total(columns, events)
    unused = [c for c in events if c.name not in (*columns.values(), total)]
    return EventGuess(
        columns=columns,
        event_types=_types(by_name[columns["event_type"]]) if "event_type" in columns else {},
        timestamp_format=(ts.epoch or ts.pattern) if ts is not None else None,
        quiet_hour=ts.quiet_hour if ts is not None else None,
        total=total,
        widths=widths,
        left_out={c.name: "not used by the job" if c.distinct else "no values" for c in unused},
    )


def _types(column: ColumnFacts) -> dict[str, int]:
    """Return type -> rows, the most frequent first; rows are 0 if there are too many types to count."""
    return dict(column.counts) or dict.fromkeys(sorted(column.values), 0)


def _total(columns: Mapping[str, str], events: Sequence[ColumnFacts]) -> str | None:
    if "price" in columns or not matches(columns.get("value", ""), PIECES):
        return None
    others = [c for c in events if c.name not in columns.values() and not matches(c.name, ID_WORDS)]
    best = max((c for c in others if _may_be("value", c)), key=lambda c: matches(c.name, TOTALS), default=None)
    return best.name if best is not None and matches(best.name, TOTALS) else None


def guess_entities(table: Sequence[ColumnFacts], key: str, own: ColumnFacts | None = None) -> EntityGuess:
    """Guess the kinds of the attributes of items or users from their values. own: the events' column of their ids."""
    attributes: dict[str, str] = {}
    names: dict[str, str] = {}
    left_out, separators = {}, {}
    for column in table:
        if column.name == key:
            continue
        kind, why = _kind(column)
        if kind is None:
            left_out[column.name] = why
            continue
        attributes[column.name] = kind
        names[column.name] = _attribute_name(column.name, [c.name for c in table], names.values())
        if kind == "multi" and column.separator is not None:
            separators[column.name] = column.separator
    width = missing_digits(_by_name(table, key), own)
    return EntityGuess(key, width, attributes, names, separators, left_out)


def _attribute_name(column: str, columns: Sequence[str], taken: Iterable[str]) -> str:
    """Return the column's name, or the last part of its path if unambiguous, changed if already taken."""
    last = column.rpartition(".")[2]
    alone = sum(c.rpartition(".")[2].lower() == last.lower() for c in columns) == 1
    return free_name(last if alone and last else column, taken)


def _kind(column: ColumnFacts) -> tuple[str | None, str]:
    if column.distinct == 0:
        return None, "no values"
    if column.distinct == 1:
        return None, "one value for all"
    if column.type.startswith(("struct", "map", "array<struct", "array<map")):
        return None, f"{column.type[:60]} has no single value"
    if column.type.startswith("array") or column.bracketed:
        return "multi", ""
    if column.type in ("date", "timestamp", "timestamp_ntz") or column.dates >= MOSTLY:
        return "datetime", ""
    if column.type == "boolean":
        return "categorical", ""
    named_id = matches(column.name, ID_WORDS)
    if column.recent and not named_id:
        return "datetime", ""
    if column.numbers >= MOSTLY and not named_id and not column.padded:
        return ("categorical", "") if column.whole and column.distinct <= FEW else ("numeric", "")
    if column.separator is not None:
        return "multi", ""
    if column.words >= TEXT_WORDS and column.distinct > FEW:
        return "text", ""
    if column.unique > MOSTLY and column.distinct > FEW:
        return ("text", "") if column.words >= 2 else (None, "a name for each row: nothing to learn from")
    return "categorical", ""


def _shared(events: Sequence[ColumnFacts], table: Sequence[ColumnFacts], role: str) -> tuple[str, str] | None:
    """Return the column of events and the key of the table that share most values; matching names raise the score."""
    best, found = 0.0, None
    for mine in events:
        for key in table:
            if key.unique < 0.5 or not mine.values or mine.missing > 0.5:
                continue
            common = len(mine.values & key.values) / len(mine.values)
            named = matches(mine.name, WORDS[role]) + matches(key.name, WORDS[role]) + (mine.name == key.name)
            covered = len(mine.values & key.values) / len(key.values)  # quantities look like ids but cover few of them
            score = common * (1 + named) * key.unique * (1 + covered)
            if common > 0.02 and score > best:
                best, found = score, (mine.name, key.name)
    return found


def named_column(role: str, columns: Sequence[ColumnFacts]) -> str | None:
    """Return the column that fits a role (a key of WORDS) best by its name and values; None if none does."""
    fits = [c for c in columns if _may_be(role, c)]
    best = max(fits, key=lambda c: _fitness(c, role), default=None)
    if best is None:
        return None
    # Accepted under any name: times, except numbers that could be times by chance, and well-known event types.
    told = (role == "ts" and best.epoch is None) or (role == "event_type" and _knows_types(best))
    return best.name if told or matches(best.name, WORDS[role]) else None


def _knows_types(column: ColumnFacts) -> bool:
    """Return whether at least two, and at least half, of its values are well-known event types."""
    known = [value for value in column.values if known_weight(value) is not None]
    return len(known) >= 2 and 2 * len(known) >= len(column.values)


def _fitness(column: ColumnFacts, role: str) -> tuple[float, float]:
    if role == "event_type" and _knows_types(column):
        return 2.0, 0.0
    keyed = KEY_BONUS * (role.endswith("_id") and matches(column.name.rpartition(".")[2], ID_WORDS) == 1)
    if role == "user_id" and matches(column.name, WORDS["session_id"]) == 1:
        keyed -= 0.5  # user_session is the id of a visit, not of a user
    return matches(column.name, WORDS[role]) + keyed, -matches(column.name, TOTALS)


def _may_be(role: str, column: ColumnFacts) -> bool:
    if column.distinct == 0:
        return False
    if role == "ts":
        enough = 0.5 if matches(column.name, WORDS["ts"]) == 1 else MOSTLY
        return column.type.startswith(("date", "timestamp")) or column.dates >= enough or column.epoch is not None
    if role == "price" and matches(column.name, r"total|subtotal|extended|gesamtpreis|totaalprijs"):
        return False  # total_price is not the price of one piece
    if role in ("value", "price"):
        return column.numbers >= MOSTLY and column.epoch is None
    if role == "event_type":
        numbered = column.numbers >= MOSTLY and not (column.whole and column.distinct <= FEW)
        return not numbered and column.distinct <= MAX_TYPES and not matches(column.name, NOT_TYPES)
    if role == "query":
        return column.numbers < MOSTLY
    if role == "position":
        return column.numbers >= MOSTLY and column.whole and not column.negative
    broken = column.type.startswith(("double", "float")) and not column.whole
    return column.dates < MOSTLY and not broken and not column.type.startswith(("date", "timestamp", "array", "map"))
