"""Privacy: does a synthetic table reveal rows of the train table? All rows are used: a sample can hide memorisation.

Every figure has a baseline from the holdout, rows of the same kind that the generator never saw.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synthspark.judging.judge import auc_of_counts
from synthspark.likeness.fidelity import rounded
from synthspark.likeness.neighbours import base_blocks, nearest, query_blocks
from synthspark.likeness.ranks import Distribution, distributions
from synthspark.likeness.singling import SinglingOut, matches, multivariate, singled_out, univariate
from synthspark.likeness.tables import Columns, coded, indexed, persisted, prepare, row_counts

MAX_SAMPLES = 16
"""Maximum number of train samples, each as large as the holdout, that the holdout is compared with. They cover all of
train up to 16 times the holdout's rows; of a larger train table, that many rows sampled by hash."""
TIE = 1e-6
"""Maximum difference of distances that count as equal: the sums are in single precision."""
RESOLUTION = 1e-4
"""Distances are rounded to this for medians and the attack's AUC, which bounds the data that the driver collects."""
DECIMALS = 2
"""Decimals to which numbers are compared when copies are counted."""


@dataclass(frozen=True)
class Privacy:
    """Figures of one synthetic table; None if there are too few rows."""

    rows: int
    """Number of synthetic rows; all are used."""
    exact_copy_share: float
    """Share of synthetic rows that equal a train row, with numbers rounded to 2 decimals."""
    exact_copy_share_holdout: float
    """Share of holdout rows that equal a train row: the baseline, since real rows resemble each other."""
    dcr_train_share: float | None
    """Share of synthetic rows nearer to train than to an equally large holdout; ties count half, 0.5 is best."""
    dcr_median_train: float | None
    """Median distance to the closest train row. Unit: columns; 1 is one category changed or a number moved across its
    whole range."""
    dcr_median_holdout: float | None
    nndr_median_train: float | None
    """Median ratio of the distances to the nearest and second nearest train row, 1 if both are equal. A small ratio
    means that a synthetic row is close to one single row."""
    nndr_median_holdout: float | None
    membership_auc: float
    """AUC of a membership inference attack that scores candidates by the distance to their nearest synthetic row
    (nearer: more likely a train row); 0.5: the attacker learns nothing."""
    singling_out_univariate: SinglingOut
    singling_out_multivariate: SinglingOut

    def to_json(self) -> dict[str, object]:
        """Return plain data."""
        return asdict(self)


class _Parts(NamedTuple):
    """Train samples and the holdout, all of equal size; samples are numbered from 0, the holdout comes last."""

    rows: DataFrame
    samples: int
    size: int


def privacy(train: DataFrame, holdout: DataFrame, synthetic: DataFrame | None, seed: int = 0) -> Privacy:
    """Measure what attacks on `synthetic` reveal about `train`; columns as in `fidelity`.

    synthetic: None evaluates the holdout itself, excluding each row from its own neighbours, which gives the figures of
    real rows, the best that a synthetic table can reach. seed: seed of the order in which rows are sampled for samples
    and predicates. Raises SourceError if a column is missing or has another type than in train, or if a table has no
    rows.
    """
    itself = synthetic is None
    with persisted(prepare(train, holdout, holdout if synthetic is None else synthetic)) as tables:
        columns, counts = tables.columns, row_counts(tables)
        held = indexed(tables.holdout, columns, seed, "holdout").persist()
        made = held if itself else indexed(tables.synthetic, columns, seed, "synthetic").persist()
        known = indexed(tables.train, columns, seed, "train").persist()
        try:
            ranks = distributions(tables.train, columns)
            parts = _parts(known, held, counts)
            closest = _closest(made, parts, columns, ranks, itself)
            attack = _membership(known, held, made, counts, columns, ranks, itself)
            single = _singling_out(parts, made, columns, seed, itself)
        finally:
            for table in (held, made, known):
                table.unpersist()
        copies = {name: _copies(getattr(tables, name), tables.train, columns) for name in ("synthetic", "holdout")}
    return Privacy(
        rows=counts["synthetic"],
        exact_copy_share=copies["synthetic"] / counts["synthetic"],
        exact_copy_share_holdout=copies["holdout"] / counts["holdout"],
        **closest,
        membership_auc=attack,
        singling_out_univariate=single[0],
        singling_out_multivariate=single[1],
    )


