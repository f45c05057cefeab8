"""Second table of docs/faults.md: kill -9 of `apply`, `promote` and `prune`, and conflicts in the catalogue.

Part of `make benchmark-faults` (about half an hour of it). The planted shop is in a Hive metastore, and every command
runs in a separate process; `tests/struck.py` kills Python and its JVM as soon as a chosen call has returned. After each
kill the current run must be unchanged, and the repeated command must give the result of an undisturbed one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models"), str(ROOT / "tests" / "cluster")]

from fault_report import COMMAND_RESULTS, CommandOutcome, left_over, write_commands  # noqa: E402
from published import contents, rows  # noqa: E402

from synthspark.config import load  # noqa: E402
from synthspark.runs.context import Context, open_lake  # noqa: E402
from synthspark.session import session  # noqa: E402
from synthspark.stages.run import run_stage  # noqa: E402
from tests.integration.test_pipeline import write_shop  # noqa: E402
from tests.shell import Shell  # noqa: E402

RELEASE, QUIET = "release", "quiet"
"""Ids of the release, which is applied and current, and of an undisturbed run that applies it."""
TWINS = ("twin-1", "twin-2")
"""Ids of two runs that publish at once."""
CATALOGUE, VIEWS = "shop", "shop_current"
STRIKES = {
    "in clean, as the second partition has been added": ("synthspark.runs.catalogue:Catalogue.point_to", 2),
    "as clean has been published": ("synthspark.runs.publication:Publication.commit", 1),
    "in featurize, as vectors have been carried over": ("synthspark.stages.apply:carry_spaces", 1),
    "as featurize has been published": ("synthspark.runs.publication:Publication.commit", 2),
    "in train, as a model has been copied": ("synthspark.runs.publication:Publication.copy_in", 4),
    "as train has been published": ("synthspark.runs.publication:Publication.commit", 3),
    "in synthesize, as its first partition has been added": ("synthspark.runs.catalogue:Catalogue.point_to", 5),
    "as synthesize has been published": ("synthspark.runs.publication:Publication.commit", 4),
}
"""Moment -> (function, n): `apply` is killed after the n-th call of the function."""
PROMOTIONS = {
    "as a view has been replaced": ("synthspark.runs.catalogue:Catalogue.replace_view", 2),
    "as all views have been replaced": ("synthspark.runs.views:show", 1),
    "as current.json has been replaced": ("synthspark.runs.files:Files.replace_text", 1),
}
PRUNING = {"as a run's records have been moved away": ("synthspark.runs.files:Files.rename", 1),
           "as the catalogue has forgotten a run": ("synthspark.runs.catalogue:Catalogue.forget", 1)}  # fmt: skip


class Bench:
    """The shop, the release, and the commands that run on them."""

    def __init__(self, folder: Path) -> None:
        if not any(folder.iterdir()):
            write_shop(folder)
        self.shell = Shell(folder)
        self.shell.config["lake"]["views"] = VIEWS
        self.shell.config["synthesize"]["weight"] = 0.5  # skips the trials of ALS, half of the time
        self.lake = Path(self.shell.config["lake"]["root"])

    def prepare(self) -> None:
        """Train the release, apply it once undisturbed, and promote it, unless an earlier call has done so."""
        if (self.lake / "current.json").exists():
            return
        self.shell.sql(f"create database {CATALOGUE}; create database {VIEWS}")
        for stage in ("clean", "featurize", "train", "synthesize", "recommend"):
            self.good(stage, "--run-id", RELEASE)
        self.good("apply", "--models", RELEASE, "--run-id", QUIET, "--force")
        self.good("promote", "--run-id", RELEASE, "--force")

    def good(self, *words: str) -> None:
        """Run a command that must succeed."""
        code, said = self.shell.synthspark(*words)
        if code != 0:
            raise RuntimeError(f"{words}: {said[-3000:]}")

    def struck(self, moment: tuple[str, int], *words: str) -> None:
        """Run a command and kill it at the given moment."""
        code, said = self.shell.synthspark(*words, program=("-m", "tests.struck", moment[0], str(moment[1])))
        if code != -9:
            raise RuntimeError(f"{words} was not killed at {moment}, it ended by {code}: {said[-3000:]}")

    def current(self) -> tuple[str, str, str]:
        """Return the run in current.json, the run that the views show, and a hash of the views' events."""
        named = json.loads((self.lake / "current.json").read_text())["run_id"]
        events = f"select count(*) n, sum(cast(hash(*) as bigint)) h from {VIEWS}.synthetic_events"
        ((shown, *values),) = self.shell.sql(f"select run_id, n, h from {VIEWS}.current_run cross join ({events})")
        return named, shown, " ".join(values)

    def partitions(self, run_id: str) -> int:
        """Count the catalogue tables that have a partition of a run."""
        tables = [row[0] for row in self.shell.sql(f"show tables in {CATALOGUE}")]
        found = self.shell.sql("; ".join(f"show partitions {CATALOGUE}.{table}" for table in tables))
        return found.count([f"run_id={run_id}"])


