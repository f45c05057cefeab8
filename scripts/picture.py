"""docs/images/report.png: the first screen of the newest report of a lake, as a browser draws it: `make picture`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "images" / "report.png"
SIZE = "1150,800"
"""Width and height of the window in pixels: what is seen without scrolling."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def browser() -> str | None:
    """Return the path of a browser that can draw a page; None if there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def main(lake: Path) -> int:
    """Draw the newest report; returns the exit code."""
    reports = sorted(lake.glob("reports/*/report.html"), key=lambda path: path.stat().st_mtime)
    program = browser()
    if program is None or not reports:
        sys.stderr.write(f"{lake} has no report: make demo\n" if program else "no Chromium on PATH\n")
        return 1
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run([program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                        f"--window-size={SIZE}", f"--user-data-dir={profile}", f"--screenshot={TARGET}",
                        reports[-1].resolve().as_uri()], check=True, capture_output=True, timeout=300)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "lake")))
