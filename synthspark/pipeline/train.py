"""Stage train: the four generators from the feeds, and the judge of what they propose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import functions as F

from synthspark.config import Network
from synthspark.errors import ConfigError, TrainingError, did_you_mean
from synthspark.features.encoding import TableEncoding
from synthspark.features.feeds import factors_in, positive_columns
from synthspark.lake import Publication
from synthspark.pipeline.audience import ALS_SPACE, ITEM_SPACE, published_shop
from synthspark.pipeline.card import write_card
from synthspark.pipeline.context import Context, StageReport, read_encoding
from synthspark.pipeline.judge import train_judge
from synthspark.pipeline.profiles import AUTOREGRESSIVE, configured, read_tokens, suited, train_profile_judge
from synthspark.training import TrainingTask, train_all
from synthspark.training.artifacts import save_tokens
from synthspark.training.private import check
from synthspark.training.storage import portable
from synthspark.training.task import DEFAULTS

ROLES = ("profile_items", "profile_users", "behaviour_items", "behaviour_users")
JUDGE = "judge_items"
SMALLEST_FEED = 8
"""Rows below which nothing can be learned."""


def train(context: Context) -> StageReport:
    """Publish models/<name> for each generator that the data allows; says which it does without."""
    report = StageReport()
    with context.publication("train") as staged:
        work, tasks = checkpoints(context), make_tasks(context, report)
        if not tasks:
            raise TrainingError("nothing can be trained: neither items nor users have an attribute to learn from")
        trained = train_all(context.spark, tasks, context.config.train.processes, context.on_epoch)
        metas = {t.name: trained[t.output_url] for t in tasks}
        for task in tasks:
            if task.network == AUTOREGRESSIVE:
                train_profile_judge(context, task, task.name.partition("_")[2], report)
            write_card(context, task, metas[task.name])
        for name, meta in metas.items():
            staged.copy_in(f"{work}/{name}", f"models/{name}")
            report.details[name] = {k: meta[k] for k in ("sha256", "network")}
            last = meta["history"][-1]
            shown = ", ".join(f"{k.removesuffix('_loss')} {v:.3f}" for k, v in last.items() if k.endswith("_loss"))
            report.notes.append(f"{name} ({meta['network']}): {shown} after {last['epoch']} epochs")
        if "behaviour_items" in metas and context.config.judge.enabled:
            _judge(context, staged, f"{work}/behaviour_items", metas["behaviour_items"], report)
        report.rows_in = sum(t.num_rows for t in tasks)
        report.rows_out = len(tasks)
        staged.details.update(report.to_json())
    context.lake.delete(work)
    return report


def make_tasks(context: Context, report: StageReport) -> list[TrainingTask]:
    """One task per generator that the data allows; the report says which it does without."""
    rows, work = context.record("featurize")["rows"], checkpoints(context)
    tasks = []
    for name in ROLES:
        side = name.partition("_")[2]
        encoding = read_encoding(context, side)
        feed = f"feeds/{name}"
        if not encoding.encoders and name != "behaviour_users":  # what users did may say enough
            report.notes.append(f"{name} is not trained: {side} have no attribute to learn from")
        elif _default(context, name) and not read_tokens(context, side).tokens:
            report.notes.append(f"{name} is not trained: {side} have no attribute that could be generated")
        elif rows.get(feed, 0) < SMALLEST_FEED:
            report.notes.append(f"{name} is not trained: its feed has {rows.get(feed, 0)} rows")
        elif _default(context, name):
            tasks.append(_profile_task(context, side, context.lake.path(feed, context.run_id), rows, f"{work}/{name}"))
        else:
            url = context.lake.path(feed, context.run_id)
            space = ITEM_SPACE if name == "behaviour_items" else ALS_SPACE
            other = context.lake.path(f"{space}/{other_side(side)}", context.run_id)
            own = context.lake.path(f"{space}/{side}", context.run_id)
            tasks.append(make_task(context, name, encoding, url, rows[feed], own, other, f"{work}/{name}"))
    return tasks


def _default(context: Context, name: str) -> bool:
    """Whether a generator is the default one of profiles."""
    return name.startswith("profile") and configured(context, name.partition("_")[2]).network == AUTOREGRESSIVE


def _judge(context: Context, staged: Publication, model_url: str, meta: dict[str, Any], report: StageReport) -> None:
    """Train the judge and stage models/judge_items, or say why there is none."""
    folder = f"{checkpoints(context)}/{JUDGE}"
    items = context.read("features/items", feed=True)
    cold = items.where(F.col("breadth") < context.config.features.min_item_users)
    shop = published_shop(context)
    shop = replace(shop, pairs=staged.keep("judge/pairs", shop.pairs))  # read a dozen times
    found = train_judge(context, staged, shop, model_url, meta, folder, cold)
    if found is None:
        report.notes.append(f"{JUDGE} is not trained: its fold of the warm items is too small (judge.min_fold_items); "
                            "the generator's own ranking decides")  # fmt: skip
        return
    staged.copy_in(folder, f"models/{JUDGE}")
    report.details[JUDGE] = {k: found[k] for k in ("model", "sha256", "auc", "num_pairs", "placing", "trials")}
    held_out = "too few items to hold some out" if found["auc"] is None else f"AUC {found['auc']:.3f} on held-out items"
    report.notes.append(f"{JUDGE} ({found['model']}): {held_out}, from {found['num_pairs']:,} pairs; "
                        f"budget {found['placing']['budget']:g}, weight {found['placing']['weight']:g}")  # fmt: skip


def checkpoints(context: Context) -> str:
    """Where this run's training goes on after a crash; not part of what is published."""
    return f"{context.lake.root}/_checkpoints/{context.run_id}"