def of_apply(bench: Bench) -> Iterator[CommandOutcome]:
    """Kill `apply`; the current run must stay, and the repeated command must give the undisturbed result."""
    before, expected = bench.current(), contents(bench.lake, QUIET)
    for number, (moment, call) in enumerate(STRIKES.items()):
        run_id = f"struck-{number}"
        words = ("apply", "--models", RELEASE, "--run-id", run_id, "--force")
        bench.struck(call, *words)
        stays = bench.current() == before
        bench.good(*words)
        lost, same = differences(bench, run_id, expected)
        same = same and bench.partitions(run_id) == bench.partitions(QUIET)
        yield CommandOutcome("apply", moment, "killed; given again, it ended", stays, lost, same,
                             left_over(bench.lake, run_id))  # fmt: skip


def differences(bench: Bench, run_id: str, expected: dict[str, str]) -> tuple[int, bool]:
    """Return the number of rows that a run lacks, and whether everything it published equals the undisturbed run."""
    found = contents(bench.lake, run_id)
    tables = [name for name in expected if not name.endswith(".json")]
    lost = sum(max(0, len(rows(bench.lake, QUIET, t)) - len(rows(bench.lake, run_id, t))) for t in tables)
    return lost, found == expected


def of_promote(bench: Bench) -> Iterator[CommandOutcome]:
    """Kill `promote`; readers must see one whole run, and the repeated command must make the other one current."""
    values = {}
    for run_id in (QUIET, RELEASE):
        bench.good("promote", "--run-id", run_id, "--force")
        values[run_id] = bench.current()[2]
    for moment, call in PROMOTIONS.items():
        bench.good("promote", "--run-id", RELEASE, "--force")
        bench.struck(call, "promote", "--run-id", QUIET, "--force")
        named, shown, events = bench.current()
        whole = named in values and values.get(shown) == events
        bench.good("promote", "--run-id", QUIET, "--force")
        same = bench.current() == (QUIET, QUIET, values[QUIET])
        happened = f"killed; current.json names {_word(named)}, all views show {_word(shown)}; given again, it ended"
        yield CommandOutcome("promote", moment, happened, whole, 0, same, _parts(bench))
    bench.good("promote", "--run-id", RELEASE, "--force")


def _word(run_id: str) -> str:
    return {RELEASE: "the old run", QUIET: "the new one"}[run_id]


def _parts(bench: Bench) -> list[str]:
    return sorted(p.name for p in bench.lake.glob("*.part"))


def of_two_promotions(bench: Bench) -> Iterator[CommandOutcome]:
    """Promote two runs at once, without a catalogue: the embedded metastore admits one process only."""
    lake = bench.shell.config["lake"]
    catalog, views = lake.pop("catalog"), lake.pop("views")
    with ThreadPoolExecutor(2) as pool:
        orders = [("promote", "--run-id", run_id, "--force") for run_id in (QUIET, RELEASE)]
        done = list(pool.map(lambda words: bench.shell.synthspark(*words), orders))
    lake |= {"catalog": catalog, "views": views}
    refused = [said.strip().splitlines()[-1] for code, said in done if code != 0]
    named = json.loads((bench.lake / "current.json").read_text())["run_id"]
    happened = f"one ended, the other was refused: {refused[0]}" if len(refused) == 1 else f"{2 - len(refused)} ended"
    bench.good("promote", "--run-id", RELEASE, "--force")
    yield CommandOutcome("promote", "two at once", happened, named in (QUIET, RELEASE), 0, len(refused) < 2,
                         _parts(bench))  # fmt: skip


