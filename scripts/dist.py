"""Build the package for spark-submit: `python scripts/dist.py [FOLDER]` writes FOLDER/synthspark-<version>.zip.

The zip is the wheel renamed, since Spark does not add a .whl to the executors' path. hatchling gives all members the
same date, so that the same sources give the same bytes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def build(folder: Path) -> Path:
    """Write the zip into `folder` and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("synthspark-*.whl")
    name, version = wheel.name.split("-")[:2]
    return wheel.rename(folder / f"{name}-{version}.zip")


if __name__ == "__main__":
    sys.stdout.write(f"{build(Path(sys.argv[1] if len(sys.argv) > 1 else 'dist').absolute())}\n")