def other_side(side: str) -> str:
    """`items` -> `users` and back."""
    return "users" if side == "items" else "items"


def _factors(context: Context, path: str) -> tuple[list[str], float]:
    """The factor columns of a table, and the root mean square over all of them."""
    table = context.spark.read.parquet(path)
    columns = factors_in(table.columns)
    squares = sum((F.col(c) * F.col(c) for c in columns), F.lit(0.0))
    scale = float((table.agg(F.avg(squares)).collect()[0][0] / len(columns)) ** 0.5)
    return columns, scale if scale > 0 else 1.0


def _known_settings(name: str, network: Network) -> None:
    for key in network.hyper:
        known = DEFAULTS[network.network]
        if key not in known:
            raise ConfigError(f"train.{name}.hyper: key {key!r} does not exist.{did_you_mean(key, known)} "
                              f"Known: {', '.join(sorted(known))}.")  # fmt: skip


def _profile_task(context: Context, side: str, feed: str, rows: Mapping[str, int], output: str) -> TrainingTask:
    """The task of the default profile generator, which takes tokens and stops by rows that it does not learn from."""
    name, validation = f"profile_{side}", f"feeds/profile_{side}_validation"
    network, tokens = configured(context, side), read_tokens(context, side)
    _known_settings(name, network)
    size = suited(network, rows[f"feeds/{name}"])
    validated = rows.get(validation, 0) if network.dp is None else 0  # which epoch is best, they must not tell
    task = TrainingTask(
        name=name,
        network=network.network,
        feed_url=portable(feed),
        num_rows=rows[f"feeds/{name}"],
        code_columns=tokens.columns,
        cardinalities=tokens.cardinalities,
        number_columns=[],
        output_url=portable(output),
        epochs=size.epochs,
        batch_size=size.batch_size,
        seed=context.config.seed,
        device=context.config.train.device,
        validation_url=portable(context.lake.path(validation, context.run_id)) if validated else None,
        validation_rows=validated,
        init_from=portable(network.init_from) if network.init_from else None,
        dp=network.dp.model_dump() if network.dp is not None else None,
        hyper={**size.hyper, **network.hyper},
    )
    if task.dp is not None:
        check(task, context.config.train.processes)
    save_tokens(task.output_url, tokens)
    return task


def make_task(
    context: Context, name: str, encoding: TableEncoding, feed: str, rows: int, own: str, counterpart: str, output: str,
    hyper: Mapping[str, float | int | str | bool] | None = None,
) -> TrainingTask:  # fmt: skip
    """The task of one generator as configured; own, counterpart: its factor table and that of the other side.

    hyper: settings instead of the configured ones.
    """
    config = context.config.train
    network: Network = getattr(config, name)
    behaviour = name.startswith("behaviour")
    if behaviour != (network.network == "behaviour"):
        kind = "behaviour" if behaviour else "profile"
        raise ConfigError(f"train.{name}.network: {network.network!r} is not a network for {kind}s")
    _known_settings(name, network)
    factors, scale = _factors(context, own) if behaviour else ([], 1.0)
    return TrainingTask(
        name=name,
        network=network.network,
        feed_url=portable(feed),
        num_rows=rows,
        code_columns=encoding.code_columns,
        cardinalities=encoding.cardinalities,
        number_columns=encoding.number_columns,
        output_url=portable(output),
        epochs=network.epochs or config.epochs,
        batch_size=network.batch_size or config.batch_size,
        seed=context.config.seed,
        device=config.device,
        factor_columns=factors,
        factor_scale=scale,
        activity_column="log_activity" if behaviour else None,
        positive_columns=positive_columns(context.config.features.positives) if behaviour else [],
        counterpart_url=portable(counterpart) if behaviour else None,
        hyper={**network.hyper, **(hyper or {})},
    )
