"""First screen of the report: the decisive figures and answers to a shop's questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthspark.ranking.gate import WARM_TOLERANCE, depth
from synthspark.report.facts import Facts
from synthspark.report.headline import ALTERNATIVES, best_simple, cautions, mean, sample_in_words

PRODUCT = "real+synthetic"
CONTROLS = {
    "permuted": "the same with other items' attributes (control)",
    "random": "the same with random pairs (control)",
}
"""Control arms, which must not gain."""
SEARCH = "search_"
"""Prefix of search protocols."""
PARTS = {"cold": "Cold", "warm": "Warm", "all": "All"}
FEW_USERS = 200
"""Number of users below which the summary warns that intervals are unreliable."""
MANY_REJECTED = 0.01
"""Share of rejected rows above which the summary reports it."""
TELLS_APART = 0.6
"""Membership AUC above which the summary warns that new rows reveal training rows."""


@dataclass(frozen=True)
class Line:
    """One arm of a table: a value per column, None if it was not measured."""

    words: str
    values: Sequence[float | None]
    is_product: bool = False


@dataclass(frozen=True)
class Table:
    """The decisive figures of one protocol."""

    title: str
    columns: Sequence[str]
    lines: Sequence[Line]


@dataclass(frozen=True)
class Summary:
    """Content of the first screen below the headline."""

    tables: Sequence[Table]
    answers: Mapping[str, Sequence[str]]
    """Question -> sentences."""


def summary(facts: Facts) -> Summary:
    """Return figures and answers of a run; what was not measured is left out or reported as such."""
    rows = [r for r in facts.metrics["protocols"] if not str(r["protocol"]).startswith(SEARCH)]
    protocols = list(dict.fromkeys(str(r["protocol"]) for r in rows))
    tables = [_table(rows, name, facts.who) for name in protocols]
    answers = {
        "How sure is that?": _certainty(facts, rows, protocols),
        "What does it cost?": _costs(facts),
        "What could be wrong?": _doubts(facts, rows, protocols),
    }
    return Summary(tables, {question: told for question, told in answers.items() if told})


def _table(rows: Sequence[Mapping[str, Any]], protocol: str, who: Mapping[str, str]) -> Table:
    mine = [r for r in rows if r["protocol"] == protocol]
    k = depth({int(r["k"]) for r in mine})
    parts = [part for part in PARTS if any(r["slice"] == part for r in mine)]

    def line(words: str, arm: str) -> Line:
        return Line(words, [mean(mine, protocol, arm, part, "ndcg", k) for part in parts], arm == PRODUCT)

    asked = [("ALS on real events", "real"), ("ALS on real and synthetic events", PRODUCT)]
    best = best_simple(mine, protocol, k)
    asked += [(f"best simple alternative: {ALTERNATIVES[best]}", best)] if best else []
    arms = {r["arm"] for r in mine}
    asked += [(words, arm) for arm, words in CONTROLS.items() if arm in arms][:1]
    cold = who.get(protocol.partition("+")[0], "entities that ALS does not know")
    heads = {"cold": f"{cold}", "warm": "everybody and everything else", "all": "both in one list"}
    return Table(f"{protocol}: NDCG@{k}", [f"{PARTS[p]}: {heads[p]}" for p in parts],
                 [line(words, arm) for words, arm in asked if arm in arms])  # fmt: skip


def _certainty(facts: Facts, rows: Sequence[Mapping[str, Any]], protocols: Sequence[str]) -> list[str]:
    told = [f"The rule: cold must gain, and warm may lose at most {WARM_TOLERANCE:.0%}, both judged by 95 % intervals. "
            f"{_sentence(str(facts.metrics['verdict']['why']))}"]  # fmt: skip
    for protocol in protocols:
        mine = [r for r in rows if r["protocol"] == protocol]
        seeds = sorted({r["seed"] for r in mine})
        users = {part: max((int(r["num_users"]) for r in mine if r["slice"] == part), default=0) for part in PARTS}
        asked = ", ".join(f"{count:,} users for {part}" for part, count in users.items() if count)
        told.append(f"{protocol}: {len(seeds)} split{'s' if len(seeds) > 1 else ''} ({asked}).")
    return told


def _costs(facts: Facts) -> list[str]:
    told = []
    records = {record["stage"]: record for record in facts.stages}
    tables = records.get("synthesize", {}).get("tables", {})
    made = {name.removeprefix("events of origin "): t["events"] for name, t in tables.items() if "events" in t}
    real = records.get("synthesize", {}).get("rows_in", 0)
    if made and real:
        cold = made.get("cold_item", 0) + made.get("cold_user", 0)
        told.append(f"{cold:,} synthetic events for cold items and users, {cold / real:.1%} of the {real:,} real ones; "
                    f"{sum(made.values()) - cold:,} of new items and users.")  # fmt: skip
    seconds = {name: float(record.get("seconds") or 0) for name, record in records.items()}
    if proof := seconds.pop("evaluate", 0.0):
        told.append(f"{duration(sum(seconds.values()))} to make them, {duration(proof)} to prove them.")
    return told


def _doubts(facts: Facts, rows: Sequence[Mapping[str, Any]], protocols: Sequence[str]) -> list[str]:
    told = []
    if sample := facts.metrics.get("sample"):
        told.append(f"Only {sample_in_words(sample)} was read; a run on all users decides.")
    for protocol in protocols:
        mine = [r for r in rows if r["protocol"] == protocol]
        told += [_sentence(line) for line in cautions(mine, protocol, depth({int(r["k"]) for r in mine}))]
        fewest = min((int(r["num_users"]) for r in mine if r["slice"] == "cold" and r["arm"] == PRODUCT), default=None)
        if fewest is not None and fewest < FEW_USERS:
            told.append(f"{protocol}: only {fewest} users were asked in the cold slice.")
    if protocols and len({r["seed"] for r in rows}) == 1:
        told.append("One split was judged: its intervals cover users, not splits (evaluate.seeds).")
    if protocols and not any(p.startswith("time") for p in protocols):
        told.append("Items were held out at random, not by time; evaluate.protocols: [time] holds out later events.")
    for record in facts.stages:
        rejected, read = record.get("rows_rejected") or 0, record.get("rows_in") or 0
        if record["stage"] == "clean" and read and rejected / read > MANY_REJECTED:
            told.append(f"{rejected:,} of {read:,} rows of the sources were rejected ({rejected / read:.1%}).")
    for row in facts.metrics["privacy"]:
        if row["figure"] == "membership_auc" and (row["value"] or 0) > TELLS_APART:
            told.append(f"New {row['table']} reveal rows that the generator learned from: membership AUC "
                        f"{row['value']:.2f}.")  # fmt: skip
    return told or (["No measured figure gives cause for doubt."] if protocols else [])


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."


def duration(seconds: float) -> str:
    """Return a time in words: seconds below two minutes, then minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
