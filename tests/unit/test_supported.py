from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from synthspark import supported
from synthspark.errors import ConfigError

ROOT = Path(__file__).parents[2]


def pins(cell: str) -> dict[str, str]:
    lines = (ROOT / "constraints" / f"{cell}.txt").read_text().splitlines()
    return {name.lower(): version for name, version in (line.split("==") for line in lines)}


def test_every_cell_has_its_constraints_and_no_constraints_are_without_a_cell() -> None:
    assert {path.stem for path in (ROOT / "constraints").glob("*.txt")} == set(supported.CELLS.values())
    for (python, spark), cell in supported.CELLS.items():
        assert cell == f"py{python.replace('.', '')}-spark{spark.replace('.', '')}"
        assert supported.spark_line(pins(cell)["pyspark"]) == spark and python in supported.PYTHONS
        assert pins(cell)["petastorm"] == "0.12.1"
    assert supported.DEFAULT_CELL in supported.CELLS.values()


def test_the_ranges_of_the_package_are_those_that_are_supported() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.10,<3.14"' in text and supported.PYTHONS == ("3.10", "3.11", "3.12", "3.13")
    assert '"pyspark>=3.5.1,<4.2"' in text and list(supported.JAVAS) == ["3.5", "4.0", "4.1"]
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^CELL \?= (.*)$", makefile, re.M)[1] == supported.DEFAULT_CELL  # type: ignore[index]


@pytest.mark.parametrize(
    ("line", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_412"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("Unrecognized option", None),
    ],
)
def test_the_major_version_of_java(line: str, major: int | None) -> None:
    assert supported.java_major(line) == major


@pytest.mark.parametrize(
    ("spark", "line", "needed"),
    [
        ("3.5.9", 'openjdk version "17.0.15"', True),
        ("3.5.9", 'openjdk version "11.0.2"', False),
        ("4.0.5", 'openjdk version "17.0.15"', False),
    ],
)
def test_spark_3_multiplies_vectors_by_the_code_of_spark_4_where_java_has_it(
    spark: str, line: str, needed: bool
) -> None:
    assert (supported.vector_module(spark, line) == "--add-modules=jdk.incubator.vector") == needed


def test_another_spark_or_python_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    supported.require_python_and_spark("3.5.1-amzn-2")
    with pytest.raises(ConfigError, match=r"^Spark 3.4.4 is not supported; install one of 3.5, 4.0, 4.1"):
        supported.require_python_and_spark("3.4.4")
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    with pytest.raises(ConfigError, match=r"^Python 3.14 is not supported; install one of 3.10, 3.11, 3.12, 3.13$"):
        supported.require_python_and_spark("4.1.4")


def java(folder: Path, words: str) -> None:
    folder.mkdir(parents=True)
    (folder / "java").write_text(f"#!/bin/sh\necho '{words}' >&2\n")
    (folder / "java").chmod(0o755)


def test_java_is_that_of_java_home_and_one_that_spark_runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java(tmp_path / "eleven" / "bin", 'openjdk version "11.0.2" 2019-01-15')
    java(tmp_path / "seventeen", 'openjdk version "17.0.15" 2025-04-15')
    monkeypatch.setenv("PATH", str(tmp_path / "seventeen"), prepend=":")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert "17.0.15" in supported.require_java("4.1.4")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "eleven"))
    assert "11.0.2" in supported.require_java("3.5.9")
    with pytest.raises(
        ConfigError, match=r"eleven.*11\.0\.2.*; Spark 4.1.4 needs Java 17 or 21: set JAVA_HOME to one$"
    ):
        supported.require_java("4.1.4")
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="no java was found in JAVA_HOME or on PATH; Spark 4.1.4 needs Java 17 or 21"):
        supported.require_java("4.1.4")


def test_a_cell_is_named_with_its_versions_and_another_pair_as_untested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supported, "installed", lambda name: "1.0")
    monkeypatch.setattr(supported, "python_line", lambda: "3.11")
    assert supported.cell("4.1.4").startswith("py311-spark41, which is tested (pyspark 1.0, pyarrow 1.0")
    monkeypatch.setattr(supported, "python_line", lambda: "3.13")
    assert supported.cell("3.5.9").startswith("Python 3.13 with Spark 3.5 is not tested as a pair")


def test_preflight_says_what_to_install(tmp_path: Path) -> None:
    def preflight(*given: str, **env: str) -> str:
        command = ["sh", "scripts/preflight.sh", *given]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", **env}
        )
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        return done.stderr

    assert "there is no constraints/py39-spark35.txt; cells are: py310-spark35" in preflight("py39-spark35")
    assert "needs Python 3.12, and '/no/python' was not found" in preflight("py312-spark40", "/no/python")
    other = "py310-spark35" if supported.python_line() != "3.10" else "py313-spark41"
    assert f"'{sys.executable}' is {supported.python_line()}" in preflight(other, sys.executable)
    mine = next(cell for (python, _), cell in supported.CELLS.items() if python == supported.python_line())
    assert "and no '/nothing/bin/java' was found" in preflight(mine, sys.executable, JAVA_HOME="/nothing")
    java(tmp_path / "bin", 'openjdk version "7.0.2" 2013-01-15')
    assert "is version 7: install openjdk-17" in preflight(mine, sys.executable, JAVA_HOME=str(tmp_path))
