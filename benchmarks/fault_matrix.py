"""docs/faults.md: kill -9 of job processes in and between all stages: `make benchmark-faults` (about an hour).

A standalone Spark cluster is started on loopback. One run is undisturbed; in each other run, processes are killed in
one stage after the other, and `--resume` continues the run whenever the job has ended. Then two runs share the lake at
the same time. `--runs` and `--stages` select some and keep existing results of the others; `--folder` keeps lake and
shop for another call.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "cluster")]

from fault_report import MISSING, NOBODY, Outcome, compared, left_over, write_page  # noqa: E402
from faults import kill_driver, kill_executor, kill_python_worker, kill_torch_child  # noqa: E402
from planted import small  # noqa: E402
from published import recorded  # noqa: E402
from standalone import Cluster, Submission, bare_python, wait_for  # noqa: E402

from scripts.dist import build  # noqa: E402
from synthspark.runs.lake import STAGES  # noqa: E402
from tests.integration.test_pipeline import write_shop  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
PATIENCE_SECONDS = 3600
"""Timeout of every wait; long, because the machine may be busy."""
TWO_CORES = {"spark.cores.max": "2"}
"""Spark settings of a run: one executor on each worker."""
AT_ONCE = 2
"""Number of concurrent runs that the workers have room for."""
MIDDLE = {"clean": "clean/events", "featurize": "scratch/*/warm", "synthesize": "scratch/*/judge",
          "recommend": "recommendations", "evaluate": "scratch/**/added"}  # fmt: skip
"""Pattern of a file whose existence shows that a stage is in its middle."""
TRAINING = ("train", "evaluate")
CHECKPOINT = "behaviour_items/checkpoint.json"
"""Checkpoint that shows the middle of training: two generators are done, the third has finished an epoch."""
KILLS: dict[str, Callable[[Cluster, Submission], str]] = {
    "driver": kill_driver,
    "executor": kill_executor,
    "Python worker": kill_python_worker,
    "torch child": kill_torch_child,
}


@dataclass(frozen=True)
class Strike:
    """One kill -9."""

    victim: str
    """A key of KILLS."""
    moment: str
    """`middle`, or `end`: as soon as the stage is published."""
    stage: str

    def has_come(self, lake: Path, run_id: str) -> bool:
        """Return whether the moment of the kill has come."""
        if recorded(lake, run_id, self.stage) or self.moment == "end":
            return recorded(lake, run_id, self.stage)
        if self.victim == "torch child":  # there are none during most of a stage: wait for the first one
            return any(lake.glob(f"_checkpoints/{run_id}/**/checkpoint.json"))
        if self.stage == "train":
            return (lake / "_checkpoints" / run_id / CHECKPOINT).exists()
        return any(lake.glob(f"_staging/{run_id}-{self.stage}-*/{MIDDLE[self.stage]}"))

    def is_late(self, lake: Path, run_id: str) -> bool:
        """Return whether the stage already ended although the kill should be in its middle."""
        return self.moment == "middle" and recorded(lake, run_id, self.stage)

    def got_over(self, lake: Path, run_id: str) -> bool:
        """Return whether the stage that runs after the kill has been published."""
        following = STAGES[STAGES.index(self.stage) + (self.moment == "end") :]
        return bool(following) and recorded(lake, run_id, following[0])


def _each(victim: str, moment: str, stages: Sequence[str] = STAGES) -> dict[str, Strike]:
    return {stage: Strike(victim, moment, stage) for stage in stages}


def _in_turn(*kinds: dict[str, Strike]) -> list[Strike]:
    return [strikes[stage] for stage in STAGES for strikes in kinds if stage in strikes]


RUNS = {
    "drivers": _in_turn(
        _each("driver", "middle"), _each("torch child", "middle", TRAINING), _each("Python worker", "end")
    ),
    "executors": _in_turn(_each("executor", "middle"), _each("driver", "end")),
    "workers": _in_turn(_each("Python worker", "middle"), _each("executor", "end")),
}
"""Kills of each run, in order."""
UNDISTURBED, TOGETHER, TWINS = "undisturbed", "together", ("at-once-1", "at-once-2")


def smallest(folder: Path) -> dict[str, Any]:
    """Return the tests' configuration without the ALS trials that choose a weight, half of its time."""
    data = small(folder)
    data["synthesize"]["weight"] = 0.5
    return data


