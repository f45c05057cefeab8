"""What was read against what is true, in words; an empty list is agreement."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.config import Config, EntitySource
from synthspark.runs.context import Context
from synthspark.runs.tables import Table
from tests.dialects.dialect import Dialect
from tests.dialects.tables import Event, Expected

FIELDS = ("event_type", "ts", "value", "price")
UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")
TEXTS = ("categorical", "text")


class Verdict:
    """Findings of a comparison."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.wrong: list[str] = []
        self.left_out: list[str] = []
        """Columns that init left out and said why."""
        self.not_read: list[str] = []
        """What is left out of the events so: said, but no reading of them either."""

    def said(self, name: str) -> bool:
        """Whether a comment of the configuration speaks of a column; those beside keys show examples."""
        comments = [line.partition("#")[2] for line in self.text.splitlines() if line.lstrip().startswith("#")]
        word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
        return any(word.search(line) for line in comments)

    def missing(self, side: str, role: str, path: tuple[str, ...]) -> None:
        """A column that was not read."""
        if self.said(path[-1]) or self.said(path[0]):
            self.left_out.append(f"{side}: {role}")
            if side == "events":
                self.not_read.append(f"events: {role} is left out, and a comment says so")
        else:
            self.wrong.append(f"{side}: {role} is left out without a word")


def compare(context: Context, dialect: Dialect, expected: Expected, text: str) -> Verdict:
    """Everything that clean published against the truth."""
    verdict = Verdict(text)
    _events(context, verdict, expected)
    for side in expected.entities:
        _entities(context, verdict, dialect, expected, side)
    rejects = Counter(r["source"] for r in context.read(Table("clean/rejects")).select("source").collect())
    for side, count in expected.rejects.items():
        # Without times neither unreadable ones nor duplicates can be told.
        timeless = side == "events" and "events: ts" in verdict.left_out
        if rejects[side] != count and not timeless:
            verdict.wrong.append(f"{side}: {rejects[side]} rows rejected instead of {count}")
    return verdict


def canonical(text: object) -> object:
    """UUIDs in one way of writing; what other ids are they must be to the letter."""
    if not isinstance(text, str) or not UUID.fullmatch(text):
        return text
    bare = text.replace("-", "").lower()
    return "-".join((bare[:8], bare[8:12], bare[12:16], bare[16:20], bare[20:]))


def _read_events(frame: DataFrame) -> list[Event]:
    ts = F.unix_micros("ts").alias("ts")
    rows = frame.select("user_id", "item_id", "event_type", ts, "value", "price").collect()
    return [Event(*row) for row in rows]


def _events(context: Context, verdict: Verdict, expected: Expected) -> None:
    read = _read_events(context.read(Table("clean/events")))
    roles = {"event_type": "type", "ts": "ts", "value": "value", "price": "price"}
    paths, columns = expected.paths["events"], context.config.source.events.columns
    compared = []
    for name in FIELDS:
        if roles[name] in paths and name in columns:
            compared.append(name)
        elif roles[name] in paths:
            verdict.missing("events", name, paths[roles[name]])
        elif name in columns:
            verdict.wrong.append(f"events: {name} is read from {_words(columns[name])}, where there is none")
    timeless = "events: ts" in verdict.left_out
    if len(read) != len(expected.events) and not timeless:
        verdict.wrong.append(f"events: {len(read)} of {len(expected.events)} are kept")
    lost = _difference(expected.events, read, lambda e: (canonical(e.user_id), canonical(e.item_id)))
    if lost:
        verdict.wrong.append(f"events: {lost} of {len(expected.events)} have another user or item")
        for side, place in (("user", 0), ("item", 1)):
            other = {canonical(e[place]) for e in read} - {e[place] for e in expected.events}
            if other:
                verdict.wrong.append(f"events: {side} ids such as {min(map(str, other))!r} do not exist")
        return
    for name in compared:
        differ = _difference(expected.events, read, _by_field(name))
        if differ:
            verdict.wrong.append(
                f"events: {differ} of {len(expected.events)} have another {name}{_shift(name, expected.events, read)}"
            )
    whole = _difference(expected.events, read, lambda e: tuple(_by_field(n)(e) for n in compared))
    if whole and not verdict.wrong:
        verdict.wrong.append(f"events: {whole} of {len(expected.events)} have fields of another event")


