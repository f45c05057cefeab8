"""The guesses as a configuration for somebody to read, with what was seen beside each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthspark.guess.columns import ColumnFacts
from synthspark.guess.roles import EntityGuess, EventGuess

KNOWN_WEIGHTS = {
    "view": 1, "click": 1, "detail": 1, "impression": 1, "search": 1, "rating": 1, "wishlist": 2, "favorite": 3,
    "cart": 3, "addtocart": 3, "add_to_cart": 3, "purchase": 5, "order": 5, "buy": 5, "transaction": 5,
}  # fmt: skip
QUIET = range(2, 7)
"""Local hours at which the fewest people shop."""


@dataclass(frozen=True)
class Place:
    """Where a table is, and how it is read."""

    path: str
    format: str
    options: Mapping[str, str]


def configuration_text(
    lake: str, places: Mapping[str, Place], events: EventGuess, seen: Mapping[str, Sequence[ColumnFacts]],
    entities: Mapping[str, EntityGuess],
) -> str:  # fmt: skip
    """YAML with comments. places, seen: `events`, and `items` and `users` where there are any."""
    lines = [
        "# Written by `synthspark init`: guesses from a sample. Look them over; conf/local.yaml has every other key.",
        "lake:",
        f"  root: {_quoted(lake)}",
        "source:",
        *_events(places["events"], events, seen["events"]),
    ]
    for side, guess in entities.items():
        lines += _entities(side, places[side], guess, seen[side])
    lines += _weights(events)
    return "\n".join(lines) + "\n"


def _place(place: Place) -> list[str]:
    lines = [f"    path: {_quoted(place.path)}", f"    format: {place.format}"]
    return lines + ([f"    options: {json.dumps(dict(place.options), ensure_ascii=False)}"] if place.options else [])


def _events(place: Place, guess: EventGuess, seen: Sequence[ColumnFacts]) -> list[str]:
    lines = ["  events:", *_place(place), "    columns:"]
    known = {c.name: c for c in seen}
    lines += [f"      {role}: {_quoted(name)}{_seen(known[name])}" for role, name in guess.columns.items()]
    if "event_type" not in guess.columns:
        rated = "rat" in guess.columns.get("value", "").lower() or "star" in guess.columns.get("value", "").lower()
        lines.append(f"    event_type: {'rating' if rated else 'purchase'}   # no column says: what are these events?")
    if guess.timestamp_format:
        lines.append(f"    timestamp_format: {guess.timestamp_format}")
    if "ts" in guess.columns:
        lines.append(f"    timezone: UTC   # {_zone(guess.quiet_hour)}")
    lines += [f"    # {_one_line(name)}: {why}" for name, why in guess.left_out.items()]
    return lines


def _entities(side: str, place: Place, guess: EntityGuess, seen: Sequence[ColumnFacts]) -> list[str]:
    known = {c.name: c for c in seen}
    own = f"{side.removesuffix('s')}_id"
    lines = [f"  {side}:", *_place(place), f"    columns: {{{own}: {_quoted(guess.key)}}}"]
    lines.append("    attributes:" if guess.attributes else "    attributes: {}")
    lines += [f"      {_quoted(name)}: {kind}{_seen(known[name])}" for name, kind in guess.attributes.items()]
    lines += [f"      # {_one_line(name)}: left out, {why}" for name, why in guess.left_out.items()]
    if guess.separator not in (None, "|"):
        lines.append(f"    separator: {_quoted(guess.separator)}")
    return lines


def _weights(guess: EventGuess) -> list[str]:
    if not guess.event_types:
        return []
    lines = ["events:", "  weights:   # events of a type that is not named here are rejected"]
    for name in guess.event_types:
        known = next((w for word, w in KNOWN_WEIGHTS.items() if word == name.lower().replace(" ", "_")), None)
        lines.append(f"    {_quoted(name)}: {known or 1}" + ("" if known else "   # what is it worth?"))
    return lines


def _zone(quiet: int | None) -> str:
    if quiet is None:
        return "of times that carry none"
    if quiet in QUIET:
        return f"of times that carry none; fewest at {quiet} h, so these may be local times: name their zone"
    shift = (4 - quiet + 12) % 24 - 12
    return f"of times that carry none; fewest at {quiet} h, as UTC would be of a shop in a zone near UTC{shift:+d}"


def _seen(column: ColumnFacts) -> str:
    missing = f", {column.missing:.0%} missing" if column.missing >= 0.005 else ""
    return f"   # {column.distinct:,} values{missing}, e.g. {_one_line(column.example)}"


def _one_line(text: str) -> str:
    shown = " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())
    return shown if len(shown) <= 40 else shown[:39] + "…"


def _quoted(text: str) -> str:
    """As YAML: JSON's strings are YAML's."""
    plain = text.isidentifier() and text.lower() not in ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
    return text if plain and text.isascii() else json.dumps(text, ensure_ascii=False)
