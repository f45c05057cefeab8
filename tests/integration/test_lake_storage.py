"""A lake on a disk that is full or cannot be written: an error in one line, nothing published; and it can go on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from synthspark.config import Config, parse
from synthspark.errors import LakeError
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.runs.tables import Table
from synthspark.stages.run import run_stage

pytestmark = pytest.mark.spark
EVENTS = 4000


@pytest.fixture
def remount(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Changes the options of a small file system of its own at tmp_path/disk (permissions do not stop root)."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if made.returncode != 0:
        pytest.skip("a file system can be mounted by root only")
    yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True) and None
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    who = [f"user {i * 7919 % 1000003}" for i in range(EVENTS)]
    pd.DataFrame({"who": who, "what": [w[::-1] for w in who]}).to_parquet(tmp_path / "events.parquet")
    source = {"path": str(tmp_path / "events.parquet"), "columns": {"user_id": "who", "item_id": "what"}}
    return parse({"lake": {"root": str(tmp_path / "disk" / "lake")},
                  "source": {"events": {**source, "event_type": "purchase"}}})  # fmt: skip


def test_a_full_disk_publishes_nothing_and_the_run_goes_on_once_there_is_room(
    spark: SparkSession, config: Config, remount: Callable[[str], None], tmp_path: Path
) -> None:
    context = Context(spark, Lake(spark, config.lake.root), config, "a")
    with pytest.raises(LakeError, match="writing table clean/events failed: .*No space left on device"):
        run_stage(context, "clean")
    assert context.lake.record("a", "clean") is None
    assert not context.has(Table("clean/events"))
    assert list((tmp_path / "disk" / "lake" / "_staging").glob("a-*")) == []
    remount("size=50m")
    run_stage(context, "clean", resume=True)
    assert context.read(Table("clean/events")).count() == EVENTS


def test_a_lake_that_cannot_be_written_is_told_before_any_work(
    spark: SparkSession, config: Config, remount: Callable[[str], None]
) -> None:
    remount("ro")
    context = Context(spark, Lake(spark, config.lake.root), config, "a")
    with pytest.raises(LakeError, match="writing .*_staging/probe.* failed: .*the lake must be writable"):
        run_stage(context, "clean")
    assert context.lake.runs() == []


class OtherStore:
    """A file system that does not say that it is the local one, so that files are replaced as on HDFS."""

    def __init__(self, local: object) -> None:
        self._local = local

    def getScheme(self) -> str:
        return "hdfs"

    def __getattr__(self, name: str) -> object:
        return getattr(self._local, name)


@pytest.mark.parametrize("local", [True, False])
def test_a_replaced_file_is_the_new_one_and_nothing_is_left_beside_it(
    spark: SparkSession, tmp_path: Path, local: bool
) -> None:
    lake = Lake(spark, str(tmp_path))
    if not local:
        lake._fs = OtherStore(lake._fs)
    for text in ("one", "two: ä"):
        lake.replace_text(f"{lake.root}/current.json", text)
        assert lake.read_text(f"{lake.root}/current.json") == text
    assert {path.name for path in tmp_path.iterdir()} - {".current.json.crc"} == {"current.json"}
