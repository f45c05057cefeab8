from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from synthspark import threads


def test_waiting_threads_sleep_whatever_is_imported_first() -> None:
    """OpenMP reads its environment when it is loaded: it must be set before LightGBM's import begins."""
    code = """
import builtins, os
seen, real = [], builtins.__import__
def spy(name, *args, **kwargs):
    if name == "lightgbm": seen.append(os.environ.get("GOMP_SPINCOUNT"))
    return real(name, *args, **kwargs)
builtins.__import__ = spy
import synthspark.judging.trees
print(seen[0])
"""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    for given, told in (({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")):
        done = subprocess.run([sys.executable, "-c", code], env={**clean, **given}, capture_output=True, text=True)
        assert done.stdout.strip() == told, done.stderr


@pytest.mark.parametrize(
    ("asked", "cores", "quota", "expected"),
    [("3", 64, "max 100000", 3), ("4,2", 64, "max 100000", 4), (None, 64, "max 100000", 16), (None, 2, "max 100000", 2),
     (None, 8, "250000 100000", 3), (None, 8, "10000 100000", 1), ("many", 8, "200000 100000", 2), (None, 8, None, 8)],
)  # fmt: skip
def test_threads_are_as_many_as_asked_for_or_as_cores_may_be_used(
    asked: str | None, cores: int, quota: str | None, expected: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(threads, "ASKED", asked)
    monkeypatch.setattr(threads, "CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert threads.num_threads() == expected
