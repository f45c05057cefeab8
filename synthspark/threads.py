"""Threads of OpenMP: how many of them, and that those that wait sleep soon.

Imports nothing but the standard library: what is set here must be set before torch or LightGBM load their OpenMP.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

SPIN = {"GOMP_SPINCOUNT": "1000"}
"""Rounds that a thread spins before it sleeps: with the default, beside other work on the same cores, LightGBM took 42
minutes for what takes it seconds, and a step of training 2 s."""
MAX_THREADS = 16
"""More of them wait for each other longer than they save."""
ASKED = os.environ.get("OMP_NUM_THREADS")
"""As the user has set it: `session.build_session` sets it to 1 where they have not, for the Python workers."""
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Of a container (cgroup v2): microseconds of CPU per period, or max, and the period."""


def sleep_soon() -> None:
    """Set SPIN in the environment unless it says something else; in vain for libraries that are loaded already."""
    for name, value in SPIN.items():
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault(name, value)


def num_threads() -> int:
    """OMP_NUM_THREADS where the user has set it, else the cores that this process may use, at most MAX_THREADS."""
    first = (ASKED or "").partition(",")[0].strip()  # a list is one number per level of nesting
    if first.isdigit() and int(first) > 0:
        return int(first)
    return max(1, min(len(os.sched_getaffinity(0)), _quota(), MAX_THREADS))


def _quota() -> int:
    """Cores that the container may use in all; MAX_THREADS where nothing says so."""
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return MAX_THREADS
