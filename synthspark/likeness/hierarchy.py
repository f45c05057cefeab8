"""Hierarchies such as product type > department: find them in train, count synthetic rows that break them."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.likeness.tables import Tables, coded

PURITY = 0.98
"""Minimum share of train rows whose B is the most frequent one of their A, for A -> B to be a rule."""
REPEATED = 0.5
"""Minimum share of train rows whose A occurs more than once; below it, rules on A cannot be found."""


class Rule(NamedTuple):
    """A rule "`a` determines `b`", both category column indices; `pair` is the index among the counted pairs."""

    a: int
    b: int
    pair: int
    swapped: bool
    """True if the pair was counted as (b, a)."""


def find_rules(joint: DataFrame, distinct: list[int], pairs: list[tuple[int, int]], rows: int) -> list[Rule]:
    """Find dependencies A -> B in train: A has more values than B, B has several, and PURITY and REPEATED hold.

    joint: columns `pair`, `a`, `b`, `train`; distinct: number of values of each category column in train, including
    missing; rows: number of train rows.
    """
    possible = [
        Rule(*((a, b) if distinct[a] > distinct[b] else (b, a)), at, distinct[a] < distinct[b])
        for at, (a, b) in enumerate(pairs)
        if max(a, b) < len(distinct) and distinct[a] != distinct[b] and min(distinct[a], distinct[b]) > 1
    ]
    if not possible:
        return []
    of_rule = {False: [r.pair for r in possible if not r.swapped], True: [r.pair for r in possible if r.swapped]}
    kept = joint.where(F.col("train") > 0)
    sides = [
        kept.where(F.col("pair").isin(of_rule[swapped])).select("pair", F.col(key).alias("a"), "train")
        for swapped, key in ((False, "a"), (True, "b"))
    ]
    per_a = reduce(DataFrame.unionByName, sides).groupBy("pair", "a").agg(
        F.max("train").alias("most"), F.sum("train").alias("all"))  # fmt: skip
    repeated = F.sum(F.when(F.col("all") > 1, F.col("all")).otherwise(0)).alias("repeated")
    found = {r["pair"]: r for r in per_a.groupBy("pair").agg(F.sum("most").alias("most"), repeated).collect()}
    shown = [
        r for r in possible if found[r.pair]["repeated"] >= REPEATED * rows and found[r.pair]["most"] >= PURITY * rows
    ]
    return sorted(shown)


def valid_share(tables: Tables, joint: DataFrame, rules: list[Rule], rows: int) -> float | None:
    """Return the share of synthetic rows whose (A, B) occurs in train or holdout for every rule; None without rules."""
    if not rules:
        return None
    columns = tables.columns.c
    used = sorted({place for r in rules for place in (r.a, r.b)})
    made = coded(tables.synthetic, tables.columns).groupBy(*[columns[i] for i in used]).agg(
        F.count(F.lit(1)).alias("rows"))  # fmt: skip
    combination = F.struct(*[columns[i] for i in used]).alias("combination")
    asked = [
        F.struct(F.lit(r.pair).alias("pair"), F.col(columns[r.b if r.swapped else r.a]).alias("a"),
                 F.col(columns[r.a if r.swapped else r.b]).alias("b"))
        for r in rules
    ]  # fmt: skip
    exploded = made.select(combination, "rows", F.explode(F.array(*asked)).alias("asked"))
    known = joint.where((F.col("train") + F.col("holdout") > 0) & F.col("pair").isin([r.pair for r in rules]))
    kept = exploded.select("combination", "rows", "asked.*").join(known, on=["pair", "a", "b"], how="left_semi")
    whole = kept.groupBy("combination").agg(F.count(F.lit(1)).alias("held"), F.first("rows").alias("rows"))
    valid = whole.where(F.col("held") == len(rules)).agg(F.sum("rows")).collect()[0][0]
    return float((valid or 0) / rows)
