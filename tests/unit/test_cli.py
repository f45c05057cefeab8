from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from synthspark import errors
from synthspark.cli import STAGES, cli
from synthspark.config import ARMS, load
from synthspark.examples import EXAMPLES, EXIT_CODES

ROOT = Path(__file__).parents[2]


HEAVY = ("pyspark", "torch", "petastorm", "pandas", "numpy", "matplotlib", "pyarrow", "pydantic")


def without_what_is_heavy(setup: str, call: str) -> str:
    """What a fresh process says on `call`; fails if it has imported what takes time."""
    code = (
        f"import sys, os; {setup}\n"
        "from synthspark.cli import cli\n"
        f"for words in {call}:\n"
        "    try: cli(words, prog_name='synthspark')\n"
        "    except SystemExit as end: assert not end.code, (words, end.code)\n"
        f"bad = set({HEAVY!r}) & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_of_every_command_needs_neither_spark_nor_torch() -> None:
    said = without_what_is_heavy("pass", "[['--help'], ['-h'], *([name, '--help'] for name in cli.commands)]")
    assert said.count("Examples:") == len(cli.commands)
    assert "\\b" not in said and "\b" not in said


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_works_and_is_light(shell: str) -> None:
    switch = f"os.environ['_SYNTHSPARK_COMPLETE'] = '{shell}_"
    script = without_what_is_heavy(switch + "source'", "[[]]")
    assert f"_SYNTHSPARK_COMPLETE={shell}_complete" in script
    assert f"_SYNTHSPARK_COMPLETE={shell}_source synthspark" in cli.get_help(click.Context(cli)), "and --help says how"
    words = "os.environ.update(COMP_WORDS='synthspark ev', COMP_CWORD='1'); "
    assert "evaluate" in without_what_is_heavy(words + switch + "complete'", "[[]]")
    words = "os.environ.update(COMP_WORDS='synthspark evaluate --pro', COMP_CWORD='2'); "
    assert "--protocol" in without_what_is_heavy(words + switch + "complete'", "[[]]")
    for before in ("plan --config", "init --events", "init --output"):
        words = f"os.environ.update(COMP_WORDS='synthspark {before} my', COMP_CWORD='3'); "
        assert "file" in without_what_is_heavy(words + switch + "complete'", "[[]]"), "the shell looks for files"


@pytest.mark.parametrize("command", list(cli.commands))
def test_every_command_explains_itself_by_examples_that_are_understood(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])
    assert result.exit_code == 0
    for example in EXAMPLES[command]:
        assert f"  {example}\n" in result.output, "unbroken, to be copied"
        name, *words = shlex.split(example)[1:]
        assert name == command
        assert cli.commands[name].make_context(name, words).params


def test_every_exit_code_is_explained() -> None:
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.SynthSparkError)]
    assert {e.exit_code for e in kinds} | {0, 130} == set(EXIT_CODES)
    shown = cli.get_help(click.Context(cli))
    for code, words in EXIT_CODES.items():
        assert f"  {code:<5}{words}\n" in shown
        if code:
            assert f"{code} " in (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def test_errors_of_the_configuration_are_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("sorce: {}\n")
    arguments = [sys.executable, "-m", "synthspark", "clean", "--config", str(tmp_path / "c.yaml")]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2
    assert "key 'sorce' does not exist. Did you mean 'source'" in done.stderr
    assert "Traceback" not in done.stderr


def test_there_is_a_job_for_every_command_and_each_is_short() -> None:
    jobs = {p.name: p.read_text() for p in (ROOT / "jobs").glob("*_job.py")}
    assert "main()" in jobs.pop("lake_job.py")
    assert set(jobs) == {f"{s}_job.py" for s in (*STAGES, "pipeline", "apply")}
    for name, text in jobs.items():
        command = name.removesuffix("_job.py").replace("pipeline", "run")
        assert f'main("{command}")' in text
        assert len(text.splitlines()) <= 40


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
