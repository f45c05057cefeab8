"""Write the guesses as a configuration with comments that show the evidence for each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthspark.guess.columns import ColumnFacts
from synthspark.guess.roles import EntityGuess, EventGuess
from synthspark.guess.searches import SearchGuess
from synthspark.guess.vocabulary import known_weight

EPOCHS = {
    "epoch_seconds": "timestamp_micros(try_cast({} * 1000000 as bigint))",
    "epoch_millis": "timestamp_micros(try_cast({} * 1000 as bigint))",
    "epoch_micros": "timestamp_micros(try_cast({} as bigint))",
    "epoch_nanos": "timestamp_micros(try_cast(floor({} / 1000) as bigint))",
}
"""Epoch unit -> Spark SQL that converts a number to an instant."""
UNNAMED = "interaction"
"""Type of events whose type cannot be guessed."""
QUIET = range(2, 7)
"""Local hours at which the fewest people shop."""


@dataclass(frozen=True)
class Place:
    """Location of a table and how to read it."""

    path: str
    format: str
    options: Mapping[str, str]
    explode: tuple[str, ...] = ()
    words: str = ""
    """Description of how its files are read, for the user to check."""


def configuration_text(
    lake: str, places: Mapping[str, Place], events: EventGuess, seen: Mapping[str, Sequence[ColumnFacts]],
    entities: Mapping[str, EntityGuess], searches: SearchGuess | None = None,
) -> str:  # fmt: skip
    """Return the configuration as YAML with comments.

    places, seen: keys are `events`, and `items`, `users` and `searches` if they exist.
    """
    lines = [
        "# Written by `synthspark init`: guesses from a sample. Review them; conf/local.yaml has every other key.",
        "lake:",
        f"  root: {_quoted(lake)}",
        "source:",
        *_events(places["events"], events, seen["events"]),
    ]
    for side, guess in entities.items():
        lines += _entities(side, places[side], guess, seen[side])
    if searches is not None:
        lines += _searches(places["searches"], searches, seen["searches"])
    lines += _weights(events)
    return "\n".join(lines) + "\n"


def _place(place: Place, seen: Sequence[ColumnFacts]) -> list[str]:
    lines = [f"    path: {_quoted(place.path)}", f"    format: {place.format}"]
    if place.options:
        lines.append(f"    options: {json.dumps(dict(place.options), ensure_ascii=False)}")
    if place.words:
        lines.append(f"    # {place.words}")
    if place.explode:
        lines.append(f"    explode: {json.dumps(list(place.explode), ensure_ascii=False)}   # each element is a row")
    words = sorted(frozenset[str]().union(*(c.null_words for c in seen)))
    if words:
        lines.append(f"    null_values: {json.dumps(words, ensure_ascii=False)}   # texts for a missing value")
    return lines


def _events(place: Place, guess: EventGuess, seen: Sequence[ColumnFacts]) -> list[str]:
    lines = ["  events:", *_place(place, seen), "    columns:"]
    known = {c.name: c for c in seen}
    lines += _columns(guess, known)
    if guess.total is not None:
        lines.append(_price_of_one(known[guess.total], known[guess.columns["value"]]))
    for role in ("value", "price"):
        below = known[guess.columns[role]].negative if role in guess.columns else 0
        if below:
            keep = f"bounds: {{{role}: {{min: null}}}} keeps them"
            lines.append(f"      # {below:.1%} of {role} are below 0 and will be rejected; {keep}")
    if "event_type" not in guess.columns:
        lines.append(f"    event_type: {_constant_type(guess)}   # no column has the type: what are these events?")
    if guess.timestamp_format:
        lines.append(f"    timestamp_format: {_quoted(guess.timestamp_format)}{_doubt(known[guess.columns['ts']])}")
    if "ts" in guess.columns:
        lines.append(f"    timezone: UTC   # {_zone(guess.quiet_hour)}")
    else:
        lines.append("    # ts: no column looks like a time; if there is one, add it above, and its timestamp_format")
    lines += [f"    # {_one_line(name)}: {why}" for name, why in guess.left_out.items()]
    return lines


def _columns(guess: EventGuess | SearchGuess, known: Mapping[str, ColumnFacts]) -> list[str]:
    lines = []
    for role, name in guess.columns.items():
        how = _filled(known[name], guess.widths[role]) if role in guess.widths else _read(known[name], role)
        lines.append(f"      {role}: {how}{_seen(known[name])}")
    return lines


def _searches(place: Place, guess: SearchGuess, seen: Sequence[ColumnFacts]) -> list[str]:
    known = {c.name: c for c in seen}
    lines = ["  searches:", *_place(place, seen), "    columns:", *_columns(guess, known)]
    if guess.timestamp_format:
        lines.append(f"    timestamp_format: {_quoted(guess.timestamp_format)}{_doubt(known[guess.columns['ts']])}")
    if "ts" in guess.columns:
        lines.append("    timezone: UTC   # of times without a zone")
    return lines + [f"    # {_one_line(name)}: {why}" for name, why in guess.left_out.items()]


def _entities(side: str, place: Place, guess: EntityGuess, seen: Sequence[ColumnFacts]) -> list[str]:
    known = {c.name: c for c in seen}
    own = f"{side.removesuffix('s')}_id"
    key = _read(known[guess.key], own) if guess.key_width is None else _filled(known[guess.key], guess.key_width)
    lines = [f"  {side}:", *_place(place, seen), "    columns:", f"      {own}: {key}"]
    read = {name: _read(known[name], kind) for name, kind in guess.attributes.items()}
    computed = {name: how for name, how in read.items() if how != _quoted(guess.names[name])}
    lines += [f"      {_quoted(guess.names[name])}: {how}{_doubt(known[name])}" for name, how in computed.items()]
    lines.append("    attributes:" if guess.attributes else "    attributes: {}")
    lines += [
        f"      {_quoted(guess.names[name])}: {kind}{_seen(known[name])}" for name, kind in guess.attributes.items()
    ]
    lines += [f"      # {_one_line(name)}: left out, {why}" for name, why in guess.left_out.items()]
    others = {guess.names[name]: sign for name, sign in guess.separators.items() if sign != "|"}
    if others:
        lines.append(f"    separators: {json.dumps(others, ensure_ascii=False)}")
    return lines


def _constant_type(guess: EventGuess) -> str:
    """Guess the type of all events from the other columns: a rating, a purchase, or UNNAMED."""
    value = guess.columns.get("value", "").lower()
    if "rat" in value or "star" in value or "score" in value:
        return "rating"
    return "purchase" if value or "price" in guess.columns or guess.total is not None else UNNAMED


def _read(column: ColumnFacts, purpose: str) -> str:
    """Return the column's name or the expression that converts its numbers or times. purpose: a role or a kind."""
    if purpose in ("value", "price", "numeric") and column.rewriting:
        return _expression(column.rewriting.format(column.sql))
    if purpose == "datetime" and column.pattern:
        return _expression(_as_time(column))
    if purpose == "datetime" and column.epoch:
        return _expression(EPOCHS[column.epoch].format(f"try_cast({column.sql} as decimal(28,0))"))
    return _expression(column.sql) if column.computed else _quoted(column.name)


