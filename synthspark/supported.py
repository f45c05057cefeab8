"""Supported versions of Python, Spark and Java, and the combinations that the test matrix runs.

This module imports nothing heavy, because the command line checks versions before anything starts.
`synthspark.spark_versions` handles the differences between them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path

from synthspark.errors import ConfigError

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
JAVAS = {"3.5": (8, 11, 17), "4.0": (17, 21), "4.1": (17, 21)}
"""Major Java versions by Spark line, according to Spark's documentation."""
FIRST_WITH_VECTORS = 17
"""First Java version above that has the vector module."""
CELLS = {
    ("3.10", "3.5"): "py310-spark35",
    ("3.11", "3.5"): "py311-spark35",
    ("3.11", "4.0"): "py311-spark40",
    ("3.11", "4.1"): "py311-spark41",
    ("3.12", "3.5"): "py312-spark35",
    ("3.12", "4.0"): "py312-spark40",
    ("3.13", "4.1"): "py313-spark41",
}
"""Pairs of Python and Spark that `make test-matrix` runs, with the exact versions in `constraints/<cell>.txt`."""
DEFAULT_CELL = "py311-spark41"
WITH_CELL = ("pyspark", "pyarrow", "numpy", "pandas", "torch")


def python_line() -> str:
    """Return the version line of this interpreter, for example 3.11."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def spark_line(version: str) -> str:
    """Return the version line of a Spark version: 3.5 for 3.5.9 or a distributor's 3.5.1-amzn-2."""
    return ".".join(version.split(".")[:2])


def require_python_and_spark(spark_version: str) -> None:
    """Raise ConfigError, which names what to install, for an unsupported version of Python or Spark."""
    if python_line() not in PYTHONS:
        raise ConfigError(f"Python {python_line()} is not supported; install one of {', '.join(PYTHONS)}")
    if spark_line(spark_version) not in JAVAS:
        raise ConfigError(f"Spark {spark_version} is not supported; install one of {', '.join(JAVAS)}, for example "
                          f"pip install 'pyspark=={list(JAVAS)[-1]}.*'")  # fmt: skip


def require_java(spark_version: str) -> str:
    """Return the version line of `java -version`.

    Raises ConfigError if there is no Java, or one that this Spark does not run on.
    """
    accepted = JAVAS[spark_line(spark_version)]
    wanted = f"Spark {spark_version} needs Java {' or '.join(map(str, accepted))}"
    java = _java()
    if java is None:
        raise ConfigError(f"no java was found in JAVA_HOME or on PATH; {wanted} (Debian: apt-get install "
                          "openjdk-17-jre-headless)")  # fmt: skip
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    line = next((text for text in done.stderr.splitlines() if " version " in text), "")
    major = java_major(line)
    if major not in accepted:
        raise ConfigError(f"{java} is {line or 'of no known version'}; {wanted}: set JAVA_HOME to one")
    return line


def java_major(line: str) -> int | None:
    """Return the major version: 17 for `openjdk version "17.0.15" 2025-04-15`, 8 for `java version "1.8.0_412"`."""
    found = re.search(r'version "(?:1\.)?(\d+)', line)
    return int(found[1]) if found else None


def vector_module(spark_version: str, java_line: str) -> str:
    """Return the JVM option that Spark's launcher sets from 4.0 on and that 3.5 lacks; empty if it is not needed.

    With it, ALS computes vector products with the same code: without it, factors of rank 8 and more differ between 3.5
    and 4 in their last digits.
    """
    needed = spark_line(spark_version) == "3.5" and (java_major(java_line) or 0) >= FIRST_WITH_VECTORS
    return "--add-modules=jdk.incubator.vector" if needed else ""


def _java() -> str | None:
    """Return the Java executable that Spark's launcher uses."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else shutil.which("java")


def cell(spark_version: str) -> str:
    """Return one line that names this environment's cell of the test matrix and its package versions."""
    pair = (python_line(), spark_line(spark_version))
    packages = ", ".join(f"{name} {installed(name)}" for name in WITH_CELL)
    if pair in CELLS:
        return f"{CELLS[pair]}, which is tested ({packages})"
    tested = ", ".join(CELLS.values())
    return f"Python {pair[0]} with Spark {pair[1]} is not tested as a pair ({packages}); {tested} are"
