"""Epochs to reach the same quality with and without a pretrained model: docs/transfer.md (about 3 minutes).

Source: ITEMS of `profile_tables` in all departments but one. Target: a few hundred to a few thousand rows of that
department. Both trainings use the same rows, batches and masks; only the initial weights differ.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from profile_tables import kinds, tables
from pyspark.sql import SparkSession

from synthspark.config import ProfileNetwork
from synthspark.newrows.training import settings_by_rows
from synthspark.profiles import fitting
from synthspark.profiles.fitting import TokenLimits
from synthspark.session import build_session
from synthspark.training import TrainingTask
from synthspark.training.artifacts import save_generator, save_tokens
from synthspark.training.autoregressive import AutoregressiveTrainer

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "benchmarks" / "lake" / "transfer"
TARGET = "DRUG GM"
ROWS = (300, 1000, 3000)
SOURCE_EPOCHS = 6
HYPER: dict[str, float | int | str | bool] = {"hidden": 160, "layers": 3, "dropout": 0.25}


def main() -> None:
    """Train on the source once, then on each size of the target twice, and write the page."""
    shutil.rmtree(WORK, ignore_errors=True)
    spark = build_session("transfer", {"spark.master": "local[2]"})
    items = tables()["items"].train
    source = items[items.department != TARGET]
    source_url = f"file://{WORK}/source"
    _train(spark, source, source_url, SOURCE_EPOCHS, None)
    target = items[items.department == TARGET].sample(frac=1.0, random_state=0)
    lines = []
    for rows in ROWS:
        size = settings_by_rows(ProfileNetwork(), rows)
        losses = [_train(spark, target[:rows], f"file://{WORK}/{rows}-{bool(start)}", size.epochs, start)
                  for start in (None, source_url)]  # fmt: skip
        lines.append(_line(rows, *losses))
    spark.stop()
    (ROOT / "docs" / "transfer.md").write_text(_page(len(source), lines))


def _train(spark: SparkSession, table: pd.DataFrame, url: str, epochs: int, start: str | None) -> list[float]:
    """Train and return the validation loss after each epoch, on a tenth of the rows that is not learned from."""
    declared = spark.createDataFrame(table)
    fitted, _ = fitting.fit(declared, kinds(table), TokenLimits())
    tokens = fitting.encode(declared, fitted).select(*fitted.columns)
    fitted = fitting.counted(tokens, fitted)
    codes = torch.from_numpy(tokens.toPandas().to_numpy(dtype=np.int64))
    codes = codes[torch.from_numpy(np.random.default_rng(0).permutation(len(codes)))]
    held, learned = codes[: len(codes) // 10], codes[len(codes) // 10 :]
    save_tokens(url, fitted)
    batch = settings_by_rows(ProfileNetwork(), len(learned)).batch_size
    task = TrainingTask("profile_items", "autoregressive", "", len(learned), fitted.columns, fitted.cardinalities, [],
                        url, epochs, batch, init_from=start, hyper=HYPER)  # fmt: skip
    torch.manual_seed(0)
    trainer = AutoregressiveTrainer(task, torch.device("cpu"))
    steps = max(1, len(learned) // batch)
    trainer.start(0, steps)
    trainer.network.train()
    losses: list[float] = []
    for epoch in range(epochs):
        torch.manual_seed(epoch)
        order = torch.randperm(len(learned))
        for step in range(steps):
            trainer.step(_batch(learned[order[step * batch : (step + 1) * batch]], fitted.columns))
        losses.append(trainer.validate([_batch(held, fitted.columns)], 1))
        if losses[-1] == min(losses):
            trainer.keep()
    save_generator(task, trainer.generator, [])
    return losses


def _batch(rows: torch.Tensor, columns: list[str]) -> dict[str, torch.Tensor]:
    return {c: rows[:, j] for j, c in enumerate(columns)}


def _line(rows: int, alone: list[float], started: list[float]) -> dict[str, Any]:
    best = min(alone)
    reached = next((i + 1 for i, loss in enumerate(started) if loss <= best), None)
    return {"rows": rows, "alone": best, "alone_epochs": alone.index(best) + 1, "started": min(started),
            "reached": reached, "first": (alone[0], started[0])}  # fmt: skip


def _page(source_rows: int, lines: list[dict[str, Any]]) -> str:
    table = "\n".join(
        f"| {x['rows']:,} | {x['alone']:.3f} ({x['alone_epochs']}) | {x['started']:.3f} | {x['reached'] or 'never'} | "
        f"{x['first'][0]:.3f} / {x['first'][1]:.3f} |"
        for x in lines
    )
    return (
        "# Starting from another model\n\n"
        "Written by `benchmarks/transfer.py`. `train.profile_items.init_from` names a model trained on "
        f"{source_rows:,} items of all departments but {TARGET}; training continues on rows of {TARGET} only "
        "(*started*) and is compared with training on these rows without it (*alone*). The loss is measured on a tenth "
        "of the rows that is not learned from (nats per column, one seed); the best epoch is in brackets.\n\n"
        "| rows | best loss alone | best loss started | epochs until it is as good as the best alone | loss after the "
        "first epoch, alone / started |\n|---|---|---|---|---|\n" + table + "\n"
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
