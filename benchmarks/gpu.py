"""Train the demo's four generators on a GPU and on the same machine's CPU: `make benchmark-gpu`, after `make demo`.

`--prepare FOLDER` copies the training inputs of the last run in ./lake into a folder: feeds, factors, tokens, and the
tasks as JSON. `--folder FOLDER` trains them without Spark or a lake, and writes docs/gpu.md and
benchmarks/results/gpu.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")
import torch  # noqa: E402

from synthspark.training.loop import reproducibly, train  # noqa: E402
from synthspark.training.task import Hyper, TrainingTask  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
PLACES = ("feed_url", "validation_url", "counterpart_url")
LARGE, COPIES, EPOCHS = 4096, 16, 3
"""Rows per step and feed copies of some variants; epochs of all (few, since only speed is measured)."""
VARIANTS: dict[str, tuple[str, Hyper, int, int]] = {
    "profile_items, adversarial": ("profile_items", {"adversarial_weight": 0.003}, 0, 1),
    "behaviour_items, adversarial": ("behaviour_items", {"adversarial_weight": 0.01}, 0, 1),
    f"profile_items, steps of {LARGE}": ("profile_items", {}, LARGE, 1),
    f"behaviour_items, steps of {LARGE}": ("behaviour_items", {}, LARGE, 1),
    f"behaviour_items {COPIES} times, steps of {LARGE}": ("behaviour_items", {}, LARGE, COPIES),
}
"""Variant -> (task, further settings, rows per step (0: as configured), number of feed copies)."""


def prepare(folder: Path, config_path: Path) -> None:
    """Copy everything that training reads to `folder`."""
    from synthspark.coldstart.evidence import published
    from synthspark.config import load
    from synthspark.runs.context import Context, StageReport
    from synthspark.runs.lake import Lake
    from synthspark.session import session
    from synthspark.stages.train import make_tasks

    config = load(config_path)
    with session("gpu", config.spark) as running:
        lake = Lake(running, config.lake.root, config.lake.format)
        context = Context(running, lake, config, lake.latest_run("train"))
        profiles, behaviours = make_tasks(context, published(context), StageReport())
        tasks = [*profiles.values(), *behaviours.values()]
        kept = []
        for task in tasks:
            places = {place: url for place in PLACES if (url := getattr(task, place)) is not None}
            for place, url in places.items():
                shutil.copytree(url.removeprefix("file://"), folder / task.name / place)
            tokens = Path(task.output_url.removeprefix("file://")) / "tokens.json"
            if tokens.exists():
                shutil.copy(tokens, folder / task.name)
            kept.append(replace(task, output_url="", **dict.fromkeys(places, "")).to_json())
        lake.delete(context.checkpoints())
    (folder / "tasks.json").write_text(json.dumps(kept))


def tasks_of(folder: Path) -> Iterator[tuple[str, TrainingTask]]:
    """Yield the configured tasks, then the variants; an empty URL refers to the folder."""
    found = {}
    for task in map(TrainingTask.from_json, json.loads((folder / "tasks.json").read_text())):
        places = {place: f"file://{folder}/{task.name}/{place}" for place in PLACES if getattr(task, place) == ""}
        found[task.name] = replace(task, epochs=EPOCHS, **places)
    yield from found.items()
    for name, (of, hyper, batch, copies) in VARIANTS.items():
        task = replace(found[of], hyper=found[of].hyper | hyper)
        if batch:
            task = replace(task, batch_size=batch)
        if copies > 1:
            task = replace(task, feed_url=repeated(folder, task, copies), num_rows=task.num_rows * copies)
        yield name, task


def repeated(folder: Path, task: TrainingTask, copies: int) -> str:
    """Copy the feed's files several times, so that it is too large to be held in memory; return its URL."""
    place = folder / task.name / "repeated"
    place.mkdir(exist_ok=True)
    for file in sorted(Path(task.feed_url.removeprefix("file://")).glob("*.parquet")):
        for copy in range(copies):
            shutil.copy(file, place / f"{copy}-{file.name}")
    return f"file://{place}"


