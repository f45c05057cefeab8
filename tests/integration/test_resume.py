"""Who may go on with a run, and who works on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from click.testing import CliRunner
from pyspark.sql import SparkSession

from synthspark.cli import cli
from synthspark.config import Config, parse
from synthspark.errors import ConfigError, LakeError
from synthspark.runs import lease
from synthspark.runs.context import Context
from synthspark.runs.files import Files
from synthspark.runs.lake import Lake
from synthspark.runs.lease import leased, require_free
from synthspark.stages.run import _begin, check_resumable, run_all

pytestmark = pytest.mark.spark
SOURCE = {"events": {"path": "none", "columns": {"user_id": "u", "item_id": "i"}, "event_type": "purchase"}}


def configured(**changes: Any) -> Config:
    return parse({"source": SOURCE, **changes})


@pytest.fixture
def context(spark: SparkSession, tmp_path: Path) -> Context:
    return Context(spark, Lake(spark, str(tmp_path / "lake")), configured(), "2026-01-01")


def publish(context: Context, *stages: str) -> None:
    for stage in stages:
        with context.publication(stage) as staged:
            staged.write_json(f"models/{stage}/model.json", {})


def test_a_run_goes_on_as_it_was_made_or_not_at_all(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(context, "clean", "featurize")
    check_resumable(context)
    other = replace(context, config=configured(features={"factor_rank": 7}))
    with pytest.raises(ConfigError, match="stage clean was published with another configuration .*start a new run"):
        check_resumable(other)
    publish(other, "featurize")  # by itself, with another setting
    with pytest.raises(ConfigError, match="stage featurize was published with another configuration"):
        check_resumable(context)
    publish(context, "featurize", "train", "synthesize", "recommend")
    publish(replace(context, config=configured(evaluate={"seeds": [0, 1, 2]})), "evaluate")
    with pytest.raises(ConfigError, match="stage evaluate"):  # although nothing is left to do
        run_all(context, True, lambda _: None, lambda *_: None)
    monkeypatch.setattr("synthspark.runs.context.__version__", "9.9")
    with pytest.raises(ConfigError, match=r"stage clean was published with another version \(.*, now 9.9\)"):
        check_resumable(context)


def test_nobody_goes_on_with_a_run_that_is_not_there(context: Context) -> None:
    publish(context, "clean")
    with pytest.raises(LakeError, match="no run '2026-01-02' to go on with. Did you mean '2026-01-01'"):
        run_all(replace(context, run_id="2026-01-02"), True, lambda _: None, lambda *_: None)


def test_a_scheduled_run_begins_or_goes_on_by_the_same_words(
    spark: SparkSession, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SparkSession, "stop", lambda _: None)  # it is that of all tests
    monkeypatch.setattr("synthspark.log.configure", lambda _: None)
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"lake": {"root": context.lake.root}, "source": SOURCE}))
    seen: list[tuple[str, bool]] = []

    def ran(context: Context, resume: bool, *_: object) -> None:
        seen.append((context.run_id, resume))

    monkeypatch.setattr("synthspark.stages.run.run_all", ran)

    def called(*words: str) -> None:
        result = CliRunner().invoke(cli, ["run", "--config", str(config), *words])
        # Nothing was evaluated: what comes after the stages has nothing to tell.
        assert isinstance(result.exception, (type(None), SystemExit)), result.exception

    both = ("--run-id", "2026-01-01", "--resume", "2026-01-01")
    called(*both)
    publish(context, "clean")
    called(*both)
    called("--resume", "2026-01-02")
    called("--run-id", "2026-01-03")
    assert seen == [("2026-01-01", False), ("2026-01-01", True), ("2026-01-02", True), ("2026-01-03", False)]
    assert CliRunner().invoke(cli, ["run", "--config", str(config), "--run-id", "a", "--resume", "b"]).exit_code == 2
    assert len(seen) == 4


@pytest.mark.parametrize("resume", [False, True])
def test_checkpoints_of_another_configuration_are_not_gone_on_with(context: Context, resume: bool) -> None:
    kept = f"{context.checkpoints()}/items/checkpoint.json"
    _begin(context, False)
    context.lake.write_text(kept, "{}")
    _begin(context, resume)
    assert context.lake.exists(kept) == resume
    context.lake.write_text(kept, "{}")
    _begin(replace(context, config=configured(seed=7)), resume)
    assert not context.lake.exists(kept)


def test_a_second_driver_is_refused_until_the_first_is_done(context: Context) -> None:
    lake = context.lake
    publish(context, "clean")
    with lake.leased("2026-01-01"):
        for attempt in (lambda: lake.leased("2026-01-01").__enter__(), lambda: lake.drop("2026-01-01")):
            with pytest.raises(LakeError, match=rf"process {os.getpid()} on .* has been at work on it since"):
                attempt()
        with lake.leased("2026-01-02"):
            pass
    with lake.leased("2026-01-01"):
        pass
    assert lake.drop("2026-01-01")[0] == "runs/2026-01-01"


def test_what_a_killed_driver_left_does_not_stop_the_next(context: Context) -> None:
    script = "import sys; from synthspark.runs import lease; import json; print(json.dumps(lease._here()))"
    left = json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    folder = f"{context.lake.root}/runs/a"
    context.lake.write_text(f"{folder}/lease.json", json.dumps({"driver": "x", **left}))
    require_free(context.lake, folder)
    zombie = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert zombie.stdout is not None
    seen = json.loads(zombie.stdout.read())
    while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    context.lake.write_text(f"{folder}/lease.json", json.dumps({"driver": "x", **seen}))
    require_free(context.lake, folder)
    zombie.wait()
    # Another process has its number now.
    taken = {"driver": "x", **left, "pid": os.getpid(), "started": 1.0}
    context.lake.write_text(f"{folder}/lease.json", json.dumps(taken))
    with leased(context.lake, folder):
        pass


@pytest.mark.parametrize("alive", [False, True])
def test_a_driver_elsewhere_is_alive_if_it_says_something_new(
    context: Context, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    monkeypatch.setattr(lease, "SILENT_SECONDS", 4.0)
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.5 if alive else 60.0)
    here = lease._here()
    monkeypatch.setattr(lease, "_here", lambda: {**here, "host": threading.current_thread().name})
    folder, held, done = f"{context.lake.root}/runs/a", threading.Event(), threading.Event()

    def elsewhere() -> None:
        with leased(context.lake, folder):
            held.set()
            done.wait()

    other = threading.Thread(target=elsewhere, name="another machine")
    other.start()
    held.wait()
    try:
        read, here_read = lease._read, iter(range(1, 100))

        def with_a_gap(files: Files, path: str) -> dict[str, Any]:
            """The second look falls into the moment in which the lease is replaced."""
            mine = threading.current_thread() is threading.main_thread()
            return {} if mine and next(here_read) == 2 else read(files, path)

        monkeypatch.setattr(lease, "_read", with_a_gap)
        if alive:
            with pytest.raises(LakeError, match="on another machine"):
                require_free(context.lake, folder)
        else:
            require_free(context.lake, folder)
    finally:
        done.set()
        other.join()
    assert not context.lake.exists(f"{folder}/lease.json")
