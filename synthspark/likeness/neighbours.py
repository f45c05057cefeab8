"""Exact nearest neighbours between tables, in blocks: every query row against every base row, in bounded memory.

The distance is Gower's (1971, doi:10.2307/2528823), not divided by the number of columns: 1 per category that differs,
the difference of ranks per number, 1 per number that only one row has. Blocks of rows are sent as bytes. Each pair of a
query block and a base block is compared in an executor's Python worker, which keeps only each query's two smallest
distances.

Shapes: Q queries, B base rows, c categories, n numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.likeness.ranks import MISSING_RANK, Distribution
from synthspark.likeness.tables import Columns
from synthspark.session import task_slots
from synthspark.synthesis.blocks import map_blocks

QUERY_BLOCK = 512
BASE_BLOCK = 4096
"""Rows per base block; small enough for 16-bit codes."""
TILE = 64
"""Queries compared at once, so that their distances to a base block stay in the processor's cache."""
BROADCAST_BYTES = 64 << 20
"""Maximum size of a base that is broadcast to every executor; a larger one is read block by block."""

Floats = npt.NDArray[np.float32]

_QUERIES = "label int, own int, first int, rows int, codes binary, numbers binary"
_BASE = "part int, first int, rows int, values binary, widths binary, codes binary, numbers binary"
_FOUND = "label int, row int, part int, first float, second float"


class Queries(NamedTuple):
    """A block of query rows. first: number of its first row; own: base part that holds the same rows, or -1."""

    own: int
    first: int
    codes: npt.NDArray[np.int64]
    """Shape (Q, c)."""
    numbers: Floats
    """Ranks, shape (Q, n)."""


class Base(NamedTuple):
    """A block of base rows; codes are indices into `values`, the distinct codes of each column."""

    part: int
    first: int
    values: list[npt.NDArray[np.int64]]
    codes: npt.NDArray[np.int16]
    """Shape (c, B)."""
    numbers: Floats
    """Ranks, shape (n, B)."""


def query_blocks(
    indexed: DataFrame, columns: Columns, ranks: list[Distribution], label: int, own: int = -1
) -> DataFrame:
    """Pack the rows of `indexed` into query blocks. own: base part with the same rows; each row then skips itself."""
    blocked = indexed.withColumn("block", F.floor(F.col("row") / QUERY_BLOCK))
    return _packed(blocked, partial(_pack_queries, columns=columns, ranks=ranks, label=label, own=own), _QUERIES)


def base_blocks(parts: DataFrame, columns: Columns, ranks: list[Distribution]) -> DataFrame:
    """Pack the rows of `parts` (indexed, with `part` and `start`, the part's first row) into base blocks."""
    per_part = 1 << 32
    block = F.col("part") * per_part + F.floor((F.col("row") - F.col("start")) / BASE_BLOCK)
    return _packed(parts.withColumn("block", block), partial(_pack_base, columns=columns, ranks=ranks), _BASE)


def nearest(queries: DataFrame, base: DataFrame, base_rows: int, columns: Columns) -> DataFrame:
    """Return each query's two smallest distances to each base part: `label`, `row`, `part`, `first`, `second`.

    queries: union of `query_blocks`; base: result of `base_blocks`; base_rows: number of rows in it. `first` and
    `second` are infinite if a part has no row other than the query itself; `second` also if it has only one.
    """
    slots = task_slots(queries.sparkSession)
    small = base_rows * (10 * len(columns.c) + 4 * len(columns.n)) <= BROADCAST_BYTES
    # Spark partitions by bytes and would put all of these few, small blocks into one task.
    streamed = queries.repartition(2 * slots)
    pairs = streamed.crossJoin(
        (F.broadcast(base) if small else base.coalesce(slots)).withColumnsRenamed(
            {name: f"base_{name}" for name in base.columns}
        )
    )
    found = pairs.mapInArrow(partial(_compare, categories=len(columns.c)), _FOUND)
    both = F.array_sort(F.flatten(F.collect_list(F.array("first", "second")))).alias("both")
    best = found.groupBy("label", "row", "part").agg(both)
    return best.select("label", "row", "part", F.col("both")[0].alias("first"), F.col("both")[1].alias("second"))


def two_nearest(queries: Queries, base: Base) -> tuple[Floats, Floats]:
    """Return the smallest and second smallest distance of each query, shape (Q,) each; infinite if there is none."""
    codes = _places(queries.codes, base.values)
    width, height = base.codes.shape[1], len(queries.codes)
    clipped = [bool((q == MISSING_RANK).any() or (b == MISSING_RANK).any())
               for q, b in zip(queries.numbers.T, base.numbers, strict=True)]  # fmt: skip
    first, second = np.empty(height, np.float32), np.empty(height, np.float32)
    for low in range(0, height, TILE):
        high = min(low + TILE, height)
        shape = (high - low, width)
        differing = np.zeros(shape, np.uint8 if len(base.codes) < 256 else np.uint16)
        flag, gap = np.empty(shape, np.bool_), np.empty(shape, np.float32)
        for j, column in enumerate(base.codes):
            np.not_equal(codes[low:high, j, None], column, out=flag)
            np.add(differing, flag, out=differing, casting="unsafe")
        distance = differing.astype(np.float32)
        for j, ranks in enumerate(base.numbers):
            np.subtract(queries.numbers[low:high, j, None], ranks, out=gap)
            np.abs(gap, out=gap)
            if clipped[j]:
                np.minimum(gap, np.float32(1), out=gap)
            np.add(distance, gap, out=distance)
        if queries.own == base.part:
            own = np.arange(low, high) + queries.first - base.first
            here = np.flatnonzero((own >= 0) & (own < width))
            distance[here, own[here]] = np.inf
        first[low:high], second[low:high] = _two_smallest(distance)
    return first, second


