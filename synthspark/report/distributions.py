"""Distributions of real and synthetic rows per column, counted by Spark so that only classes reach the driver."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.report.facts import Distribution
from synthspark.report.texts import as_text, finite

CLASSES = 12
"""Number of most frequent values with a bar of their own."""
BINS = 30
ENDS = (0.01, 0.99)
"""Quantiles of the real values that bound the bins; values outside are counted in the outer bins."""
MAX_YEARS = 100
MAX_LENGTH = 200
"""Number of leading characters that distinguish values; labels show fewer."""
THRESHOLDS = [float(m * 10**e) for e in range(7) for m in (1, 2, 5)]
MISSING, OTHERS = "(missing)", "(others)"
Parts = dict[str, DataFrame]
"""Name of a series -> its rows; the first is real."""


def by_value(parts: Parts, column: Column, title: str) -> Distribution | None:
    """Return shares of the first part's most frequent values, of all others together, and of missing ones."""
    values = {
        name: df.select(F.coalesce(as_text(column, MAX_LENGTH), F.lit(MISSING)).alias("v"))
        for name, df in parts.items()
    }
    real = next(iter(values))
    top = [r["v"] for r in values[real].groupBy("v").count().orderBy(F.desc("count"), "v").limit(CLASSES).collect()]
    if not top:
        return None
    kept = F.when(F.col("v").isin(top), F.col("v")).otherwise(OTHERS)
    counts = _counted({name: df.select(kept.alias("v")) for name, df in values.items()})
    if all(len(found) <= 1 for found in counts.values()) and len(top) == 1:
        return None  # a single value: nothing to compare
    classes = [*top, *([OTHERS] if any(OTHERS in found for found in counts.values()) else [])]
    return Distribution(title, classes, {n: _shares([c.get(v, 0) for v in classes]) for n, c in counts.items()}, "bars")


def by_class(parts: Parts, column: Column, names: list[str], title: str) -> Distribution | None:
    """Return shares of a small integer column; names[i] is the name of class i. Nulls are left out."""
    counts = _counted(
        {name: df.select(column.cast("int").alias("v")).where("v is not null") for name, df in parts.items()}
    )
    if not all(counts.values()):
        return None
    series = {n: _shares([c.get(i, 0) for i in range(len(names))]) for n, c in counts.items()}
    return Distribution(title, names, series, "bars")


def by_year(parts: Parts, column: Column, title: str) -> Distribution | None:
    """Return shares of years between the ENDS quantiles of the real years; years outside count in the outer ones.

    A range of MAX_YEARS or more is binned: some shops use the year 9999 for "never".
    """
    years = {name: df.select(F.year(column).alias("v")) for name, df in parts.items()}
    real = next(iter(years.values()))
    ends = real.agg(F.percentile_approx("v", list(ENDS), 1000).alias("q")).collect()[0]["q"]
    if ends is None or ends[0] == ends[1]:
        return None
    low, high = ends
    if high - low >= MAX_YEARS:
        return by_size(parts, F.year(column), title)
    bounded = F.least(F.greatest(F.col("v"), F.lit(low)), F.lit(high))
    since = F.when(F.col("v").isNotNull(), bounded - low)  # least and greatest skip nulls
    return by_class(years, since, [str(year) for year in range(low, high + 1)], title)


def by_size(parts: Parts, column: Column, title: str) -> Distribution | None:
    """Return a histogram of a number between the ENDS quantiles of the real values; nulls, NaN and inf are left out."""
    number = finite(column)
    values = {name: df.select(number.alias("v")).where("v is not null") for name, df in parts.items()}
    real = next(iter(values.values()))
    ends = real.agg(F.percentile_approx("v", list(ENDS), 1000).alias("q")).collect()[0]["q"]
    if ends is None or ends[0] >= ends[1]:
        return None
    low, high = (float(x) for x in ends)
    if not math.isfinite(high - low):
        return None
    width = (high - low) / BINS
    bin_of = F.least(F.greatest(F.floor((F.col("v") - low) / width), F.lit(0)), F.lit(BINS - 1))
    counts = _counted({name: df.select(bin_of.cast("int").alias("v")) for name, df in values.items()})
    if not all(counts.values()):
        return None
    edges = [low + width * i for i in range(BINS + 1)]
    series = {n: _shares([c.get(i, 0) for i in range(BINS)]) for n, c in counts.items()}
    return Distribution(title, edges, series, "bins")


def by_reach(parts: Parts, key: str, title: str) -> Distribution | None:
    """Return the shares of `key` values that occur at least 1, 2, 5, 10, ... times: the tail of popularity."""
    step = reduce(lambda found, t: F.when(F.col("n") >= t, F.lit(t)).otherwise(found), THRESHOLDS, F.lit(None))
    sizes = {
        name: df.groupBy(key).agg(F.count(F.lit(1)).alias("n")).select(step.alias("v")) for name, df in parts.items()
    }
    counts = _counted(sizes)
    if not all(counts.values()):
        return None
    most = max(t for found in counts.values() for t in found)
    classes = [t for t in THRESHOLDS if t <= most]
    series = {}
    for name, found in counts.items():
        total = sum(found.values())
        series[name] = [sum(n for t, n in found.items() if t >= at) / total for at in classes]
    return Distribution(title, classes, series, "tail")


def _counted(parts: Parts) -> dict[str, dict[Any, int]]:
    """Return series -> value of column `v` -> number of rows."""
    marked = [df.select("v", F.lit(name).alias("series")) for name, df in parts.items()]
    found: dict[str, dict[Any, int]] = {name: {} for name in parts}
    for row in reduce(DataFrame.unionByName, marked).groupBy("series", "v").count().collect():
        found[row["series"]][row["v"]] = row["count"]
    return found


def _shares(counts: list[int]) -> list[float]:
    total = sum(counts)
    return [c / total if total else 0.0 for c in counts]
