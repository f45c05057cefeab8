"""Compare profile models on two real tables: `make benchmark-profiles` (more than an hour on 2 cores).

Trains each model on the two tables of `profile_tables`, generates rows with Spark, scores them with
`synthspark.likeness`, and writes docs/profiles.md and benchmarks/results/profiles.json. `--model gan` runs one model
and keeps existing results of the others. Figures of other tools come from peers.json, with their date.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import psutil
from profile_report import report
from profile_tables import Split, kinds, tables
from pyspark.sql import DataFrame, SparkSession

from synthspark.config import ProfileNetwork
from synthspark.features import encoding as encodings
from synthspark.features.encoding import EncodingLimits
from synthspark.features.feeds import spread
from synthspark.indexing import with_index
from synthspark.likeness.fidelity import fidelity
from synthspark.likeness.privacy import privacy
from synthspark.log import configure
from synthspark.newrows.feeds import split_off
from synthspark.newrows.training import add_judge, settings_by_rows
from synthspark.profiles import fitting, hierarchy
from synthspark.profiles.fitting import TokenLimits
from synthspark.session import build_session
from synthspark.sides import ITEMS
from synthspark.synthesis.generate import new_entities
from synthspark.synthesis.profiles import ProfileModel, drawn_rows
from synthspark.training import TrainingTask, train_all
from synthspark.training.artifacts import save_tokens
from synthspark.training.task import Hyper

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "profiles.json"
WORK = ROOT / "benchmarks" / "lake" / "profiles"
SEED = 0
SAMPLED = {"items": 400_000, "users": 300_000}
"""Number of rows generated to measure the speed of generation."""
EPOCHS = {"items": 8, "users": 120}
"""Training epochs of the classics."""


class Model(NamedTuple):
    """Settings of one row of the result tables."""

    network: str
    min_count: int = 1
    judged: bool = True
    hyper: Hyper = {}
    dp: dict[str, float] | None = None
    tables: tuple[str, ...] = ("items", "users")


ADVERSARIAL: Hyper = {"adversarial_weight": 0.003}
"""Ten times this weight gave a lower quality on USERS (.933) and a DCR share of .562."""
MODELS = {
    "default": Model("autoregressive"),
    "no_judge": Model("autoregressive", judged=False),
    "adversarial": Model("autoregressive", judged=False, hyper=ADVERSARIAL),
    "adversarial_judged": Model("autoregressive", hyper=ADVERSARIAL),
    "private": Model(
        "autoregressive", 5, False, dp={"noise_multiplier": 1.0, "max_grad_norm": 1.0, "delta": 1e-5}, tables=("users",)
    ),
    "protected": Model("autoregressive", min_count=5),
    "gan": Model("gan"),
    "dcgan": Model("dcgan"),
    "infogan": Model("infogan"),
    "wgan_gp": Model("wgan_gp"),
}
ENDS = ("holdout", "independent")


def main(names: Sequence[str], models: Sequence[str]) -> None:
    """Run the given tables and models and write both files."""
    configure(False)
    spark = build_session("profiles", {"spark.master": "local[2]"})
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for name, split in tables().items():
        if name not in names:
            continue
        for model in [m for m in models if m in ENDS or name in MODELS[m].tables]:
            made, measured = _ends(model, split) if model in ENDS else _made(spark, name, split, model)
            scores = _scores(spark, split, made)
            row = {"table": name, "model": model, **scores, **measured}
            rows = [r for r in rows if (r["table"], r["model"]) != (name, model)] + [row]
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    peers = json.loads((ROOT / "benchmarks" / "peers.json").read_text())
    (ROOT / "docs" / "profiles.md").write_text(report(rows, peers))
    spark.stop()


def _ends(model: str, split: Split) -> tuple[pd.DataFrame | None, dict[str, Any]]:
    """Return the rows of a reference: None for the real holdout, or columns sampled independently of each other."""
    if model == "holdout":
        return None, {}
    rng = np.random.default_rng(SEED)
    drawn = {c: split.train[c].sample(len(split.holdout), random_state=rng).to_numpy() for c in split.train.columns}
    return pd.DataFrame(drawn), {}


def _scores(spark: SparkSession, split: Split, made: pd.DataFrame | None) -> dict[str, Any]:
    train, holdout = spark.createDataFrame(split.train), spark.createDataFrame(split.holdout)
    synthetic = holdout if made is None else spark.createDataFrame(made, schema=train.schema)
    if made is not None:
        made.to_parquet(WORK / "scored.parquet")
    found = fidelity(train, holdout, synthetic, SEED).to_json()
    attacked = privacy(train, holdout, None if made is None else synthetic, SEED).to_json()
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in (found | attacked).items()}


def _made(spark: SparkSession, name: str, split: Split, model: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train a model; return as many generated rows as the holdout has, and the measured costs."""
    folder = WORK / name / model
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    before, jvm = _cpu(), _jvm_cpu()
    numbered = split.train.assign(id=np.arange(len(split.train)).astype(str))
    source = with_index(spark.createDataFrame(numbered), "id", "n")
    source.write.parquet(f"{folder}/source")
    declared = spark.read.parquet(f"{folder}/source")
    settings = MODELS[model]
    learn = _learn_default if settings.network == "autoregressive" else _learn_classic
    draw, measured = learn(spark, declared, kinds(split.train), settings, f"file://{folder}")
    measured["fit_cpu_s"] = round(_cpu() - before, 1)
    measured["fit_jvm_cpu_s"] = round(_jvm_cpu() - jvm, 1)
    measured["peak_rss_gb"] = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 2)
    draw(2000).write.mode("overwrite").parquet(f"{folder}/warm-up")
    rates = []
    for _ in range(3):
        started = time.monotonic()
        draw(SAMPLED[name]).write.mode("overwrite").parquet(f"{folder}/timed")
        rates.append(SAMPLED[name] / (time.monotonic() - started))
    measured["sample_rows_per_s"] = round(sorted(rates)[1])
    columns = [f"`{c}`" for c in split.train.columns]
    return draw(len(split.holdout)).select(*columns).toPandas().astype(_types(split.train)), measured


