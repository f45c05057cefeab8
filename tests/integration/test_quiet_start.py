"""What a user sees when a local session starts: nothing of Spark's own, unless the start fails."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
PROGRAM = """
import sys
from synthspark.session import session
with session("quiet", {"spark.master": "local[1]", "spark.driver.memory": sys.argv[1]}) as spark:
    assert spark.range(3).count() == 3
"""


def started(memory: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, memory]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_a_start_says_nothing() -> None:
    done = started("512m")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_start_that_fails_says_why() -> None:
    done = started("1x")
    assert done.returncode != 0 and "Invalid maximum heap size" in done.stderr