def _as_time(column: ColumnFacts) -> str:
    """Return SQL for a date if all values are dates, else for a time without a zone; `timezone` then applies."""
    assert column.pattern is not None
    text = _text(column)
    read = f"try_to_timestamp({text}, '{column.pattern}')"
    if "Z" in column.pattern:
        return read
    return f"cast({read} as {'date' if column.dated else 'timestamp_ntz'})"


def _price_of_one(total: ColumnFacts, pieces: ColumnFacts) -> str:
    words = f"price of one piece, if {_one_line(total.name)} is the total for all {_one_line(pieces.name)}"
    return f"      price: {_expression(f'try_divide({_number(total)}, {_number(pieces)})')}{_seen(total)}; {words}"


def _number(column: ColumnFacts) -> str:
    """Return SQL of the number, which never fails on a text."""
    plain = (column.rewriting or "{}").format(column.sql)
    return f"try_cast({plain} as double)" if column.type == "string" else plain


def _filled(column: ColumnFacts, width: int) -> str:
    """Return SQL that zero-pads an id to `width` digits; longer ids and other texts are unchanged."""
    text = f"trim({_text(column)})"
    return _expression(f"if({text} rlike '^[0-9]{{1,{width}}}$', lpad({text}, {width}, '0'), {text})")


def _text(column: ColumnFacts) -> str:
    if column.type == "string":
        return column.sql
    whole = f"cast({column.sql} as decimal(20,0))" if column.type in ("double", "float") else column.sql
    return f"cast({whole} as string)"


def _expression(sql: str) -> str:
    return f"{{expr: {json.dumps(sql, ensure_ascii=False)}}}"


def _doubt(column: ColumnFacts) -> str:
    return "   # day and month could be swapped" if column.doubtful else ""


def _weights(guess: EventGuess) -> list[str]:
    if not guess.event_types:
        return ["events:", f"  weights: {{{UNNAMED}: 1}}"] if _constant_type(guess) == UNNAMED else []
    lines = ["events:", "  weights:   # events of a type that is not named here are rejected"]
    for name, rows in guess.event_types.items():
        known = known_weight(name)
        seen = f"   # {rows:,} rows" if rows else "   #"
        lines.append(f"    {_quoted(name)}: {known or 1}{seen}" + ("" if known else "; what is it worth?"))
    return lines


def _zone(quiet: int | None) -> str:
    if quiet is None:
        return "of times without a zone"
    if quiet in QUIET:
        return f"of times without a zone; fewest events at {quiet} h, so these may be local times: name their zone"
    shift = (4 - quiet + 12) % 24 - 12
    return f"of times without a zone; fewest events at {quiet} h, as in UTC for a shop in a zone near UTC{shift:+d}"


def _seen(column: ColumnFacts) -> str:
    missing = f", {column.missing:.0%} missing" if column.missing >= 0.005 else ""
    return f"   # {column.distinct:,} values{missing}, e.g. {_one_line(column.example)}"


def _one_line(text: str) -> str:
    shown = " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())
    return shown if len(shown) <= 40 else shown[:39] + "…"


def _quoted(text: str) -> str:
    """Quote a text for YAML if needed; JSON strings are valid YAML."""
    plain = text.isidentifier() and text.lower() not in ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
    return text if plain and text.isascii() else json.dumps(text, ensure_ascii=False)
