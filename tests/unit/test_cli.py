from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from synthspark.cli import STAGES, cli
from synthspark.config import ARMS, load

ROOT = Path(__file__).parents[2]


def test_help_needs_neither_spark_nor_torch() -> None:
    code = (
        "import sys; from synthspark.cli import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "bad = {'pyspark', 'torch', 'petastorm', 'pandas'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "synthesize" in done.stdout


@pytest.mark.parametrize("command", ["run", *STAGES])
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])
    assert result.exit_code == 0
    assert "--config" in result.output


def test_errors_of_the_configuration_are_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("sorce: {}\n")
    arguments = [sys.executable, "-m", "synthspark", "clean", "--config", str(tmp_path / "c.yaml")]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2
    assert "key 'sorce' does not exist. Did you mean 'source'" in done.stderr
    assert "Traceback" not in done.stderr


def test_there_is_a_job_for_every_command_and_each_is_short() -> None:
    jobs = {p.name: p.read_text() for p in (ROOT / "jobs").glob("*_job.py")}
    assert set(jobs) == {f"{s}_job.py" for s in (*STAGES, "pipeline")}
    for name, text in jobs.items():
        command = name.removesuffix("_job.py").replace("pipeline", "run")
        assert f'main("{command}")' in text
        assert len(text.splitlines()) <= 40


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        ("#!/bin/sh\nexit 127\n", "no 'java' was found"),
        ("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", "'java' is version 11"),
    ],
)
def test_preflight_says_in_one_line_what_is_missing(tmp_path: Path, fake: str, message: str) -> None:
    java = tmp_path / "java"
    java.write_text(fake)
    java.chmod(0o755)
    script = ["sh", str(ROOT / "scripts/preflight.sh"), sys.executable]
    done = subprocess.run(script, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_preflight_refuses_another_python(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3.13\n")
    python.chmod(0o755)
    done = subprocess.run(["sh", str(ROOT / "scripts/preflight.sh"), str(python)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "is 3.13" in done.stderr


def test_evaluate_has_short_words_for_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(
        "synthspark.cli.run_job", lambda path, stage, run_id, overrides, verbose: seen.append(overrides)
    )
    words = [
        "evaluate",
        "--config",
        "conf/demo.yaml",
        "--protocol",
        "cold_item,time",
        "--seeds",
        "0,1",
        "--arms",
        "all",
    ]
    assert CliRunner().invoke(cli, words).exit_code == 0
    config = load(ROOT / "conf" / "demo.yaml", seen[0]).evaluate
    assert (config.protocols, config.seeds, config.references) == (["cold_item", "time"], [0, 1], True)
    assert config.arms == list(ARMS)
