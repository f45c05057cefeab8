"""The planted shop of the pipeline's tests, as it is run on the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthspark.runs.lake import STAGES
from tests.integration.test_pipeline import settings

STAGES_JOB = Path(__file__).parent / "stages_job.py"
UP_TO_SYNTHESIZE = STAGES[:4]


def small(folder: Path, processes: int = 2) -> dict[str, Any]:
    """Few epochs, by two processes."""
    data = settings(folder)
    train = data["train"]
    train |= {"epochs": 3, "processes": processes}
    train["behaviour_users"]["epochs"] = 3
    data["evaluate"] |= {"arms": ["real", "real+synthetic"], "references": False, "profiles": False}
    return data
