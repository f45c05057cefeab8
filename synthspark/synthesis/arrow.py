"""Arrow columns of the contract's types from decoded values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import types as T


def column_of(values: Any, kind: T.DataType) -> pa.Array:
    """Convert a decoded attribute (array or list, None for missing values) to the type that the lake stores."""
    if isinstance(kind, T.DoubleType):
        return pa.array(np.asarray(values, dtype=np.float64), pa.float64(), from_pandas=True)  # NaN is null
    if isinstance(kind, T.TimestampType):
        instants = [None] * len(values) if isinstance(values, list) else values
        return pa.array(instants, pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    if isinstance(kind, T.ArrayType):
        return pa.array(list(values), pa.list_(pa.string()))
    return pa.array(list(values), pa.string())