def trained(folder: Path, task: TrainingTask, device: str) -> dict[str, Any]:
    """Train once; return means over all epochs but the first, which allocates memory and selects kernels."""
    with tempfile.TemporaryDirectory() as output:
        tokens = folder / task.name / "tokens.json"
        if tokens.exists():
            shutil.copy(tokens, output)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        train(replace(task, device=device, output_url=f"file://{output}"))
        meta = json.loads((Path(output) / "model.json").read_text())
    rest = meta["history"][1:] or meta["history"]
    middle = {k: statistics.mean(r[k] for r in rest) for k in ("seconds", "rows_per_second", "waiting_share")}
    losses = [r["validation_loss"] for r in meta["history"] if "validation_loss" in r]
    loss = min(losses) if losses else meta["history"][-1]["generator_loss"]
    memory = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else None
    return {"device": device, "rows": task.num_rows, "batch": task.batch_size, "epochs": task.epochs, **middle,
            "loss": loss, "gpu_mib": memory, "sha256": meta["sha256"]}  # fmt: skip


def main(folder: Path, devices: list[str]) -> None:
    """Train every task on each device, twice on a GPU, and write both files."""
    reproducibly()
    rows = []
    for name, task in tasks_of(folder):
        for device in devices:
            found = {"task": name, **trained(folder, task, device)}
            if device == "cuda":
                found["same_twice"] = trained(folder, task, device)["sha256"] == found["sha256"]
            rows.append(found)
            gpu = torch.cuda.get_device_name() if "cuda" in devices else None
            result = {"gpu": gpu, "torch": torch.__version__, "python": platform.python_version(),
                      "threads": torch.get_num_threads(), "rows": rows}  # fmt: skip
            RESULTS.write_text(json.dumps(result, indent=1) + "\n")
            (ROOT / "docs" / "gpu.md").write_text(document(result))


def document(result: dict[str, Any]) -> str:
    """Return docs/gpu.md."""
    head = ["generator", "rows", "rows per step", "device", "s per epoch", "rows/s", "waited for data", "loss",
            "GPU memory, MiB", "same weights twice"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for r in result["rows"]:
        twice = {True: "yes", False: "NO", None: ""}[r.get("same_twice")]
        memory = "" if r["gpu_mib"] is None else f"{r['gpu_mib']:.0f}"
        lines.append(f"| {r['task']} | {r['rows']:,} | {r['batch']} | {r['device']} | {r['seconds']:.3f} | "
                     f"{r['rows_per_second']:,.0f} | {r['waiting_share']:.3f} | {r['loss']:.4f} | {memory} | "
                     f"{twice} |")  # fmt: skip
    gains = ", ".join(f"{name}: {gain:.1f}" for name, gain in gained(result["rows"]).items())
    return "\n\n".join([
        "# On a GPU",
        f"Written by `make benchmark-gpu`: the demo's four generators trained on {result['gpu']} and on the CPU of the "
        f"same machine ({result['threads']} threads), torch {result['torch']}, Python {result['python']}, each in one "
        f"process, fed by Petastorm, {EPOCHS} epochs. Figures are means over all epochs but the first. The loss is the "
        "best validation loss; for behaviour, the loss of the last epoch.",
        "\n".join(lines),
        f"Ratio of rows per second, GPU to CPU: {gains}. These networks are small: at the steps of 256 rows that suit "
        "a small shop, a GPU waits for the processor that launches its kernels. Use larger steps "
        f"(`train.behaviour_items.batch_size: {LARGE}`) and more epochs, since each then has fewer steps. A feed of "
        "more than 256 MiB is read again for each epoch, and large steps then wait for it, as the last lines show.",
        "`make test-gpu` verifies, for every network with and without its adversarial part: the same seed gives the "
        "same bytes on the GPU, even if training is killed at any of its writes and resumed; two processes share one "
        "GPU; the CPU's loss is reached; the generator can be read without a GPU. It passed on an H200, 2026-11-26. "
        "Not tested on GPUs: Spark's assignment of processes to GPUs (tested with made-up addresses only), and several "
        "GPUs, which would reduce gradients by NCCL.",
    ]) + "\n"  # fmt: skip


def gained(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the ratio of the GPU's rows per second to the CPU's, per generator."""
    speed = {(r["task"], r["device"]): r["rows_per_second"] for r in rows}
    return {r["task"]: speed[r["task"], "cuda"] / speed[r["task"], "cpu"] for r in rows
            if r["device"] == "cpu" and (r["task"], "cuda") in speed}  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "conf" / "demo.yaml")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--devices", nargs="+", default=["cuda", "cpu"])
    parser.add_argument("--document", action="store_true", help="write docs/gpu.md from existing results")
    given = parser.parse_args()
    if given.prepare is not None:
        prepare(given.prepare.resolve(), given.config)
    if given.folder is not None:
        main(given.folder.resolve(), given.devices)
    if given.document:
        (ROOT / "docs" / "gpu.md").write_text(document(json.loads(RESULTS.read_text())))
