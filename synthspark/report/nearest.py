"""Nearest real rows of a few new rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synthspark.report.texts import finite
from synthspark.schemas import quoted


def nearest_rows(real: DataFrame, new: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return for each row of `new` the nearest row of `real`, in one pass; ties are resolved by the order of values.

    The distance is Gower's (1971): 1 for a value that differs; for numbers the difference divided by the range of the
    finite real values. Both inputs should come from `texts.as_bounded_text`, since the rows found are collected on the
    driver.
    """
    numbers = [name for name, kind in kinds.items() if kind == "numeric"]
    extents = [F.max(finite(F.col(quoted(n)))) - F.min(finite(F.col(quoted(n)))) for n in numbers]
    spans = dict(zip(numbers, real.agg(F.count(F.lit(1)), *extents).collect()[0][1:], strict=True))
    row = F.struct(*[F.col(quoted(name)) for name in real.columns])
    closest = [
        F.min_by(row, F.struct(_distance(values, kinds, spans), row)).alias(str(i)) for i, values in enumerate(new)
    ]
    found = real.agg(*closest).collect()[0] if new else ()
    return [r.asDict() for r in found]


def _distance(values: Mapping[str, Any], kinds: Mapping[str, str], spans: Mapping[str, float | None]) -> Column:
    terms = [F.lit(0.0)]
    for name, kind in kinds.items():
        column, value = F.col(quoted(name)), values[name]
        if kind == "multi":
            wanted = F.lit(None) if value is None else F.array(*[F.lit(v) for v in value]).cast("array<string>")
        else:
            wanted = F.lit(value)
        differs = (~column.eqNullSafe(wanted)).cast("double")
        if kind == "numeric" and value is not None and spans[name]:
            differs = F.coalesce(F.least(F.abs(column - wanted) / F.lit(spans[name]), F.lit(1.0)), F.lit(1.0))
        terms.append(differs)
    return reduce(add, terms)
