"""Submitted to the cluster: some stages of a run in one session, `stages_job.py CONFIG RUN_ID [--resume] STAGE ...`."""

from __future__ import annotations

import sys

from synthspark.config import load
from synthspark.runs.context import Context
from synthspark.runs.lake import STAGES, Lake
from synthspark.session import build_session
from synthspark.stages.run import run_stage


def main(path: str, run_id: str, *words: str) -> None:
    resume, wanted = "--resume" in words, [w for w in words if w in STAGES]
    config = load(path)
    spark = build_session("stages", config.spark)
    lake = Lake(spark, config.lake.root, config.lake.format)
    for stage in wanted:
        if not resume or lake.record(run_id, stage) is None:
            run_stage(Context(spark, lake, config, run_id), stage, resume)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