def _types(train: pd.DataFrame) -> dict[str, Any]:
    return {c: t for c, t in train.dtypes.items() if t.kind == "i"}


def _learn_default(
    spark: SparkSession, declared: DataFrame, of: dict[str, str], settings: Model, url: str
) -> tuple[Any, dict[str, Any]]:
    fitted, _ = fitting.fit(declared, of, TokenLimits(settings.min_count))
    fitting.encode(declared, fitted).select("id", *fitted.columns).write.parquet(f"{url}/tokens")
    tokens = spark.read.parquet(f"{url}/tokens")
    fitted, _ = hierarchy.learn(tokens, fitting.counted(tokens, fitted), [])
    learned, held = split_off(tokens, "id", tokens.count(), SEED)
    counts = {"feed": _feed(learned, f"{url}/feed"), "held": _feed(held, f"{url}/held")}
    size = settings_by_rows(ProfileNetwork(), counts["feed"])
    task = TrainingTask("profile_items", "autoregressive", f"{url}/feed", counts["feed"], fitted.columns,
                        fitted.cardinalities, [], f"{url}/model", size.epochs, size.batch_size, SEED,
                        validation_url=None if settings.dp else f"{url}/held", validation_rows=counts["held"],
                        dp=settings.dp, hyper=size.hyper | settings.hyper)  # fmt: skip
    save_tokens(f"{url}/model", fitted)
    meta = train_all(spark, [task], 1, lambda *_: None)[task.output_url]
    measured: dict[str, Any] = {"epochs": meta["history"][-1]["epoch"]}
    if meta["differential_privacy"]:
        measured["epsilon"] = round(meta["differential_privacy"]["epsilon"], 2)
    if settings.judged:
        real = tokens.select(*fitted.columns).toPandas().to_numpy(dtype=np.int64)
        found = add_judge(task, real)
        assert found is not None
        measured |= {"judge_auc": round(found.judge.auc or 0.0, 4), "accepted": round(found.rate, 3)}
    model = ProfileModel.at(task.output_url)
    return lambda count: drawn_rows(spark, model, count, SEED), measured


def _learn_classic(
    spark: SparkSession, declared: DataFrame, of: dict[str, str], settings: Model, url: str
) -> tuple[Any, dict[str, Any]]:
    table = "users" if len(of) > 10 else "items"
    bounds = EncodingLimits(min_category_count=settings.min_count)
    fitted = encodings.fit_rows(declared, of, bounds, TokenLimits().max_multi_values)
    encoded = encodings.encode(declared, fitted).select(*fitted.columns)
    rows = _feed(encoded, f"{url}/feed")
    task = TrainingTask("profile_items", settings.network, f"{url}/feed", rows, fitted.code_columns,
                        fitted.cardinalities, fitted.number_columns, f"{url}/model", EPOCHS[table],
                        512 if rows > 10_000 else 128, SEED)  # fmt: skip
    meta = train_all(spark, [task], 1, lambda *_: None)[task.output_url]

    def draw(count: int) -> DataFrame:
        return new_entities(spark, count, ITEMS, fitted, task.output_url, meta, 0, SEED)

    return draw, {"epochs": meta["history"][-1]["epoch"]}


def _feed(rows: DataFrame | None, url: str) -> int:
    assert rows is not None
    count = rows.count()
    spread(rows.drop("id", "n"), 4, count, SEED).write.parquet(url)
    return count


def _cpu() -> float:
    """Return CPU seconds of this process and of its ended children, which include training."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def _jvm_cpu() -> float:
    found = 0.0
    for child in psutil.Process().children(recursive=True):
        if "java" in child.name():
            times = child.cpu_times()
            found += times.user + times.system
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", choices=("items", "users"), action="append")
    parser.add_argument("--model", choices=(*ENDS, *MODELS), action="append")
    given = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    main(given.table or ["items", "users"], given.model or [*ENDS, *MODELS])
