"""One cluster, one zip and one shop for all tests here; a run of the whole job on them that nobody disturbs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from planted import STAGES_JOB, UP_TO_SYNTHESIZE, small
from standalone import ROOT, Cluster, bare_python
from submitted import Job

from tests.integration.test_pipeline import write_shop


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_python(tmp_path_factory.mktemp("python") / "venv")


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, str(ROOT / "scripts" / "dist.py"), str(folder)], check=True)
    (found,) = folder.glob("*.zip")
    return found


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"), python)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    return folder


@pytest.fixture(scope="session")
def config(shop: Path) -> Path:
    path = shop / "small.yaml"
    path.write_text(yaml.safe_dump(small(shop)))
    return path


@pytest.fixture(scope="session")
def lake(config: Path) -> Path:
    return Path(yaml.safe_load(config.read_text())["lake"]["root"])


@pytest.fixture(scope="session")
def undisturbed(cluster: Cluster, archive: Path, config: Path) -> str:
    """The run that others are compared with, up to synthesize: its id."""
    driver = cluster.submit(STAGES_JOB, [str(config), "whole", *UP_TO_SYNTHESIZE], archive)
    assert driver.wait() == 0, driver.words
    return "whole"


@pytest.fixture
def job(cluster: Cluster, archive: Path, config: Path) -> Job:
    return Job(cluster, archive, config)
