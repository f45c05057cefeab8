"""The whole job on the planted shop, and a hash of the values of every table that it wrote.

Run as `python -m tests.cells.tiny_job FOLDER OUT.json` in each environment of the test matrix (scripts/matrix.py): the
hashes must be equal, whatever the versions of Spark, pyarrow, numpy, pandas and torch.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import __version__ as spark_version

from synthspark.config import parse
from synthspark.runs.context import Context
from synthspark.runs.lake import Lake
from synthspark.session import session
from synthspark.stages.report import write_report
from synthspark.stages.run import run_all
from synthspark.supported import cell
from tests.conftest import INTERPRETED
from tests.integration.test_pipeline import settings, write_shop

RUN = "cell"
SMALL = {"spark.sql.shuffle.partitions": "2", "spark.default.parallelism": "2"}
TIMES = ("seconds", "began", "ended")
"""Parts of names in metrics.json whose values are times of the clock."""


def main(folder: Path, out: Path) -> None:
    """Run from clean to the report in `folder`, and write the hashes to `out`."""
    folder.mkdir(parents=True)
    write_shop(folder)
    config = parse(_long_vectors(settings(folder)))
    with session("synthspark-cell", {"spark.master": "local[2]", **SMALL, **INTERPRETED}) as spark:
        context = Context(spark, Lake(spark, config.lake.root), config, RUN)
        run_all(context, False, lambda _: None, lambda *_: None)
        write_report(context)
    hashes = dict(sorted(_hashes(Path(config.lake.root))))
    out.write_text(json.dumps({"cell": cell(spark_version), "hashes": hashes}, indent=1))


def _long_vectors(data: dict[str, Any]) -> dict[str, Any]:
    """ALS of a usual rank: sums of a few numbers only come out the same whatever code adds them up."""
    data["features"]["factor_rank"] = data["recommend"]["rank"] = 24
    return data


def _hashes(lake: Path) -> Iterator[tuple[str, str]]:
    metrics = _untimed(json.loads((lake / "reports" / RUN / "metrics.json").read_text()))
    yield "metrics.json", _hash([repr(metrics)])
    for run in sorted(lake.rglob(f"run_id={RUN}")):
        name = str(run.parent.relative_to(lake))
        if files := sorted(run.rglob("*.parquet")):
            yield name, _hash(_rows(files))
        for weights in sorted(run.rglob("*.safetensors")):
            yield str(weights.relative_to(lake)), _hash([weights.read_bytes().hex()])


def _rows(files: list[Path]) -> list[str]:
    """Every row as text, in an order of their own: neither files nor row groups matter."""
    table = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
    names = sorted(table.column_names)
    columns = {name: _plain(table.column(name)).to_pylist() for name in names}
    return [repr(names), *sorted(repr(row) for row in zip(*columns.values(), strict=True))]


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Instants as microseconds: how Python shows a zone depends on the version of pyarrow."""
    return column.cast(pa.timestamp("us")).cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _untimed(v) for k, v in sorted(value.items()) if not any(part in k for part in TIMES)}
    return [_untimed(each) for each in value] if isinstance(value, list) else value


def _hash(rows: list[str]) -> str:
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
