"""Singling out: do predicates derived from the synthetic table hold for exactly one real user or item?

After Anonymeter (Giomi et al. 2023, arXiv:2211.10459). The same predicates, evaluated on rows that the generator never
saw, give the share that is due to chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.likeness.ranks import Distribution
from synthspark.likeness.tables import Columns, long_form
from synthspark.session import task_slots

PREDICATES = 1000
"""Maximum number of predicates of each kind, sampled by hash."""
CONDITIONS = 4
"""Maximum number of columns in a multivariate predicate."""
CHUNK = 4096


class Condition(NamedTuple):
    """Condition of a predicate on one column. op: `eq`, `le`, `ge`, or `na` (number is missing)."""

    column: str
    op: str
    value: int | float


Predicate = tuple[Condition, ...]


@dataclass(frozen=True)
class SinglingOut:
    """Shares of predicates true for one synthetic row that hold for exactly one real row; None without predicates."""

    predicates: int
    train: float | None
    """Share that singles out one row of a train sample as large as the holdout, mean over the samples."""
    holdout: float | None
    """Share that singles out one row of the holdout: the baseline by chance. None if the holdout is evaluated."""


def univariate(synthetic: DataFrame, columns: Columns, known: list[Distribution], seed: int) -> list[Predicate]:
    """Return predicates on values that occur in exactly one synthetic row, and on the extremes of numbers."""
    none = F.lit(float("nan"))
    sides = []
    if columns.c:
        codes = long_form(synthetic, columns.c, [F.col(c) for c in columns.c])
        sides.append(
            codes.select("column", F.col("value").alias("code"), none.alias("value"), F.lit("c").alias("kind"))
        )
    if columns.n:
        numbers = long_form(synthetic, columns.n, [F.coalesce(n, none) for n in columns.n])
        sides.append(numbers.select("column", F.lit(0).cast("long").alias("code"), "value", F.lit("n").alias("kind")))
    cells = reduce(DataFrame.unionByName, sides).groupBy("kind", "column", "code", "value").count()
    drawn = F.xxhash64(F.lit(seed), "kind", "column", "code", "value")
    rows = cells.where(F.col("count") == 1).orderBy(drawn, "kind", "column").limit(PREDICATES).collect()
    found: list[Predicate] = [(_equal(f"{r.kind}{r.column}", r.code if r.kind == "c" else r.value),) for r in rows]
    for n, d in zip(columns.n, known, strict=True):
        if len(d.values):
            found += [(Condition(n, "le", float(d.values[0])),), (Condition(n, "ge", float(d.values[-1])),)]
    return found


def multivariate(indexed: DataFrame, columns: Columns, known: list[Distribution], seed: int) -> list[Predicate]:
    """Return conjunctions on CONDITIONS attributes of sampled synthetic rows.

    A category must be equal; a number must be on the same side of the median as the row's. indexed: the synthetic
    table; known: its distributions.
    """
    rows = indexed.where(F.col("row") < PREDICATES).orderBy("row").collect()
    names = [*columns.c, *columns.n]
    medians = {n: d.median() for n, d in zip(columns.n, known, strict=True)}
    rng = np.random.default_rng(seed)
    found: dict[Predicate, None] = {}
    for row in rows:
        chosen = sorted(rng.choice(len(names), min(CONDITIONS, len(names)), replace=False).tolist())
        found[tuple(_beside(names[i], row[names[i]], medians) for i in chosen)] = None
    return list(found)


def matches(parts: DataFrame, columns: Columns, predicates: list[Predicate], width: int) -> npt.NDArray[np.int64]:
    """Count the rows of each part (0 to width - 1) for which each predicate holds; shape (predicates, width)."""
    if not predicates:
        return np.zeros((0, width), np.int64)
    rows = parts.select("part", *columns.c, *columns.n).coalesce(task_slots(parts.sparkSession))
    ask = partial(_count, predicates=predicates, width=width, columns=columns)
    found = [np.asarray(r["counts"]) for r in rows.mapInArrow(ask, "counts array<long>").collect()]
    total: npt.NDArray[np.int64] = np.sum(found, axis=0).reshape(len(predicates), width)
    return total


def singled_out(counts: npt.NDArray[np.int64], itself: bool) -> SinglingOut:
    """Return the shares of predicates that single out one real row.

    Only predicates that hold for exactly one synthetic row are used. counts: result of `matches`, columns ordered as
    train samples, holdout, synthetic table; itself: True if the holdout itself is evaluated.
    """
    asked = counts[counts[:, -1] == 1]
    if not len(asked):
        return SinglingOut(0, None, None)
    single = (asked == 1).mean(axis=0)
    return SinglingOut(len(asked), float(single[:-2].mean()), None if itself else float(single[-2]))


def _equal(column: str, value: int | float) -> Condition:
    return Condition(column, "na", 0.0) if value != value else Condition(column, "eq", value)


def _beside(column: str, value: Any, medians: dict[str, float]) -> Condition:
    if column not in medians:
        return Condition(column, "eq", value)
    if value is None:
        return Condition(column, "na", 0.0)
    return Condition(column, "ge" if value > medians[column] else "le", value)


def _count(
    batches: Iterable[pa.RecordBatch], predicates: list[Predicate], width: int, columns: Columns
) -> Iterator[pa.RecordBatch]:
    total = np.zeros((len(predicates), width), np.int64)
    for chunk in _chunks(batches):
        part = chunk.column("part").to_numpy()
        cells = {c: chunk.column(c).to_numpy() for c in columns.c}
        cells |= {n: chunk.column(n).to_numpy().astype(float) for n in columns.n}
        for at, predicate in enumerate(predicates):
            held = np.logical_and.reduce([_holds(cells[c.column], c) for c in predicate])
            total[at] += np.bincount(part[held], minlength=width)
    flat = pa.array(total.ravel())
    yield pa.RecordBatch.from_arrays(
        [pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat)], names=["counts"]
    )


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Merge small batches, so that each predicate is evaluated once per chunk."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(b.num_rows for b in held) >= CHUNK:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _holds(values: npt.NDArray[Any], condition: Condition) -> npt.NDArray[np.bool_]:
    held: npt.NDArray[np.bool_]
    match condition.op:
        case "na":
            held = np.isnan(values)
        case "eq":
            held = values == condition.value
        case "le":
            held = values <= condition.value
        case _:
            held = values >= condition.value
    return held
