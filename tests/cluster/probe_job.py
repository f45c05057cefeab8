"""Submitted to the cluster: writes as JSON where driver, workers and processes of training have their code from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import SparkSession

from synthspark.session import build_session
from synthspark.training.launch import Launcher


def places() -> dict[str, str]:
    """Imported anew by whoever calls it: this file travels by value."""
    import torch

    import synthspark
    import synthspark_models

    code = {m.__name__: os.path.abspath(m.__file__) for m in (synthspark, synthspark_models, torch)}
    return {**code, "python": os.path.abspath(sys.executable)}


def in_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        context = TaskContext.get()
        assert context is not None
        gpus = [a for r in context.resources().values() for a in r.addresses]
        yield pa.RecordBatch.from_pydict({"found": [json.dumps({**places(), "gpus": gpus})] * batch.num_rows})


def in_child(folder: str) -> None:
    """A process of training: what it sees goes to a file, since only one rank's value comes back."""
    found = {**places(), "world": os.environ["WORLD_SIZE"], "gpu": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
    Path(folder, f"{os.environ['RANK']}.json").write_text(json.dumps(found))


def main(out: Path, launches: int) -> None:
    spark: SparkSession = build_session("probe", {})
    workers = spark.range(0, 4, 1, 4).mapInArrow(in_worker, "found string").collect()
    found = {"driver": places(), "workers": [json.loads(r.found) for r in workers]}
    for launch in range(launches):
        folder = out / f"launch-{launch}"
        folder.mkdir()
        Launcher(spark, 2, local_mode=False).run(in_child, str(folder))
    (out / "found.json").write_text(json.dumps(found))
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
