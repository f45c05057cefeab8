"""The writer (text generator) on the executors: it draws several texts for each row, in whole blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from synthspark import schemas
from synthspark.synthesis.arrow import column_of
from synthspark.synthesis.blocks import ROWS, generator, in_blocks, map_blocks
from synthspark.synthesis.generate import WRITTEN, loaded, tensor_of
from synthspark.texts import TextEncoding
from synthspark_models import Writer

TRIES = 4
"""Number of texts drawn per row, so that there is another one if the first cannot be used."""


def order_of(place: int) -> str:
    """Return the column name of the order of a row's drawn texts, for text attribute number `place`; lowest is best."""
    return f"_order_{place}"


def drawn_texts(
    rows: DataFrame, index: str, texts: TextEncoding, url: str, meta: Mapping[str, Any], seed: int
) -> DataFrame:
    """Draw TRIES texts for each of `rows`, one row each: `index`, and per text attribute its value and `order_of` it.

    Texts are ordered by the number of unknown pieces, then by the draw.
    """
    codes, numbers, sha256 = meta["code_columns"], meta["number_columns"], meta["sha256"]
    length, allowed = len(texts.columns), texts.allowed()
    fields = [T.StructField(t.name, schemas.ATTRIBUTE_TYPES[t.kind]) for t in texts.texts]
    orders = [T.StructField(order_of(place), T.IntegerType()) for place in range(len(fields))]
    schema = T.StructType([T.StructField(index, T.IntegerType()), *fields, *orders])

    def handle(block: int, table: pa.Table) -> pa.Table:
        network, _ = loaded(url, sha256)
        assert isinstance(network, Writer)
        place = table.column(index).to_numpy() % ROWS
        code, number = tensor_of(table, codes, np.int64), tensor_of(table, numbers, np.float32)
        parts = []
        for attempt in range(TRIES):
            uniform = generator(seed, WRITTEN, block, attempt).random((ROWS, length), dtype=np.float32)[place]
            pieces = network.write(code, number, torch.from_numpy(uniform), torch.from_numpy(allowed)).numpy()
            decoded, missed = texts.decode(pieces), texts.unknown(pieces)
            columns = [
                table.column(index).combine_chunks().cast(pa.int32()),
                *[column_of(decoded[f.name], f.dataType) for f in fields],
                *[pa.array(TRIES * np.asarray(missed[f.name]) + attempt, pa.int32()) for f in fields],
            ]
            parts.append(pa.Table.from_arrays(columns, names=[f.name for f in schema.fields]))
        return pa.concat_tables(parts)

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with torch.inference_mode():
            yield from map_blocks(batches, handle)

    return in_blocks(rows.select(index, *codes, *numbers), index).mapInArrow(apply, schema)
