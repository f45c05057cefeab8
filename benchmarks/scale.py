"""docs/scale.md: growth of the stages' time and memory with the number of events. `--millions 10 30` sets the sizes.

The head of that page (benchmarks/scale_report.py) describes the measurement. Results of other sizes are kept in
benchmarks/results/scale.json.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import torch
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scale_report import STAGES, document

from synthspark.coldstart.spaces import ROW_GROUP_BYTES
from synthspark.session import session
from synthspark.synthesis.profiles import ProfileModel, drawn_block, drawn_rows, num_blocks
from synthspark.training import loader
from synthspark.training.loader import Shard

ROOT = Path(__file__).resolve().parents[1]
SHOP = ROOT / "data" / "complete_journey"
RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
REAL = 1_469_307
TIMES = 3
COLD = 2
"""Number of warm-up repetitions of the JVM before the TIMES measured ones."""
CORES = 2
MACHINE = {"spark.master": f"local[{CORES}]", "spark.driver.memory": "4g", "spark.ui.enabled": "false"}
DRAWN_ROWS = 200_000
FEED_BATCH = 4096
PR_SET_CHILD_SUBREAPER = 36


def resampled(running: SparkSession, folder: Path, millions: float) -> int:
    """Write events and users as copies of whole households, each with its own id; return the number of events."""
    number = running.range(math.ceil(millions * 1e6 / REAL)).select(F.col("id").alias("copy"))

    def copied(name: str) -> DataFrame:
        rows = running.read.parquet(str(SHOP / f"{name}.parquet")).crossJoin(F.broadcast(number))
        named = F.concat_ws("-", F.col("household_id"), F.col("copy"))
        return rows.withColumn("household_id", named).drop("copy")

    for name in ("transactions", "households"):
        copied(name).write.mode("overwrite").parquet(str(folder / f"{name}.parquet"))
    return int(running.read.parquet(str(folder / "transactions.parquet")).count())


def configuration(folder: Path) -> Path:
    """Write the demo's configuration for the resampled shop, with few training steps and Spark's event log."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "conf" / "demo.yaml").read_text())
    data["lake"] = {"root": str(folder / "lake")}
    data["source"]["events"]["path"] = str(folder / "transactions.parquet")
    data["source"]["users"]["path"] = str(folder / "households.parquet")
    data["source"]["items"]["path"] = str(SHOP / "products.parquet")
    short = {"epochs": 1, "hyper": {"steps_per_epoch": 20}}
    for name in ("profile_items", "profile_users", "behaviour_items", "behaviour_users"):
        data["train"][name] = short
    logged = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": f"file://{folder}/log",
              "spark.eventLog.compress": "false"}  # fmt: skip
    data["spark"] = {**MACHINE, **logged}
    path = folder / "scale.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def stage(name: str, config: Path) -> dict[str, float]:
    """Run a stage in a separate process and return its time and memory."""
    log = config.parent / "log"
    shutil.rmtree(log, ignore_errors=True)
    log.mkdir()
    staying = {child.pid for child in psutil.Process().children()}
    before = reaped_cpu(staying)
    command = [sys.executable, "-m", "synthspark", name, "--config", str(config), "--run-id", "scale"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{name}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    cpu = reaped_cpu(staying) - before
    record = json.loads((config.parent / "lake" / "runs" / "scale" / f"{name}.json").read_text())
    return {"seconds": record["seconds"], "cpu_seconds": cpu, "gib": record["peak_bytes"] / 2**30} | tasks_cpu(log)


def reaped_cpu(staying: Collection[int] = ()) -> float:
    """Return CPU seconds of all ended descendants, including orphans, which this process adopts.

    Waits until all children except `staying` have ended.
    """
    while any(child.pid not in staying for child in psutil.Process().children()):
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.1)
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tasks_cpu(log: Path) -> dict[str, float]:
    """Return CPU seconds of Spark's tasks, and of the ALS tasks among them, from the event log."""
    cpu, als = 0.0, 0.0
    names: dict[int, str] = {}
    spent: dict[int, float] = {}
    for line in (line for path in sorted(log.rglob("events_*")) for line in path.open()):
        event = json.loads(line)
        if event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
            number = event["Stage ID"]
            spent[number] = spent.get(number, 0.0) + event["Task Metrics"]["Executor CPU Time"] / 1e9
        elif event["Event"] == "SparkListenerStageCompleted":
            names[event["Stage Info"]["Stage ID"]] = event["Stage Info"]["Stage Name"]
    for number, seconds in spent.items():
        cpu += seconds
        als += seconds if "ALS.scala" in names.get(number, "") else 0.0
    return {"tasks_cpu_seconds": cpu, "als_cpu_seconds": als}


def bare(running: SparkSession, folder: Path) -> dict[str, float]:
    """Measure a minimal Spark job over the events, one scan and one shuffle aggregation; return warm medians."""
    found = []
    for _ in range(COLD + TIMES):
        started, cpu = time.monotonic(), living_cpu()
        events = running.read.parquet(str(folder / "transactions.parquet"))
        sums = events.groupBy("household_id", "product_id").agg(F.sum("quantity"), F.count(F.lit(1)))
        sums.write.format("noop").mode("overwrite").save()
        found.append((time.monotonic() - started, living_cpu() - cpu))
    seconds, cpu_seconds = zip(*found[COLD:], strict=True)
    return {"seconds": statistics.median(seconds), "cpu_seconds": statistics.median(cpu_seconds)}