class Bench:
    """The cluster, the shop, and the runs on them."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "small.yaml"
        if not self.config.exists():
            write_shop(folder)
            self.config.write_text(yaml.safe_dump(smallest(folder)))
        self.lake = Path(yaml.safe_load(self.config.read_text())["lake"]["root"])
        work = Path(tempfile.mkdtemp(prefix="cluster-", dir=folder))
        self.archive = build(work)
        self.cluster = Cluster(work, bare_python(work / "python"), executors=AT_ONCE)

    def submit(self, run_id: str) -> Submission:
        """Submit the whole job; it resumes the run."""
        words = ["--config", str(self.config), "--resume", run_id]
        return self.cluster.submit(ROOT / "jobs" / "pipeline_job.py", words, self.archive, TWO_CORES)

    def alone(self, run_id: str) -> None:
        """Do an undisturbed run, unless it is already done."""
        if not recorded(self.lake, run_id, STAGES[-1]):
            _finish(self.submit(run_id))

    def at_once(self) -> None:
        """Do two runs at the same time."""
        for run_id in TWINS:
            self._forget(run_id)
        for driver in [self.submit(run_id) for run_id in TWINS]:
            _finish(driver)

    def struck(self, run_id: str, strikes: Sequence[Strike]) -> Iterator[Outcome]:
        """Run the job, kill processes, and resume it whenever it has ended; yield outcomes as they happen."""
        self._forget(run_id)
        driver = self.submit(run_id)
        for strike, after in zip(strikes, [*strikes[1:], None], strict=True):
            outcome = self._strike(strike, after, run_id, driver)
            if outcome.happened != NOBODY and not driver.running() and driver.wait() != 0:
                if outcome.happened != MISSING:
                    said = "" if strike.victim == "driver" else _last_words(driver)
                    outcome = replace(outcome, happened="the job ended; `--resume` went on", said=said)
                driver = self.submit(run_id)
            yield outcome
        _finish(driver)

    def _forget(self, run_id: str) -> None:
        """Remove all output of a run from an earlier call."""
        patterns = (f"**/run_id={run_id}", f"_staging/{run_id}-*")
        found = [p for pattern in patterns for p in self.lake.glob(pattern)]
        for folder in [*found, *(self.lake / name / run_id for name in ("runs", "reports", "_checkpoints"))]:
            shutil.rmtree(folder, ignore_errors=True)

    def _strike(self, strike: Strike, after: Strike | None, run_id: str, driver: Submission) -> Outcome:
        """Wait for the moment, kill, and check whether the job recovers."""

        def due() -> bool:  # stop waiting if the next kill, in a later stage, is due
            return after is not None and after.stage != strike.stage and after.has_come(self.lake, run_id)

        def seen(moment: Callable[[], bool]) -> None:
            wait_for(lambda: not driver.running() or moment(), str(strike), PATIENCE_SECONDS)

        seen(lambda: strike.has_come(self.lake, run_id))
        happened = self._kill(strike, run_id, driver)
        if happened != NOBODY:
            seen(lambda: strike.got_over(self.lake, run_id) or due())
        return Outcome(**asdict(strike), run=run_id, happened=happened)

    def _kill(self, strike: Strike, run_id: str, driver: Submission) -> str:
        """Kill as soon as the process exists, while the stage lasts; return what happened."""
        found = MISSING
        while driver.running() and not strike.is_late(self.lake, run_id):
            found = NOBODY
            if KILLS[strike.victim](self.cluster, driver):
                return MISSING if strike.is_late(self.lake, run_id) else "the job went on by itself"
            if strike.moment == "end":
                break
            time.sleep(0.02)
        return found


def _finish(driver: Submission) -> None:
    if driver.wait(PATIENCE_SECONDS) != 0:
        raise RuntimeError(driver.words)


def _last_words(driver: Submission) -> str:
    return driver.words.strip().splitlines()[-1][:200]


def _twins(happened: str) -> list[Outcome]:
    return [Outcome("nobody", "two runs at once", s, run_id, happened) for run_id in TWINS for s in STAGES]


class Results:
    """Measured outcomes, written to both files after each one, so that an interrupted call keeps them."""

    def __init__(self) -> None:
        self._found = [Outcome(**row) for row in json.loads(RESULTS.read_text())] if RESULTS.exists() else []
        self._writing = Lock()

    def keep(self, *made: Outcome) -> None:
        """Write outcomes; they replace earlier outcomes of the same place."""
        places = {o.place for o in made}
        wanted = [Outcome(**asdict(s), run=run, happened=MISSING) for run, strikes in RUNS.items() for s in strikes]
        with self._writing:
            self._found = [*(o for o in self._found if o.place not in places), *made]
            RESULTS.write_text(json.dumps([asdict(o) for o in self._found], indent=1) + "\n")
            write_page(self._found, [*wanted, *_twins(MISSING)])


def measure(bench: Bench, run: str, results: Results, stages: Sequence[str]) -> None:
    """Do one run with kills in `stages`, or the two concurrent runs, and compare it with the undisturbed one."""
    made: list[Outcome] = []
    compared_so_far: list[Future[None]] = []

    def keep(outcomes: Sequence[Outcome]) -> None:
        results.keep(*(_compared(bench, o) for o in outcomes if recorded(bench.lake, run, o.stage)))

    if run in RUNS:
        with ThreadPoolExecutor(1) as comparing:  # concurrently: the next kill may be seconds away
            for outcome in bench.struck(run, [s for s in RUNS[run] if s.stage in stages]):
                made.append(outcome)
                compared_so_far.append(comparing.submit(keep, tuple(made)))
        for done in compared_so_far:
            done.result()  # raises errors of the comparison
    else:
        bench.at_once()
        made = _twins("both ended")
    results.keep(*(_compared(bench, o, ended=True) for o in made))


def _compared(bench: Bench, outcome: Outcome, ended: bool = False) -> Outcome:
    left = left_over(bench.lake, outcome.run) if ended else []
    return replace(compared(bench.lake, UNDISTURBED, outcome), ended=ended, left=left)


def main(folder: Path, runs: Sequence[str], stages: Sequence[str]) -> None:
    """Do the given runs and stages, writing results as they come."""
    bench, results = Bench(folder), Results()
    try:
        bench.alone(UNDISTURBED)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            struck = [pool.submit(measure, bench, run, results, stages) for run in runs if run in RUNS]
        for done in struck:
            done.result()  # raises a run's error once the others are done
        if TOGETHER in runs:
            measure(bench, TOGETHER, results, stages)
    finally:
        bench.cluster.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", choices=[*RUNS, TOGETHER], default=[*RUNS, TOGETHER])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, help="stages with kills")
    parser.add_argument("--folder", type=Path, help="kept after the run, unlike the default temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="synthspark-faults-") as temporary:
        (arguments.folder or Path(temporary)).mkdir(exist_ok=True)
        main(arguments.folder or Path(temporary), arguments.runs, arguments.stages)
