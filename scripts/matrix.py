"""Run the test matrix: each cell of constraints/ in its own environment; results are compared with the default cell.

`python scripts/matrix.py [CELL ...]`; without arguments all cells run. The environment of a cell is .cells/<cell>; that
of the default cell is .venv, whose tests `make test` runs. Cells without an interpreter on this machine are skipped,
with a warning.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from synthspark.supported import CELLS, DEFAULT_CELL  # noqa: E402

FEEDS = 1000
log = logging.getLogger("matrix")


def main(asked: Sequence[str]) -> int:
    """Run the cells and return how many of them failed or gave other values."""
    pythons = {name: python for (python, _), name in CELLS.items()}
    if unknown := [name for name in asked if name not in pythons]:
        log.error("no cell %s; there are %s", ", ".join(unknown), ", ".join(pythons))
        return 1
    with tempfile.TemporaryDirectory() as folder:
        expected = _run(DEFAULT_CELL, ROOT / ".venv" / "bin" / "python", Path(folder))
        bad = int(expected is None)
        for name in [name for name in asked or pythons if name != DEFAULT_CELL]:
            python = _interpreter(pythons[name])
            if python is None:
                log.warning("%s: skipped, no python%s on PATH or among pyenv's versions", name, pythons[name])
                continue
            found = _run(name, _environment(name, python), Path(folder))
            bad += not _same(name, expected, found)
    return bad


def _interpreter(python: str) -> str | None:
    found = shutil.which(f"python{python}")
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return found or next((str(path) for path in versions.glob(f"{python}.*/bin/python{python}")), None)


def _environment(name: str, python: str) -> Path:
    """Return the Python of the cell's environment; create it if it is missing or its constraints have changed."""
    folder, constraints = ROOT / ".cells" / name, ROOT / "constraints" / f"{name}.txt"
    own = folder / "bin" / "python"
    stamp = folder / ".installed"
    inputs = [constraints, ROOT / "pyproject.toml"]
    if not stamp.exists() or any(path.stat().st_mtime > stamp.stat().st_mtime for path in inputs):
        log.info("%s: installing", name)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        pip = [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-c", str(constraints), "-e", f"{ROOT}[check]"], check=True)
        stamp.touch()
    return own


def _run(name: str, python: Path, folder: Path) -> dict[str, str] | None:
    """Return the hashes of the cell's tiny job; None if a step failed."""
    out = folder / f"{name}.json"
    steps = {
        "feeds": [str(python), "-m", "tests.cells.feeds", str(FEEDS)],
        "job": [str(python), "-m", "tests.cells.tiny_job", str(folder / name), str(out)],
    }
    if name != DEFAULT_CELL:
        steps = {"unit tests": [str(python), "-m", "pytest", "tests/unit"], **steps}
    for step, command in steps.items():
        log.info("%s: %s", name, step)
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if done.returncode:
            log.error("%s: %s failed\n%s", name, step, (done.stdout + done.stderr)[-4000:])
            return None
    found = json.loads(out.read_text())
    log.info("%s: done, %d hashes; %s", name, len(found["hashes"]), found["cell"])
    return dict(found["hashes"])


def _same(name: str, expected: dict[str, str] | None, found: dict[str, str] | None) -> bool:
    if expected is None or found is None:
        return False
    other = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    if other:
        log.error("%s: other values than %s in %s", name, DEFAULT_CELL, ", ".join(other))
    else:
        log.info("%s: the same values as %s", name, DEFAULT_CELL)
    return not other


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    sys.exit(min(main(sys.argv[1:]), 1))
