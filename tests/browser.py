"""A real browser, where the machine has one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from scripts.picture import browser


def screenshot(page: Path, target: Path) -> tuple[Image.Image, str]:
    """The page as a browser draws it, and what it complained of. Skips the test where there is no Chromium."""
    said = _chromium(target, page, "--hide-scrollbars", "--window-size=1150,6000", f"--screenshot={target}")
    return Image.open(target).convert("RGB"), "\n".join(line for line in said.splitlines() if "CONSOLE" in line)


def printed(page: Path, target: Path) -> int:
    """Sheets that the page takes on paper. Skips the test where there is no Chromium."""
    _chromium(target, page, "--no-pdf-header-footer", f"--print-to-pdf={target}")
    return len(re.findall(rb"/Type\s*/Page\b", target.read_bytes()))


def _chromium(target: Path, page: Path, *options: str) -> str:
    program = browser()
    if program is None:
        pytest.skip("no Chromium on the PATH (Debian: apt-get install chromium)")
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
               f"--user-data-dir={target}.profile", *options, page.as_uri()]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stderr
