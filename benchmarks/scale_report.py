"""docs/scale.md from the results of benchmarks/scale.py."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Sequence
from typing import Any

STAGES = ("clean", "featurize", "train", "synthesize")
HEAD = """# Scale

Written by `make benchmark-scale`. The demo shop's households are copied under new ids, with all their events, until the
table has the given size; the items stay the same. Every stage runs in a separate process with 4 GB for Spark on two
cores. The generators are trained for a few steps only, because the cost of training does not depend on the number of
events. Seconds are the stages' own. CPU seconds are those of all processes of a stage, including the JVM's start and
compilers; other work on the machine affects them less. Memory is the maximum of all processes of a stage together.
"""


def document(sizes: Sequence[dict[str, Any]]) -> str:
    """Return the page. sizes: results in order of their events; `remark` of a size is printed below the table."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}."
    parts = [HEAD, machine, _stages(sizes), *(size["remark"] for size in sizes if "remark" in size)]
    if len(sizes) > 1:
        slopes = "; ".join(f"{name} {_exponent(sizes[-2:], name):.2f}" for name in STAGES)
        parts.append(f"Exponent of CPU seconds over events (1 is linear), of the last two sizes: {slopes}.")
    parts += [_dominant(sizes[-1]), "## Against the least that could be done", _ratios(sizes), _words(sizes[-1])]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _stages(sizes: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| events | stage | seconds | CPU seconds | of it tasks | of it ALS | GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in sizes:
        for name in STAGES:
            s = size["stages"][name]
            lines.append(f"| {size['events']:,} | {name} | {s['seconds']:.0f} | {s['cpu_seconds']:.0f} | "
                         f"{s['tasks_cpu_seconds']:.0f} | {s['als_cpu_seconds']:.0f} | {s['gib']:.1f} |")  # fmt: skip
    return "\n".join(lines)


def _dominant(size: dict[str, Any]) -> str:
    shares = [f"{s['als_cpu_seconds'] / s['tasks_cpu_seconds']:.0%} of the tasks' time in {name}"
              for name, s in size["stages"].items() if s["als_cpu_seconds"] > 0]  # fmt: skip
    return (
        f"At {size['events']:,} events Spark's ALS dominates: {' and '.join(shares)}. It fits the preference spaces in "
        "which generators learn, with a cost linear in the number of user-item pairs, and the trial that decides how "
        "cold users' baskets are made, on about two million pairs at most. Next are the sort in clean, which finds "
        "duplicates and robots; the 24 sums by user and item in featurize; and, in synthesize, the search for every "
        "warm user's best cold and new items, whose cost grows with users times items. To reduce the time, first try "
        "fewer iterations (`recommend.iterations`) or a lower rank (`features.factor_rank`), then more executors."
    )


def _ratios(sizes: Sequence[dict[str, Any]]) -> str:
    lines = ["| events | bare job, CPU s | clean + featurize : bare, CPU | the same without ALS | feed : bare scan | "
             "Spark : plain loop |", "|---|---|---|---|---|---|"]  # fmt: skip
    for size in sizes:
        both = [size["stages"][name] for name in ("clean", "featurize")]
        tasks, als = (sum(s[key] for s in both) for key in ("tasks_cpu_seconds", "als_cpu_seconds"))
        least = size["bare"]["cpu_seconds"]
        lines.append(f"| {size['events']:,} | {least:.1f} | {tasks / least:.1f} | {(tasks - als) / least:.1f} | "
                     f"{_share_of_feed(size['feed'])} | {size['generator']['share']:.0%} |")  # fmt: skip
    return "\n".join(lines)


def _words(size: dict[str, Any]) -> str:
    feed, made = size["feed"], size["generator"]
    return (
        "The bare job scans the events and sums their quantities by user and item; its CPU seconds are those of a warm "
        "JVM and are compared with those of the stages' tasks. The feed is the largest one, repeated until it is too "
        "large to be held in memory (a smaller one is read once). One process reads it in batches of "
        f"{feed['batch']} ({feed['rows']:,} rows of {feed['columns']} columns, "
        f"{feed['rows_per_s']:,.0f} rows/s), compared with pyarrow reading the same columns in one thread. The "
        f"generator is that of the items ({made['rows']:,} rows, {made['rows_per_s']:,.0f} rows/s, written), compared "
        "with one plain process per core that generates and writes the same blocks. Shares are medians of three "
        "alternating measurements. Targets: exponents of at most 1.05, at most 3 times the bare job, 70 % of the scan, "
        "80 % of the plain loop."
    )


def _share_of_feed(feed: dict[str, Any]) -> str:
    """Return the share, or a dash if the measured feed was small enough to be held in memory by a job."""
    return f"{feed['share']:.0%}" if "copies" in feed else "-"


def _exponent(sizes: Sequence[dict[str, Any]], name: str) -> float:
    x = [math.log(size["events"]) for size in sizes]
    y = [math.log(size["stages"][name]["cpu_seconds"]) for size in sizes]
    return statistics.linear_regression(x, y).slope
