"""The stages by name, what each needs, and the whole job in order."""

from __future__ import annotations

import json
from collections.abc import Callable

from synthspark.errors import ConfigError
from synthspark.lake import STAGES
from synthspark.pipeline.clean import clean
from synthspark.pipeline.context import Context, StageReport
from synthspark.pipeline.evaluate import evaluate
from synthspark.pipeline.featurize import featurize
from synthspark.pipeline.recommend import recommend
from synthspark.pipeline.report import report_path, write_report
from synthspark.pipeline.synthesize import synthesize
from synthspark.pipeline.train import checkpoints, train

FUNCTIONS: dict[str, Callable[[Context], StageReport]] = {
    "clean": clean,
    "featurize": featurize,
    "train": train,
    "synthesize": synthesize,
    "recommend": recommend,
    "evaluate": evaluate,
}

NEEDS: dict[str, tuple[str, ...]] = {
    "clean": (),
    "featurize": ("clean",),
    "train": ("clean", "featurize"),
    "synthesize": ("clean", "featurize", "train"),
    "recommend": ("clean", "featurize", "synthesize"),
    "evaluate": ("clean", "featurize"),
}
"""Stages that must have been published in the same run before."""


def run_stage(context: Context, stage: str, resume: bool = False) -> StageReport:
    """Run one stage and publish it. Raises LakeError if an earlier stage is missing, or the lake cannot be written.

    With `resume`, training goes on after its last checkpoint; without, it starts over.
    """
    context.lake.check_writable()
    context.lake.require(context.run_id, NEEDS[stage])
    _same_configuration(context, resume)
    if resume:
        context.lake.sweep(context.run_id)
    else:
        context.lake.delete(checkpoints(context))
    try:
        report = FUNCTIONS[stage](context)
    finally:
        context.spark.catalog.clearCache()
    report.peak_bytes = context.record(stage)["peak_bytes"]
    if stage == STAGES[-1]:
        write_report(context)
    return report


def _same_configuration(context: Context, resume: bool) -> None:
    """A run that goes on must be configured as it began: its tables would not fit together. Raises ConfigError."""
    path, now = context.lake.record_path(context.run_id, "configuration"), context.config.fingerprint()
    began = json.loads(context.lake.read_text(path))["fingerprint"] if context.lake.exists(path) else None
    if began == now:  # not written again: there would be a moment without it
        return
    if resume and began is not None:
        raise ConfigError(
            f"run {context.run_id!r} began with another configuration (fingerprint {began}, now {now}): undo the "
            "change, or start a new run by leaving out --resume and --run-id"
        )
    context.lake.write_text(path, json.dumps({"fingerprint": now}))


def run_all(
    context: Context, resume: bool, before: Callable[[str], None], after: Callable[[str, StageReport | None], None]
) -> None:
    """Every stage in order. With `resume`, those that this run has published are skipped (their report is None)."""
    if resume:  # here, too: where all is published no stage would
        context.lake.sweep(context.run_id)
    for stage in STAGES:
        before(stage)
        published = resume and context.lake.record(context.run_id, stage) is not None
        after(stage, None if published else run_stage(context, stage, resume))
    if not context.lake.exists(report_path(context)):  # stopped between the last stage and its report
        write_report(context)
    context.lake.delete(checkpoints(context))  # there still if the last stage was killed as soon as it was published
