"""What the docs say can be typed: every command is parsed, its keys are checked; links lead somewhere."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from synthspark import cli as command_line
from synthspark.config import load

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
sys.path.insert(0, str(ROOT / "scripts"))


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
        for line in re.findall(r"^(?:    |\$ )\s*(synthspark .*)$|^(synthspark .*)$", text, re.M):
            yield page.name, re.split(r"\s{2,}#", line[0] or line[1])[0].strip()
        yield from ((page.name, found) for found in re.findall(r"`(synthspark (?!run`|evaluate`)[a-z-]+ [^`]*)`", text))


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_every_command_is_understood(page: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run_job(path: Path, stage: str | None, _run_id: str | None, overrides: list[str], *_: bool, **__: bool) -> None:
        known = ROOT / path if (ROOT / path).exists() else ROOT / "conf" / "local.yaml"
        load(known, overrides)
        ran.append(stage or "run")

    monkeypatch.setattr(command_line, "run_job", run_job)
    words = shlex.split(command)[1:]
    if words[0] in ("run", *command_line.STAGES) and "--config" not in words:
        words += ["--config", "conf/local.yaml"]  # prose leaves it out
    if words[0] not in ("run", *command_line.STAGES):
        context = command_line.cli.commands[words[0]].make_context(words[0], words[1:], resilient_parsing=False)
        assert context.params, f"{page}: {command}"
        return
    result = CliRunner().invoke(command_line.cli, words)
    assert result.exit_code == 0, f"{page}: {command}\n{result.output}{result.exception}"
    assert ran == [words[0]]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for name in re.findall(r"\b(?:jobs|conf|scripts|benchmarks)/[\w.]+\.(?:py|yaml|sh)\b", text):
        assert (ROOT / name).exists(), f"{page.name} names {name}"
    for target in re.findall(r"`?\bmake ([a-z][a-z-]+)\b", text):
        if f"make {target}`" in text or f"    make {target}" in text:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), f"{page.name}: make {target}"


def test_the_reference_of_the_configuration_is_that_of_the_code() -> None:
    from configuration_reference import TARGET, reference

    assert TARGET.read_text(encoding="utf-8") == reference(), "run python scripts/configuration_reference.py"


def test_every_key_is_explained() -> None:
    from configuration_reference import reference

    unexplained = [line for line in reference().splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert not unexplained


def test_troubleshooting_quotes_what_the_code_says() -> None:
    source = "".join(p.read_text(encoding="utf-8") for p in [*(ROOT / "synthspark").rglob("*.py"),
                                                             ROOT / "scripts" / "preflight.sh"])  # fmt: skip
    source = re.sub(r"""["']\n\s*f?["']""", "", source)  # messages that go over two lines
    said = [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in
            (ROOT / "docs" / "troubleshooting.md").read_text().splitlines() if row.startswith("| `")]  # fmt: skip
    assert len(said) > 15
    for parts in said:
        for part in parts:
            assert part in source, f"nobody says {part!r}"