def living_cpu() -> float:
    """Return CPU seconds so far of this process and its living descendants."""
    own = psutil.Process()
    return sum(t.user + t.system for t in (p.cpu_times() for p in [own, *own.children(recursive=True)]))


def feed_share(folder: Path) -> dict[str, float]:
    """Compare the largest feed read by Petastorm with a bare scan of the same columns, alternating.

    The feed is repeated until it is too large to be held in memory, because only such a feed is read in every epoch. It
    has the row groups that featurize would write.
    """
    largest = max((folder / "lake" / "feeds").glob("*/run_id=scale"),
                  key=lambda p: sum(f.stat().st_size for f in p.glob("*.parquet")))  # fmt: skip
    place = folder / "large_feed"
    once = ds.dataset(str(largest), format="parquet").to_table()
    columns = once.schema.names
    copies = math.ceil((loader.HELD_BYTES + 1) / (len(once) * len(columns) * loader.BYTES_PER_VALUE))
    group = ROW_GROUP_BYTES // (4 * len(columns))
    ds.write_dataset(pa.concat_tables([once] * copies), place, format="parquet", min_rows_per_group=group,
                     max_rows_per_group=group, max_rows_per_file=group)  # fmt: skip
    scan = ds.dataset(str(place), format="parquet")
    rows = scan.count_rows()
    torch.set_num_threads(1)
    shares, speeds = [], []
    for _ in range(TIMES):
        started = time.monotonic()
        scanned = sum(len(batch) for batch in scan.to_batches(columns=columns, use_threads=False))
        bare_seconds = time.monotonic() - started
        started = time.monotonic()
        with Shard(f"file://{place}", columns, rows).batches(FEED_BATCH, 0) as batches:
            fed = sum(len(next(iter(b.values()))) for b in batches)
        seconds = time.monotonic() - started
        assert fed == scanned == rows, (fed, scanned, rows)
        shares.append(bare_seconds / seconds)
        speeds.append(rows / seconds)
    return {"rows": rows, "columns": len(columns), "copies": copies, "batch": FEED_BATCH,
            "share": statistics.median(shares), "rows_per_s": statistics.median(speeds)}  # fmt: skip


def generated(running: SparkSession, folder: Path) -> dict[str, float]:
    """Compare generation of items by Spark with a plain loop per core, both written to files, alternating."""
    model = ProfileModel.at(str(folder / "lake" / "models" / "profile_items" / "run_id=scale"))
    shares, speeds = [], []
    for _ in range(TIMES):
        started = time.monotonic()
        drawn_rows(running, model, DRAWN_ROWS, 1).write.mode("overwrite").parquet(str(folder / "drawn"))
        by_spark = time.monotonic() - started
        started = time.monotonic()
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=plain_loop, args=(model, core, folder)) for core in range(CORES)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not any(worker.exitcode for worker in workers), workers
        plain = time.monotonic() - started
        shares.append(plain / by_spark)
        speeds.append(DRAWN_ROWS / by_spark)
    return {"rows": DRAWN_ROWS, "share": statistics.median(shares), "rows_per_s": statistics.median(speeds)}


def plain_loop(model: ProfileModel, core: int, folder: Path) -> None:
    """Generate all blocks of one core, one after the other, into one file."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        blocks = (drawn_block(model, b, DRAWN_ROWS, 1) for b in range(core, num_blocks(model, DRAWN_ROWS), CORES))
        writer = None
        for block in blocks:
            writer = writer or pq.ParquetWriter(str(folder / f"plain-{core}.parquet"), block.schema)
            writer.write_batch(block)
        if writer is not None:
            writer.close()


def apart(work: Callable[[SparkSession, Path], Any], folder: Path) -> Any:
    """Run `work` in a separate session and process; both, and the JVM, have ended when it returns."""
    resource_tracker.ensure_running()  # multiprocessing's child, which stays alive
    staying = {child.pid for child in psutil.Process().children()}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(_in_session, work, folder).result()
    reaped_cpu(staying)
    return found


def _in_session(work: Callable[[SparkSession, Path], Any], folder: Path) -> Any:
    with session("scale", MACHINE) as running:
        return work(running, folder)


def measured(millions: float) -> dict[str, Any]:
    """Measure everything for one size."""
    folder = Path(tempfile.mkdtemp(prefix="synthspark-scale-", dir=os.environ.get("SCALE_TMP")))
    try:
        found: dict[str, Any] = {"events": apart(partial(resampled, millions=millions), folder)}
        found["bare"] = apart(bare, folder)
        config = configuration(folder)
        found["stages"] = {name: stage(name, config) for name in STAGES}
        found["feed"] = feed_share(folder)
        found["generator"] = apart(generated, folder)
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def adopt_orphans() -> None:
    """Make this process the parent of orphaned descendants, so that it reaps them."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def main() -> None:
    adopt_orphans()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, nargs="+", default=[10, 30, 100])
    sizes: dict[int, dict[str, Any]] = {}
    if RESULTS.exists():
        sizes = {size["events"]: size for size in json.loads(RESULTS.read_text())}
    for millions in parser.parse_args().millions:
        found = measured(millions)
        sizes[found["events"]] = found
        kept = [sizes[events] for events in sorted(sizes)]
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
        (ROOT / "docs" / "scale.md").write_text(document(kept))


if __name__ == "__main__":
    main()