def _shift(name: str, truth: list[Event], read: list[Event]) -> str:
    """How far times are off, where all are off alike."""
    if name != "ts" or not read or len(truth) != len(read):
        return ""
    nulls = sum(e.ts is None for e in read)
    if nulls:
        return f" ({nulls} null)"
    by = sorted(e.ts or 0 for e in read)[len(read) // 2] - sorted(e.ts or 0 for e in truth)[len(truth) // 2]
    return f" (by {by / 3.6e9:+.1f} h)"


def _by_field(name: str) -> Callable[[Event], tuple[Any, ...]]:
    def key(event: Event) -> tuple[Any, ...]:
        value = getattr(event, name)
        if isinstance(value, str):
            value = value.strip().casefold()
        if isinstance(value, float):
            value = round(value, 4)
        return canonical(event.user_id), canonical(event.item_id), value

    return key


def _difference(truth: Iterable[Event], read: Iterable[Event], key: Callable[[Event], Any]) -> int:
    return sum((Counter(map(key, truth)) - Counter(map(key, read))).values())


def _entities(context: Context, verdict: Verdict, dialect: Dialect, expected: Expected, side: str) -> None:
    source = getattr(context.config.source, side)
    if source is None:
        verdict.wrong.append(f"{side}: the table is left out")
        return
    key, frame = f"{side.removesuffix('s')}_id", context.read(Table(f"clean/{side}"))
    times = [n for n, k in source.attributes.items() if k == "datetime"]
    chosen = [F.unix_micros(_col(c)).alias(c) if c in times else _col(c) for c in frame.columns]
    rows = frame.select(*chosen).collect()
    read = {canonical(r[key]): r.asDict() for r in rows}
    truth = expected.entities[side]
    if len(rows) != len(truth) or set(read) != set(truth):
        found = sorted(map(str, set(read) - set(truth)))
        such = f", such as {found[0]!r}" if found else ""
        verdict.wrong.append(f"{side}: {len(rows)} of {len(truth)} are kept, {len(found)} unknown{such}")
    _one_spelling(context, verdict, key, {r[key] for r in rows})
    mapped = attribute_names(source, expected.paths[side], key)
    for role, kind in expected.kinds[side].items():
        name = mapped.get(role)
        if name is None:
            verdict.missing(side, role, expected.paths[side][role])
            continue
        found_kind = str(source.attributes[name])
        if found_kind != kind and not (found_kind in TEXTS and kind in TEXTS):
            verdict.wrong.append(f"{side}: {role} is read as {found_kind} instead of {kind}")
            continue
        pairs = [(truth[k][role], read[k].get(name)) for k in truth if k in read]
        sentinels = dialect.sentinel != "none"
        differ = [(t, r) for t, r in pairs if not _agree(kind, t, r, sentinels)]
        if differ:
            verdict.wrong.append(
                f"{side}: {len(differ)} of {len(pairs)} have another {role}, e.g. {differ[0][1]!r} for {differ[0][0]!r}"
            )


def _one_spelling(context: Context, verdict: Verdict, key: str, known: set[str]) -> None:
    """Ids must be the same text in both tables, whatever it is."""
    used = {r[0] for r in context.read(Table("clean/events")).select(key).distinct().collect()}
    strange = [u for u in used if u not in known and canonical(u) in set(map(canonical, known))]
    if strange:
        verdict.wrong.append(f"events: {len(strange)} {key}s are written otherwise than in their table")


def _agree(kind: str, truth: Any, read: Any, sentinels: bool) -> bool:
    if kind == "multi":
        return sorted(truth or ()) == sorted(read or ())
    if kind == "datetime" and truth is None and sentinels:
        return read is None or not 0 < read < 1_900_000_000_000_000
    if kind == "numeric" and None not in (truth, read):
        return abs(float(truth) - float(read)) < 1e-6 * max(1.0, abs(float(truth)))
    return bool(truth == read)


def attribute_names(source: EntitySource, paths: Mapping[str, tuple[str, ...]], key: str) -> dict[str, str]:
    """Role -> the attribute that is read from its path: by the same name, else by what an expression mentions."""
    texts = {a: _words(source.columns.get(a, a)) for a in source.attributes}
    found: dict[str, str] = {}
    for same in (_same, _mentions, _mentions_in_any_case, _numbered):
        for role, path in paths.items():
            if role in found or f"{role}_id" == key:
                continue
            fits = [a for a, t in texts.items() if a not in found.values() and same(path, t)]
            if fits:
                found[role] = min(fits, key=lambda a: (len(texts[a]), a))
    return found


def _words(column: Any) -> str:
    return str(column if isinstance(column, str) else column.expr)


def _same(path: tuple[str, ...], text: str) -> bool:
    bare = re.sub(r"_\d$", "", text.replace("`", ""))  # of two names that differ by letter case one is numbered
    return bare in (".".join(path), path[-1])


def _mentions(path: tuple[str, ...], text: str) -> bool:
    place = 0
    for name in path:
        hit = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)").search(text, place)
        if hit is None:
            return False
        place = hit.end()
    return True


def _mentions_in_any_case(path: tuple[str, ...], text: str) -> bool:
    return _mentions(tuple(name.lower() for name in path), text.lower())


def _numbered(path: tuple[str, ...], text: str) -> bool:
    """As Spark names columns that differ in letter case only."""
    return re.fullmatch(rf"{re.escape(path[-1])}\d+", text.replace("`", ""), re.IGNORECASE) is not None


def _col(name: str) -> Any:
    return F.col("`" + name.replace("`", "``") + "`")


def zones(config: Config, dialect: Dialect, expected: Expected) -> list[str]:
    """The edits that only somebody who knows the shop can make: the zone of times that name none."""
    from tests.dialects.times import STYLES

    edits = []
    if dialect.times != "none" and not STYLES[dialect.times].zoned:
        edits.append(f"source.events.timezone={dialect.zone}")
    if "listed" in expected.paths["items"] and not STYLES[dialect.listed].zoned and config.source.items is not None:
        edits.append(f"source.items.timezone={dialect.zone}")
    return edits