def of_prune(bench: Bench) -> Iterator[CommandOutcome]:
    """Kill `prune`; the current run must stay, and the repeated command must remove all others but the newest."""
    before = bench.current()
    for number, (moment, call) in enumerate(PRUNING.items()):
        old, new = f"old-{number}", f"new-{number}"
        for run_id in (old, new):
            bench.good("clean", "--run-id", run_id)
        bench.struck(call, "prune", "--keep", "1")
        stays = bench.current() == before
        bench.good("prune", "--keep", "1")
        runs = {path.name for path in (bench.lake / "runs").iterdir()}
        folders = {path.name for path in bench.lake.rglob("run_id=*") if "_staging" not in path.parts}
        same = runs == {RELEASE, new} and folders == {f"run_id={RELEASE}", f"run_id={new}"}
        same = same and bench.partitions(old) == bench.partitions(QUIET) == 0
        yield CommandOutcome("prune", moment, "killed; given again, it ended", stays, 0, same,
                             [path.name for path in (bench.lake / "_staging").glob("*-drop-*")])  # fmt: skip


def of_catalogue(bench: Bench) -> Iterator[CommandOutcome]:
    """Test a missing database, a table with other columns, and two runs that publish at once."""
    lake, before = bench.shell.config["lake"], bench.current()
    lake["catalog"] = "spark_catalog.elsewhere"
    yield _refused(bench, "the database is not there", before)
    bench.shell.sql("create database elsewhere; create table elsewhere.clean_items (item_id int) using parquet")
    yield _refused(bench, "a table of others has the name", before)
    lake["catalog"] = f"spark_catalog.{CATALOGUE}"
    bench.shell.sql(f"alter table {CATALOGUE}.clean_items add columns (extra bigint)")
    attributes = bench.shell.config["source"]["items"]["attributes"]
    columns = bench.shell.config["source"]["items"]["columns"]
    attributes["extra"], columns["extra"] = "categorical", "kind"
    yield _refused(bench, "a column has another type", before)
    del attributes["extra"], columns["extra"]
    yield _at_once(bench, before)


def _refused(bench: Bench, moment: str, before: tuple[str, str, str]) -> CommandOutcome:
    code, said = bench.shell.synthspark("clean", "--run-id", "refused")
    line = said.strip().splitlines()[-1]
    published = (bench.lake / "runs" / "refused" / "clean.json").exists()
    happened = f"refused ({code}): {line}" if code else "published"
    return CommandOutcome("clean", moment, happened.replace(str(bench.shell.folder), ""), bench.current() == before, 0,
                          not published, left_over(bench.lake, "refused"))  # fmt: skip


def _at_once(bench: Bench, before: tuple[str, str, str]) -> CommandOutcome:
    code, said = bench.shell.synthspark("--twins", program=(__file__,))
    if code != 0:
        raise RuntimeError(f"two runs at once: {said[-3000:]}")
    expected = {name: digest for name, digest in contents(bench.lake, QUIET).items() if name.startswith("clean/")}
    same = all(contents(bench.lake, run_id) == expected for run_id in TWINS)
    shown = len({bench.partitions(run_id) for run_id in TWINS}) == 1
    left = [name for run_id in TWINS for name in left_over(bench.lake, run_id)]
    return CommandOutcome("clean", "two runs publish at once", "both ended", bench.current() == before, 0,
                          same and shown, left)  # fmt: skip


def publish_twins(path: Path) -> None:
    """Publish two runs at once, in one session: the embedded metastore admits one process only."""
    config = load(path)
    with session("synthspark-faults", config.spark) as spark, ThreadPoolExecutor(len(TWINS)) as pool:
        lake = open_lake(spark, config)
        list(pool.map(lambda run_id: run_stage(Context(spark, lake, config, run_id), "clean"), TWINS))


PARTS: dict[str, Callable[[Bench], Iterator[CommandOutcome]]] = {
    "apply": of_apply, "promote": of_promote, "two": of_two_promotions, "catalogue": of_catalogue, "prune": of_prune,
}  # fmt: skip


def main(folder: Path, parts: Sequence[str]) -> None:
    """Run the parts and write their results; results of parts that are not run are kept."""
    bench = Bench(folder)
    bench.prepare()
    kept = json.loads(COMMAND_RESULTS.read_text()) if COMMAND_RESULTS.exists() else []
    for part in parts:
        found = []
        for outcome in PARTS[part](bench):
            found.append(asdict(outcome))
            print(json.dumps(found[-1]), flush=True)
        lines = {(row["command"], row["moment"]): row for row in [*kept, *found]}
        kept = list(lines.values())
        COMMAND_RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    write_commands()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="kept after the run; an existing one is continued")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run (default: all)")
    parser.add_argument("--twins", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--config", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.twins:
        publish_twins(given.config)
        sys.exit()
    with tempfile.TemporaryDirectory(prefix="synthspark-commands-") as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        main(folder, given.parts)