def _parts(train: DataFrame, holdout: DataFrame, counts: dict[str, int]) -> _Parts:
    """Return samples that together cover train; if its size is no multiple, the last sample overlaps its neighbour."""
    rows, size = counts["train"], min(counts["train"], counts["holdout"])
    samples = min(-(-rows // size), MAX_SAMPLES)
    starts = [min(i * size, rows - size) for i in range(samples)]
    cells = [F.struct(F.lit(i).alias("part"), F.lit(start).alias("start")) for i, start in enumerate(starts)]
    exploded = train.withColumn("cell", F.explode(F.array(*cells))).select("*", "cell.*").drop("cell")
    within = exploded.where((F.col("row") >= F.col("start")) & (F.col("row") < F.col("start") + size))
    other = holdout.where(F.col("row") < size).withColumn("part", F.lit(samples)).withColumn("start", F.lit(0))
    return _Parts(within.unionByName(other), samples, size)


def _closest(
    made: DataFrame, parts: _Parts, columns: Columns, ranks: list[Distribution], itself: bool
) -> dict[str, float | None]:
    """Compute distances to the closest record (DCR) and nearest-neighbour distance ratios (NNDR)."""
    queries = query_blocks(made, columns, ranks, 0, parts.samples if itself else -1)
    base = base_blocks(parts.rows, columns, ranks)
    of_holdout = F.col("part") == parts.samples
    found = nearest(queries, base, (parts.samples + 1) * parts.size, columns)
    found = found.where(F.col("first") < float("inf")).persist()
    try:
        to_holdout = F.max(F.when(of_holdout, F.col("first"))).over(Window.partitionBy("row"))
        gap = F.col("first") - F.col("to_holdout")
        nearer = F.when(gap < -TIE, 1.0).when(gap <= TIE, 0.5).when(gap > TIE, 0.0)
        both = found.withColumn("to_holdout", to_holdout).where(~of_holdout)
        share = both.agg(F.avg(nearer)).collect()[0][0]
        ratio = F.when(F.col("second") > 0, F.col("first") / F.col("second")).otherwise(1.0)
        paired = found.where(F.col("second") < float("inf"))
        distances, ratios = _histogram(found, of_holdout, F.col("first")), _histogram(paired, of_holdout, ratio)
    finally:
        found.unpersist()
    return {
        "dcr_train_share": rounded(share),
        "dcr_median_train": _median(distances, False),
        "dcr_median_holdout": _median(distances, True),
        "nndr_median_train": _median(ratios, False),
        "nndr_median_holdout": _median(ratios, True),
    }


def _membership(
    train: DataFrame,
    holdout: DataFrame,
    made: DataFrame,
    counts: dict[str, int],
    columns: Columns,
    ranks: list[Distribution],
    itself: bool,
) -> float:
    """Return the AUC of the membership attack.

    Candidates are all rows of train (members) and of the holdout; the score is the negative distance to the nearest
    synthetic row.
    """
    members = query_blocks(train, columns, ranks, 1)
    others = query_blocks(holdout, columns, ranks, 0, 0 if itself else -1)
    base = base_blocks(made.withColumn("part", F.lit(0)).withColumn("start", F.lit(0)), columns, ranks)
    found = nearest(members.unionByName(others), base, counts["synthetic"], columns)
    bins = _histogram(found, F.col("label") == 1, F.col("first"))
    order = sorted({b for _, b in bins}, reverse=True)
    positive, negative = (np.array([bins.get((label, b), 0) for b in order]) for label in (True, False))
    return round(auc_of_counts(positive, negative), 9)


def _singling_out(
    parts: _Parts, made: DataFrame, columns: Columns, seed: int, itself: bool
) -> tuple[SinglingOut, SinglingOut]:
    known = distributions(made, columns)
    drawn = univariate(made, columns, known, seed), multivariate(made, columns, known, seed)
    asked = parts.rows.drop("start").unionByName(made.withColumn("part", F.lit(parts.samples + 1)))
    counts = matches(asked, columns, [*drawn[0], *drawn[1]], parts.samples + 2)
    split = len(drawn[0])
    return singled_out(counts[:split], itself), singled_out(counts[split:], itself)


def _copies(table: DataFrame, train: DataFrame, columns: Columns) -> int:
    """Count the rows of `table` that equal a row of `train`."""
    content: list[Column | str] = [*columns.c, *[_to_decimals(n) for n in columns.n]]
    mine, theirs = (coded(t, columns).select(F.xxhash64(*content).alias("content")) for t in (table, train))
    counts = mine.groupBy("content").count()
    found = counts.join(theirs, on="content", how="left_semi").agg(F.sum("count")).collect()[0][0]
    return int(found or 0)


def _to_decimals(number: str) -> Column:
    shifted = F.rint(F.col(number) * 10**DECIMALS) + F.lit(0.0)  # -0.0 becomes 0.0
    return F.coalesce(shifted, F.lit(float("nan")))


_Histogram = dict[tuple[bool, float], int]


def _histogram(table: DataFrame, side: Column, value: Column) -> _Histogram:
    """Count rows by side and rounded value (in units of RESOLUTION)."""
    rows = table.groupBy(side.alias("side"), F.rint(value / RESOLUTION).alias("bin")).count().collect()
    return {(r["side"], r["bin"]): r["count"] for r in rows}


def _median(histogram: _Histogram, side: bool) -> float | None:
    bins = sorted(b for s, b in histogram if s == side)
    if not bins:
        return None
    through = np.cumsum([histogram[side, b] for b in bins])
    middle = [(through[-1] - 1) // 2, through[-1] // 2]
    places: npt.NDArray[np.int64] = np.searchsorted(through, middle, side="right")
    return rounded(float(np.mean([bins[p] for p in places])) * RESOLUTION)
