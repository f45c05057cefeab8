"""Optional sentence encoder of texts, beside their words (Reimers & Gurevych 2019, arXiv:1908.10084).

A pretrained model can compare texts that share no word. It needs `sentence-transformers` (the extra `text`) on the
driver and on every executor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from synthspark.errors import ConfigError
from synthspark.schemas import quoted

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class SentenceEncoder:
    """One float column per dimension of the model."""

    name: str
    columns: tuple[str, ...]
    model: str
    """Folder that every executor can read, or name on the Hugging Face hub."""


def dimensions(model: str) -> int:
    """Return the number of dimensions of the model. Raises ConfigError if it cannot be loaded."""
    found = _load(model).encode([""], show_progress_bar=False)
    return int(np.asarray(found).shape[1])


def encode(df: DataFrame, encoder: SentenceEncoder) -> DataFrame:
    """Add one column per dimension to `df`; vectors have length 1, or 0 if the text is missing or blank."""
    model = encoder.model

    def embed(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        loaded = _load(model)
        for texts in (batch.fillna("") for batch in batches):
            # One text at a time: in a batch it would be padded, and its last bits would depend on the other texts.
            vectors = loaded.encode(texts.tolist(), batch_size=1, normalize_embeddings=True,
                                    show_progress_bar=False)  # fmt: skip
            blank = texts.str.strip().eq("").to_numpy()
            yield pd.Series(list(np.where(blank[:, None], np.float32(0), np.asarray(vectors, dtype=np.float32))))

    as_udf: Any = pandas_udf  # its stubs lack functions over an iterator of series
    df = df.withColumn("_sentence", as_udf(embed, "array<float>")(F.col(quoted(encoder.name))))
    taken = {column: F.col("_sentence")[place] for place, column in enumerate(encoder.columns)}
    return df.withColumns(taken).drop("_sentence")


def _load(model: str) -> SentenceTransformer:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ConfigError(
            "features.text_model needs sentence-transformers, on the driver and on every executor: "
            "pip install 'synthspark[text]'"
        ) from error
    try:
        return SentenceTransformer(model, device="cpu")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"features.text_model: {model!r} cannot be loaded ({error}); name a folder that every executor sees, or a "
            "model of the Hugging Face hub"
        ) from error
