"""The standalone command of docs/cluster.md with `--archives`: workers have no package but the archive's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from planted import STAGES_JOB, UP_TO_SYNTHESIZE
from standalone import ROOT, Cluster
from submitted import alike

pytestmark = pytest.mark.archive
PROBE = Path(__file__).parent / "probe_job.py"
ENVIRONMENT = ROOT / "dist" / "environment"
"""Of `make dist-env`: Spark's own home here, and the driver's Python."""
CONF = {
    "spark.archives": f"{ENVIRONMENT}.tar.gz#environment",
    "spark.pyspark.driver.python": str(ENVIRONMENT / "bin" / "python"),
    "spark.pyspark.python": "./environment/bin/python",
}


class WithoutPackages(Cluster):
    """Its daemons and drivers find no Python but the system's."""

    def environment(self) -> dict[str, str]:
        """That of a cluster, without its Python."""
        found = super().environment()
        del found["PYSPARK_PYTHON"]
        return {**found, "PATH": found["PATH"].partition(os.pathsep)[2]}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = WithoutPackages(tmp_path_factory.mktemp("bare"), ENVIRONMENT / "bin" / "python")
    yield made
    made.close()


def test_workers_and_training_have_the_packages_of_the_archive(bare: Cluster, archive: Path, tmp_path: Path) -> None:
    driver = bare.submit(PROBE, [str(tmp_path), "1"], archive, CONF)
    assert driver.wait() == 0, driver.words
    workers = json.loads((tmp_path / "found.json").read_text())["workers"]
    children = [json.loads((tmp_path / "launch-0" / f"{rank}.json").read_text()) for rank in range(2)]
    for seen in [*workers, *children]:
        for place in (Path(seen["python"]), Path(seen["torch"])):
            assert bare.folder in place.parents, place  # the executor's own folder
            assert "environment" in place.parts


def test_the_archive_makes_the_rows_of_an_installed_environment(
    bare: Cluster, archive: Path, config: Path, lake: Path, undisturbed: str
) -> None:
    driver = bare.submit(STAGES_JOB, [str(config), "archived", *UP_TO_SYNTHESIZE], archive, CONF)
    assert driver.wait() == 0, driver.words
    alike(lake, "archived", undisturbed)
