"""Check whether each part of the stack works on this machine, by using it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from synthspark import supported


@dataclass(frozen=True)
class Finding:
    """Result of checking one part of the stack."""

    name: str
    works: bool
    words: str


def examine(config: Path | None) -> Iterator[Finding]:
    """Check every part in turn, also after a failure. config: path of a configuration whose lake is checked, too."""
    yield _tried("Python", _python)
    yield _tried("Java", lambda: supported.require_java(version("pyspark")))
    yield _tried("Spark", _spark)
    yield _tried("Petastorm", _petastorm)
    yield _tried("torch", _torch)
    yield _tried("GPU", _gpu)
    yield _tried("cell", _cell)
    if config is not None:
        yield _tried("lake", lambda: _lake(config))


def _tried(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except Exception as error:  # any error is a finding
        return Finding(name, False, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


def _python() -> str:
    supported.require_python_and_spark(version("pyspark"))
    return sys.version.split()[0]


def _cell() -> str:
    return supported.cell(version("pyspark"))


def _spark() -> str:
    from synthspark.session import session

    with session("synthspark doctor", {}) as spark:
        assert spark.range(3).count() == 3
        return f"{spark.version}, {spark.sparkContext.master}"


def _petastorm() -> str:
    import tempfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    from synthspark.training.loader import Shard

    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.table({"x": pa.array([1.0, 2.0], pa.float32())}), f"{folder}/a.parquet")
        with Shard(f"file://{folder}", ["x"], 2).batches(2, seed=0) as batches:
            assert float(next(batches)["x"].sum()) == 3.0
    return f"{version('petastorm')} (pyarrow {version('pyarrow')}), reads"


def _torch() -> str:
    import torch

    assert float(torch.ones(2, 2).sum()) == 4.0
    return f"{torch.__version__}, {torch.get_num_threads()} threads"


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none: training runs on the CPU"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"{', '.join(names)} (CUDA {torch.version.cuda})"


def _lake(path: Path) -> str:
    from synthspark.config import load
    from synthspark.runs.context import open_lake
    from synthspark.session import session

    config = load(path)
    with session("synthspark doctor", config.spark) as spark:
        lake = open_lake(spark, config)
        lake.check_writable()
        return f"{lake.root} can be written; {len(lake.runs())} runs"
