"""What the columns are for: keys by the values that tables share, the rest by names and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from synthspark.errors import SourceError
from synthspark.guess.columns import ColumnFacts
from synthspark.guess.texts import MOSTLY
from synthspark.guess.vocabulary import CLOCK_WORDS, ID_WORDS, NOT_TYPES, PIECES, TOTALS, WORDS, known_weight, matches
from synthspark.names import free_name

MOST_TYPES = 30
FEW = 12
"""Whole numbers with so few values are names of classes (kids, doors), not amounts."""
TEXT_WORDS = 3.5
KEY_BONUS = 0.2
"""For names that end as keys do: customer.id before customer.name."""


@dataclass(frozen=True)
class EventGuess:
    """Contract name -> column, and what else the configuration says of events."""

    columns: dict[str, str]
    event_types: Mapping[str, int]
    """Type -> rows of the sample, of the column event_type; empty: there is none."""
    timestamp_format: str | None
    quiet_hour: int | None
    total: str | None = None
    """Column of what was paid for all pieces together, where no column has the price of one."""
    widths: dict[str, int] = field(default_factory=dict)
    """Contract name of an id -> digits that the other table writes, where a spreadsheet took its leading zeros here."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Column -> why."""


@dataclass(frozen=True)
class EntityGuess:
    """Key, attributes by kind, and what was left out and why."""

    key: str
    key_width: int | None
    """Digits that the events write, where a spreadsheet took the key's leading zeros here."""
    attributes: dict[str, str]
    """Column (or path) -> kind."""
    names: dict[str, str]
    """Column (or path) -> name of the attribute."""
    separators: dict[str, str] = field(default_factory=dict)
    """Column of lists in a text -> what separates their values."""
    left_out: dict[str, str] = field(default_factory=dict)


def guess_events(
    events: Sequence[ColumnFacts], items: Sequence[ColumnFacts], users: Sequence[ColumnFacts], given: Mapping[str, str]
) -> tuple[EventGuess, str | None, str | None]:
    """The events' columns, and the keys of items and users.

    given: contract name -> column that somebody has named, "" for none. Raises SourceError where no user or no item is
    to be seen, or where a column that is called a time holds none that can be read.
    """
    columns = dict(given)
    keys: dict[str, str | None] = {"item_id": None, "user_id": None}
    for role, table in (("item_id", items), ("user_id", users)):
        mine = columns.get(role)
        open_columns = [c for c in events if c.name == mine or (mine is None and c.name not in columns.values())]
        bare = [[_without_zeros(c) for c in cs] for cs in (open_columns, table)]
        pair = _shared([*open_columns, *bare[0]], [*table, *bare[1]], role)
        if pair is not None:
            columns[role], keys[role] = pair
    columns = {role: name for role, name in columns.items() if name}
    for role in ("user_id", "item_id", "ts", "session_id", "event_type", "query", "price", "value"):
        if role not in columns and role not in given:
            found = _named(role, [c for c in events if c.name not in columns.values()])
            if found is not None:
                columns[role] = found
    for role in ("user_id", "item_id"):
        if role not in columns:
            names = ", ".join(c.name for c in events)
            option = role.replace("_", "-")
            raise SourceError(
                f"events: none of the columns ({names}) looks like a {role}; say which: --{option} COLUMN"
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
                f"events: column {column.name!r} is called a time, but {column.example[:40]!r} is in no notation that "
                "is known here; write them as in 2024-01-31 10:00:00, or say --ts none (or --ts COLUMN) "
                "and give the column and its timestamp_format in the configuration by hand"
            )


def missing_digits(column: ColumnFacts | None, other: ColumnFacts | None) -> int | None:
    """Digits to which `column` must be filled up with zeros to be written as `other`; None where it need not."""
    if column is None or other is None or column.padded or not other.padded:
        return None
    widths = {len(value) for value in other.values}
    return widths.pop() if len(widths) == 1 else None


def _by_name(table: Sequence[ColumnFacts], name: str | None) -> ColumnFacts | None:
    return next((c for c in table if c.name == name), None)