def _two_smallest(distance: Floats) -> tuple[Floats, Floats]:
    rows, place = np.arange(len(distance)), distance.argmin(axis=1)
    first = distance[rows, place]
    distance[rows, place] = np.inf
    return first, distance.min(axis=1)


def _places(codes: npt.NDArray[np.int64], values: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int16]:
    """Return the index of each code among the base block's values, -1 if absent; shape (Q, c)."""
    found = np.empty(codes.shape, np.int16)
    for j, known in enumerate(values):
        place = np.minimum(np.searchsorted(known, codes[:, j]), len(known) - 1)
        found[:, j] = np.where(known[place] == codes[:, j], place, -1)
    return found


def _compare(batches: Iterable[pa.RecordBatch], categories: int) -> Iterator[pa.RecordBatch]:
    """Compare pairs of blocks; merge consecutive results of the same queries and part (Spark merges the rest)."""
    held: dict[int, tuple[Floats, Floats]] = {}
    key: tuple[int, int] | None = None
    for batch in batches:
        for row in batch.to_pylist():
            queries, base = _unpack_queries(row, categories), _unpack_base(row, categories)
            if key != (row["label"], queries.first):
                yield from _found(key, held)
                held, key = {}, (row["label"], queries.first)
            held[base.part] = _merged(held.get(base.part), two_nearest(queries, base))
    yield from _found(key, held)


def _merged(old: tuple[Floats, Floats] | None, new: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    if old is None:
        return new
    return np.minimum(old[0], new[0]), np.minimum(np.maximum(old[0], new[0]), np.minimum(old[1], new[1]))


def _found(key: tuple[int, int] | None, held: dict[int, tuple[Floats, Floats]]) -> Iterator[pa.RecordBatch]:
    if key is None:
        return
    for part, (first, second) in held.items():
        rows = np.arange(key[1], key[1] + len(first), dtype=np.int32)
        label, of = (np.full(len(first), v, np.int32) for v in (key[0], part))
        arrays = [pa.array(a) for a in (label, rows, of, first, second)]
        yield pa.RecordBatch.from_arrays(arrays, names=["label", "row", "part", "first", "second"])


def _packed(blocked: DataFrame, pack: Any, schema: str) -> DataFrame:
    ordered = blocked.repartition("block").sortWithinPartitions("block", "row")
    return ordered.mapInArrow(partial(map_blocks, handle=pack), schema)


def _pack_queries(
    block: int, rows: pa.Table, columns: Columns, ranks: list[Distribution], label: int, own: int
) -> pa.Table:
    codes, numbers = _encoded(rows, columns, ranks)
    return _row({"label": label, "own": own, "first": _first(rows), "rows": rows.num_rows,
                 "codes": codes.tobytes(), "numbers": numbers.tobytes()})  # fmt: skip


def _pack_base(block: int, rows: pa.Table, columns: Columns, ranks: list[Distribution]) -> pa.Table:
    codes, numbers = _encoded(rows, columns, ranks)
    distinct = [np.unique(column, return_inverse=True) for column in codes.T]
    places = [place.astype(np.int16).tobytes() for _, place in distinct]
    widths = np.array([len(values) for values, _ in distinct], np.int32)
    return _row({"part": rows.column("part")[0].as_py(), "first": _first(rows), "rows": rows.num_rows,
                 "values": b"".join(values.tobytes() for values, _ in distinct), "widths": widths.tobytes(),
                 "codes": b"".join(places), "numbers": np.ascontiguousarray(numbers.T).tobytes()})  # fmt: skip


def _row(fields: dict[str, int | bytes]) -> pa.Table:
    types = {name: pa.binary() if isinstance(value, bytes) else pa.int32() for name, value in fields.items()}
    return pa.table({name: pa.array([value], types[name]) for name, value in fields.items()})


def _first(rows: pa.Table) -> int:
    first: int = rows.column("row")[0].as_py()
    return first


def _encoded(rows: pa.Table, columns: Columns, ranks: list[Distribution]) -> tuple[npt.NDArray[np.int64], Floats]:
    codes = [rows.column(c).to_numpy() for c in columns.c]
    numbers = [r.ranks(rows.column(n).to_numpy().astype(float)) for n, r in zip(columns.n, ranks, strict=True)]
    height = rows.num_rows
    return (np.column_stack(codes) if codes else np.empty((height, 0), np.int64),
            np.column_stack(numbers) if numbers else np.empty((height, 0), np.float32))  # fmt: skip


def _unpack_queries(row: dict[str, Any], categories: int) -> Queries:
    codes = np.frombuffer(row["codes"], np.int64).reshape(row["rows"], categories)
    return Queries(row["own"], row["first"], codes, np.frombuffer(row["numbers"], np.float32).reshape(row["rows"], -1))


def _unpack_base(row: dict[str, Any], categories: int) -> Base:
    widths = np.frombuffer(row["base_widths"], np.int32)
    values = np.split(np.frombuffer(row["base_values"], np.int64), np.cumsum(widths)[:-1]) if categories else []
    codes = np.frombuffer(row["base_codes"], np.int16).reshape(categories, row["base_rows"])
    numbers = np.frombuffer(row["base_numbers"], np.float32).reshape(-1, row["base_rows"])
    return Base(row["base_part"], row["base_first"], values, codes, numbers)
