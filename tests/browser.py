"""A real browser, where the machine has one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image


def screenshot(page: Path, target: Path) -> tuple[Image.Image, str]:
    """The page as a browser draws it, and what it complained of. Skips the test where there is no Chromium."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on the PATH (Debian: apt-get install chromium)")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
        "--window-size=1150,6000", f"--user-data-dir={target}.profile", f"--screenshot={target}", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    complaints = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return Image.open(target).convert("RGB"), complaints