def _without_zeros(column: ColumnFacts) -> ColumnFacts:
    """As a spreadsheet leaves it."""
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
    """The most frequent first; where there are many, without their rows."""
    return dict(column.counts) or dict.fromkeys(sorted(column.values), 0)


def _total(columns: Mapping[str, str], events: Sequence[ColumnFacts]) -> str | None:
    if "price" in columns or not matches(columns.get("value", ""), PIECES):
        return None
    others = [c for c in events if c.name not in columns.values() and not matches(c.name, ID_WORDS)]
    best = max((c for c in others if _may_be("value", c)), key=lambda c: matches(c.name, TOTALS), default=None)
    return best.name if best is not None and matches(best.name, TOTALS) else None


def guess_entities(table: Sequence[ColumnFacts], key: str, own: ColumnFacts | None = None) -> EntityGuess:
    """Kinds of the attributes of items or users, by what is in them. own: the events' column that has their ids."""
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
    """The column's own name, the last part of a path if no other column ends so, and what is free if that is not."""
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
    """The column of events and the key of the table that have most values in common; names decide between equals."""
    best, found = 0.0, None
    for mine in events:
        for key in table:
            if key.unique < 0.5 or not mine.values or mine.missing > 0.5:
                continue
            common = len(mine.values & key.values) / len(mine.values)
            named = matches(mine.name, WORDS[role]) + matches(key.name, WORDS[role]) + (mine.name == key.name)
            covered = len(mine.values & key.values) / len(key.values)  # quantities look like small ids: but like few
            score = common * (1 + named) * key.unique * (1 + covered)
            if common > 0.02 and score > best:
                best, found = score, (mine.name, key.name)
    return found


def _named(role: str, columns: Sequence[ColumnFacts]) -> str | None:
    fits = [c for c in columns if _may_be(role, c)]
    best = max(fits, key=lambda c: _fitness(c, role), default=None)
    if best is None:
        return None
    # Whatever they are called: times, but for a number that could be one by chance, and types that everybody knows.
    told = (role == "ts" and best.epoch is None) or (role == "event_type" and _knows_types(best))
    return best.name if told or matches(best.name, WORDS[role]) else None


def _knows_types(column: ColumnFacts) -> bool:
    """Whether at least two of its values, and half of them, are types of events that shops really have."""
    known = [value for value in column.values if known_weight(value) is not None]
    return len(known) >= 2 and 2 * len(known) >= len(column.values)


def _fitness(column: ColumnFacts, role: str) -> tuple[float, float]:
    if role == "event_type" and _knows_types(column):
        return 2.0, 0.0
    keyed = KEY_BONUS * (role.endswith("_id") and matches(column.name.rpartition(".")[2], ID_WORDS) == 1)
    if role == "user_id" and matches(column.name, WORDS["session_id"]) == 1:
        keyed -= 0.5  # user_session names a visit
    return matches(column.name, WORDS[role]) + keyed, -matches(column.name, TOTALS)


def _may_be(role: str, column: ColumnFacts) -> bool:
    if column.distinct == 0:
        return False
    if role == "ts":
        enough = 0.5 if matches(column.name, WORDS["ts"]) == 1 else MOSTLY
        return column.type.startswith(("date", "timestamp")) or column.dates >= enough or column.epoch is not None
    if role == "price" and matches(column.name, r"total|subtotal|extended|gesamtpreis|totaalprijs"):
        return False  # total_price is no price of one piece
    if role in ("value", "price"):
        return column.numbers >= MOSTLY and column.epoch is None
    if role == "event_type":
        numbered = column.numbers >= MOSTLY and not (column.whole and column.distinct <= FEW)
        return not numbered and column.distinct <= MOST_TYPES and not matches(column.name, NOT_TYPES)
    if role == "query":
        return column.numbers < MOSTLY
    broken = column.type.startswith(("double", "float")) and not column.whole
    return column.dates < MOSTLY and not broken and not column.type.startswith(("date", "timestamp", "array", "map"))
