"""Singling out: do statements drawn from the synthetic table describe exactly one real person or item?

After Anonymeter (Giomi et al. 2023, arXiv:2211.10459). The same statements, asked of rows that the generator never saw,
give the share that is due to chance.
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
"""Predicates of each kind that are asked at most, drawn by hash."""
CONDITIONS = 4
"""Columns that a multivariate predicate speaks of, at most."""
CHUNK = 4096


class Condition(NamedTuple):
    """One column's part of a predicate. op: `eq`, `le`, `ge`, or `na` (a missing number)."""

    column: str
    op: str
    value: int | float


Predicate = tuple[Condition, ...]


@dataclass(frozen=True)
class SinglingOut:
    """How often predicates that hold for one synthetic row hold for exactly one real row; None without predicates."""

    predicates: int
    train: float | None
    """Share that singles out one row of a train sample as large as the holdout, mean over the samples."""
    holdout: float | None
    """The same of the holdout: what is due to chance. None where the holdout itself is judged."""


def univariate(synthetic: DataFrame, columns: Columns, known: list[Distribution], seed: int) -> list[Predicate]:
    """Values that one synthetic row has, and the extremes of numbers."""
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
    """Conjunctions of CONDITIONS attributes of drawn synthetic rows: equal categories, numbers on the row's side of
    the median.

    indexed: the synthetic table; known: its distributions.
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
    """Rows of each part (0 to width - 1) for which each predicate holds, shape (predicates, width)."""
    if not predicates:
        return np.zeros((0, width), np.int64)
    rows = parts.select("part", *columns.c, *columns.n).coalesce(task_slots(parts.sparkSession))
    ask = partial(_count, predicates=predicates, width=width, columns=columns)
    found = [np.asarray(r["counts"]) for r in rows.mapInArrow(ask, "counts array<long>").collect()]
    total: npt.NDArray[np.int64] = np.sum(found, axis=0).reshape(len(predicates), width)
    return total


def singled_out(counts: npt.NDArray[np.int64], itself: bool) -> SinglingOut:
    """counts: of `matches`, with the train samples first, then the holdout, then the synthetic table.

    Only predicates that hold for exactly one synthetic row are asked. itself: the holdout is what is judged.
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
    """Small batches united: every predicate is asked once per chunk."""
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
