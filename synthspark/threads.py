"""Set the number of OpenMP threads, and let waiting threads sleep soon.

Imports only the standard library, because the settings must be made before torch or LightGBM load OpenMP.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

SPIN = {"GOMP_SPINCOUNT": "1000"}
"""Number of rounds that a thread spins before it sleeps. With the default and other work on the same cores, LightGBM
took 42 minutes instead of seconds, and a training step 2 s."""
MAX_THREADS = 16
"""Maximum number of threads; more of them wait for each other longer than they save."""
ASKED = os.environ.get("OMP_NUM_THREADS")
"""Value set by the user; if unset, `session.build_session` sets it to 1 for the Python workers."""
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""CPU quota of a container (cgroup v2): microseconds of CPU per period (or "max"), and the period."""


def sleep_soon() -> None:
    """Set SPIN in the environment unless already set; has no effect on libraries that are already loaded."""
    for name, value in SPIN.items():
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault(name, value)


def num_threads() -> int:
    """Return OMP_NUM_THREADS if the user set it, else the number of usable cores, at most MAX_THREADS."""
    first = (ASKED or "").partition(",")[0].strip()  # a list is one number per level of nesting
    if first.isdigit() and int(first) > 0:
        return int(first)
    return max(1, min(len(os.sched_getaffinity(0)), _quota(), MAX_THREADS))


def _quota() -> int:
    """Return the number of cores in the container's quota; MAX_THREADS without a quota."""
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return MAX_THREADS
