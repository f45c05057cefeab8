"""What every stage is given, and what it reports."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synthspark import __version__
from synthspark.config import Config
from synthspark.features.encoding import TableEncoding
from synthspark.features.feeds import factors_in
from synthspark.lake import Lake, Publication
from synthspark.recommend import EXACT_BLOCKS

BLOCKS_PER_ROOT = 4
"""Blocks of ALS for the root of a million events: 13 for ten millions, 40 for a hundred, 127 for a thousand."""
EXACT_EVENTS = 4_000_000
"""Up to so many events a lake's factors are the same bytes everywhere; above, the last bit gives way to more blocks."""


def _ignore(_name: str, _record: dict[str, Any]) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Context:
    """One run: its session, its lake, its configuration."""

    spark: SparkSession
    lake: Lake
    config: Config
    run_id: str
    on_epoch: Callable[[str, dict[str, Any]], None] = _ignore
    """Called with the generator's name and the record of each epoch."""

    def read(self, table: str, *, feed: bool = False) -> DataFrame:
        """A table that this run has published."""
        return self.lake.read(table, self.run_id, feed=feed)

    def has(self, table: str) -> bool:
        """Whether this run has published a table or folder: by the records, as a folder may be of a time before."""
        return any(table in record.get("published", ()) for record in self.lake.records(self.run_id).values())

    @contextmanager
    def publication(self, stage: str) -> Iterator[Publication]:
        """The lake's, whose record tells what the stage was made by."""
        with self.lake.publication(self.run_id, stage) as staged:
            staged.details.update(self.made_by())
            yield staged

    def made_by(self) -> dict[str, str]:
        """What decides over a stage's tables, besides its sources."""
        return {"configuration": self.config.fingerprint(), "version": __version__}

    def record(self, stage: str) -> dict[str, Any]:
        """What an earlier stage of this run recorded."""
        record = self.lake.record(self.run_id, stage)
        assert record is not None, f"stage {stage} was required before"
        return record


@dataclass
class StageReport:
    """What a stage did, in figures and in words."""

    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0
    notes: list[str] = field(default_factory=list)
    """What the user should know: attributes kept out, what the data lacks."""
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    """Small tables to show: title -> {label: count}."""
    details: dict[str, Any] = field(default_factory=dict)
    """Figures that later stages need."""
    peak_bytes: int = 0
    """Of the driver and what runs below it; known when the stage is over."""

    started: float = field(default_factory=time.monotonic, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the stage's record, with the seconds so far."""
        data = asdict(self)
        return {"seconds": round(time.monotonic() - data.pop("started"), 1), **data}


def side_name(key: str) -> str:
    """`item_id` -> `items`."""
    return key.removesuffix("_id") + "s"


def als_blocks(context: Context) -> int:
    """How many blocks ALS cuts users and items into, with the events of the whole shop."""
    return blocks_for(int(context.record("clean")["rows"]["clean/events"]))


def blocks_for(rows: int) -> int:
    """The same for so many events, or pairs of user and item: by the data. ALS's random start follows the blocks, so
    that a number that followed the cluster would give other factors wherever the job has more or fewer executors. Up
    to EXACT_EVENTS as few as give the same bytes everywhere; above, by the root: each factor is sent to every block, so
    that with blocks in proportion to the events what is sent would grow with their square.
    """
    return EXACT_BLOCKS if rows <= EXACT_EVENTS else math.ceil(BLOCKS_PER_ROOT * math.sqrt(rows / 1e6))


def indexed_interactions(context: Context) -> DataFrame:
    """The interactions with `user_index` and `item_index`, persisted by the caller if need be."""
    users = context.read("features/users", feed=True).select("user_id", "user_index")
    items = context.read("features/items", feed=True).select("item_id", "item_index")
    joined = context.read("features/interactions", feed=True).join(users, on="user_id", how="inner")
    return joined.join(items, on="item_id", how="inner")


def factor_vectors(table: DataFrame, key: str) -> DataFrame:
    """A factor table's scalar columns as `key` and `vector` array<float>."""
    return table.select(F.col("index").alias(key), F.array(*factors_in(table.columns)).alias("vector"))


def read_encoding(context: Context, side: str) -> TableEncoding:
    """The encoding that featurize fitted for `items` or `users`."""
    path = f"{context.lake.path(f'features/encoding_{side}', context.run_id)}/encoding.json"
    return TableEncoding.from_json(json.loads(context.lake.read_text(path)))
