"""Run stages: by name, with the stages that each requires, or all in order."""

from __future__ import annotations

import json
from collections.abc import Callable

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from synthspark.errors import ConfigError, LakeError, did_you_mean
from synthspark.runs.context import Context, StageReport
from synthspark.runs.lake import STAGES
from synthspark.spark_errors import own_error
from synthspark.stages.clean import clean
from synthspark.stages.evaluate import evaluate
from synthspark.stages.featurize import featurize
from synthspark.stages.recommend import recommend
from synthspark.stages.report import report_path, write_report
from synthspark.stages.synthesize import synthesize
from synthspark.stages.train import train
from synthspark.training import check_slots

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
"""Stage -> stages that must have been published in the same run before."""
QUICK = ("clean", "featurize", "evaluate")
"""Stages of a quick look: only those that a verdict needs."""


def run_stage(
    context: Context, stage: str, resume: bool = False, function: Callable[[Context], StageReport] | None = None
) -> StageReport:
    """Run one stage and publish it.

    resume: resume training from the last checkpoint; else start over. function: runs the stage instead of the usual
    function. Raises LakeError if an earlier stage is missing or the lake cannot be written. A SynthSparkError raised
    in a Python worker is raised as such, without Spark's wrapping.
    """
    context.lake.check_writable()
    context.lake.require(context.run_id, NEEDS[stage])
    context.lake.sweep(context.run_id)
    _begin(context, resume)
    try:
        report = (function or FUNCTIONS[stage])(context)
    except (PySparkException, Py4JError) as error:
        own = own_error(error)
        if own is None:
            raise
        raise own from error
    finally:
        context.spark.catalog.clearCache()
    report.peak_bytes = context.record(stage)["peak_bytes"]
    if stage == STAGES[-1]:
        write_report(context)
    return report


def _begin(context: Context, resume: bool) -> None:
    """Record the configuration of the run; remove checkpoints of another configuration or, unless resuming, all."""
    path, now = context.lake.record_path(context.run_id, "configuration"), context.config.fingerprint()
    before = json.loads(context.lake.read_text(path))["fingerprint"] if context.lake.exists(path) else None
    if not resume or before != now:
        context.lake.delete(context.checkpoints())
    if before != now:  # not rewritten if equal: the file would be missing for a moment
        context.lake.write_text(path, json.dumps({"fingerprint": now}))


def check_resumable(context: Context) -> None:
    """Raise ConfigError if a published stage was made with another configuration or version, whose tables do not fit.

    Raises LakeError if the run does not exist.
    """
    lake, known = context.lake, context.lake.runs()
    if context.run_id not in known:
        raise LakeError(f"lake {lake.root}: there is no run {context.run_id!r} to go on with."
                        f"{did_you_mean(context.run_id, known)} `synthspark runs` lists them.")  # fmt: skip
    now = context.made_by()
    for stage, record in lake.records(context.run_id).items():
        for what, value in now.items():
            if record.get(what, value) != value:  # records of earlier versions may lack the key
                raise ConfigError(
                    f"run {context.run_id!r}: stage {stage} was published with another {what} ({record[what]}, now "
                    f"{value}). Undo the change, or start a new run by leaving out --resume and --run-id. (A single "
                    "stage, such as `synthspark evaluate`, accepts a changed configuration.)"
                )


def run_all(
    context: Context, resume: bool, before: Callable[[str], None], after: Callable[[str, StageReport | None], None],
    quick: bool = False,
) -> None:  # fmt: skip
    """Run every stage in order. With `resume`, stages that the run has published are skipped (report None).

    quick: run only the stages that a verdict needs.
    """
    if resume:
        check_resumable(context)
        context.lake.sweep(context.run_id)  # even if every stage is skipped
    if not (resume and context.lake.record(context.run_id, STAGES[-1])):
        check_slots(context.spark, context.config.train.processes)
    for stage in QUICK if quick else STAGES:
        before(stage)
        published = resume and context.lake.record(context.run_id, stage) is not None
        after(stage, None if published else run_stage(context, stage, resume))
    if not context.lake.exists(report_path(context)):  # the job stopped between the last stage and its report
        write_report(context)
    context.lake.delete(context.checkpoints())  # remain if the job was killed after publishing the last stage
