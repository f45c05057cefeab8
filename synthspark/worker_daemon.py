"""Start of Spark's Python workers in local mode: pyspark's daemon, without what makes each task and worker slow.

Spark puts its core jar and pyspark.zip on the path of its Python workers. Python reads their lists of files again for
every task (`importlib.invalidate_caches`): 35 of 55 CPU seconds of the workers of a small job. pyspark is installed
beside this package in local mode, so that neither is needed. The libraries that workers use are imported before they
are forked, instead of once in each.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.util import find_spec

ARCHIVES = re.compile(r"(.*/)?(spark-core_.*\.jar|pyspark\.zip|py4j-.*-src\.zip)")
"""Paths that Spark adds for itself; a user's archives stay, also jars of Spark packages that contain Python."""
LIBRARIES = ("pandas", "pyarrow", "torch", "lightgbm")


def leave_out_archives() -> None:
    """Remove Spark's archives from the path, unless pyspark is nowhere else; call it before pyspark is imported."""
    before = list(sys.path)
    sys.path[:] = [path for path in before if not ARCHIVES.fullmatch(path)]
    for path in set(before) - set(sys.path):
        sys.path_importer_cache.pop(path, None)
    if find_spec("pyspark") is None:
        sys.path[:] = before


if __name__ == "__main__":
    leave_out_archives()
    for library in LIBRARIES:
        import_module(library)
    from pyspark.daemon import manager

    manager()  # type: ignore[no-untyped-call]
