"""Read one shop in randomly drawn formats and compare the results: `make benchmark-dialects SEEDS=0:500`.

Writes benchmarks/results/dialects.json after every seed and prints counts. `--only SEED` runs one and keeps its files.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from pyspark.sql import SparkSession  # noqa: E402

from synthspark.session import build_session  # noqa: E402
from tests.dialects.drawing import draw  # noqa: E402
from tests.dialects.outcome import Outcome, outcome_of  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "dialects.json"
OUTCOMES = ("right", "refused", "silent", "crashed")
SETTINGS = {
    "spark.master": "local[1]",
    "spark.driver.memory": "2g",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""Code generation is off: queries differ between seeds, and compiling them took four times as long as running them
(70 s of CPU with it, 25 s without)."""
MAX_KINDS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:500", help="FROM:TO, or comma-separated numbers")
    parser.add_argument("--only", type=int, metavar="SEED", help="run one seed and keep its files")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--resume", action="store_true", help="keep the seeds that the output already has")
    parser.add_argument("--show", action="store_true", help="only print what the output already has")
    asked = parser.parse_args()
    if asked.show:
        print(summary(json.loads(asked.output.read_text(encoding="utf-8"))))
        return
    spark = quiet_session()
    if asked.only is not None:
        folder = Path(tempfile.gettempdir()) / f"dialect-{asked.only}"
        shutil.rmtree(folder, ignore_errors=True)
        print(draw(asked.only).describe())
        print(json.dumps(asdict(one(spark, asked.only, folder)), indent=1, ensure_ascii=False))
        print(f"files, init.yaml and lake: {folder}")
    else:
        records = every(spark, seeds(asked.seeds), asked.output, asked.resume)
        print(summary(records))
    spark.stop()


def quiet_session() -> SparkSession:
    """Return one session for all seeds, without Spark's log of errors that are caught."""
    logging.getLogger().setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    spark = build_session("synthspark dialects", SETTINGS)
    spark.sparkContext.setLogLevel("OFF")
    return spark


def seeds(text: str) -> list[int]:
    """Parse seeds such as `0:500` or `3,7`."""
    first, colon, last = text.partition(":")
    return list(range(int(first), int(last))) if colon else [int(s) for s in text.split(",")]


def one(spark: SparkSession, seed: int, folder: Path) -> Outcome:
    """Return the outcome of a seed, including errors."""
    folder.mkdir(parents=True)
    try:
        return outcome_of(spark, seed, folder)
    finally:
        spark.catalog.clearCache()


def every(spark: SparkSession, chosen: Iterable[int], output: Path, resume: bool) -> list[dict[str, Any]]:
    """Run all seeds and write the results after each."""
    records: list[dict[str, Any]] = json.loads(output.read_text(encoding="utf-8")) if resume and output.exists() else []
    done = {r["seed"] for r in records}
    output.parent.mkdir(parents=True, exist_ok=True)
    for seed in (s for s in chosen if s not in done):
        with tempfile.TemporaryDirectory(prefix=f"dialect-{seed}-") as folder:
            found = one(spark, seed, Path(folder) / "shop")
        dialect = draw(seed)
        record = {**asdict(found), "dialect": dialect.describe(), "dimensions": dialect.values()}
        records.append(record)
        part = output.with_suffix(".part")
        part.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(part, output)
        shown = "; ".join(found.details)[:160]
        print(f"{seed:>5}  {found.outcome:<8} {found.stage:<8} {found.seconds:>5} s  {shown}", flush=True)
    return records


def kind_of(detail: str) -> str:
    """Return a detail without numbers, names and examples, so that equal kinds can be counted."""
    bare = re.sub(r", e\.g\. .*|, such as .*| ?\([^)]*\)|Wrapping .*", "", detail)
    bare = re.sub(r"'[^']*'|`[^`]*`|\"[^\"]*\"", "…", bare)
    return re.sub(r"\d+", "N", bare)[:110]


def summary(records: list[dict[str, Any]]) -> str:
    """Return counts by outcome, by kind of detail, and by value of each dimension."""
    counts = Counter(r["outcome"] for r in records)
    possible = [r for r in records if r["impossible"] is None]
    right = sum(r["outcome"] == "right" for r in possible)
    lines = [f"{len(records)} seeds: " + ", ".join(f"{counts[o]} {o}" for o in OUTCOMES)]
    lines.append(f"{right} of the {len(possible)} that can be read are right ({right / max(1, len(possible)):.0%})")
    for outcome in OUTCOMES[1:]:
        kinds = Counter(
            f"{r['stage']}: {k}" for r in records if r["outcome"] == outcome for k in set(map(kind_of, r["details"]))
        )
        lines += ["", f"{outcome}:", *(f"{n:>5}  {kind}" for kind, n in kinds.most_common(MAX_KINDS))]
    left_out = Counter(name for r in records for name in r["left_out"])
    lines += ["", "left out with a reason: " + ", ".join(f"{n} ({c})" for n, c in left_out.most_common())]
    lines += ["", f"{'':<40}" + "".join(f"{o:>9}" for o in OUTCOMES), *by_dimension(records)]
    return "\n".join(lines)


def by_dimension(records: list[dict[str, Any]]) -> list[str]:
    """Return one line per value of each dimension with its counts by outcome."""
    table: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for record in records:
        for name, value in record["dimensions"].items():
            table[name][value][record["outcome"]] += 1
    lines = []
    for name, values in table.items():
        lines.append(name)
        for value, found in sorted(values.items()):
            lines.append(f"    {value:<36}" + "".join(f"{found[o]:>9}" for o in OUTCOMES))
    return lines


if __name__ == "__main__":
    main()
