"""What spark-submit ships is what driver, workers and training run; nothing else of synthspark is there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from standalone import GPUS, ROOT, Cluster

pytestmark = pytest.mark.cluster
PROBE = Path(__file__).parent / "probe_job.py"


def test_the_zip_alone_is_imported_everywhere(cluster: Cluster, archive: Path, tmp_path: Path) -> None:
    bare = [str(cluster.python), "-c", "import synthspark"]
    hidden = subprocess.run(bare, cwd=tmp_path, env=cluster.environment(), capture_output=True, text=True)
    assert "No module named 'synthspark'" in hidden.stderr
    driver = cluster.submit(PROBE, [str(tmp_path), "1"], archive)
    assert driver.wait() == 0, driver.words
    found = json.loads((tmp_path / "found.json").read_text())
    children = [json.loads((tmp_path / "launch-0" / f"{rank}.json").read_text()) for rank in range(2)]
    assert [c["world"] for c in children] == ["2", "2"]
    for seen in [found["driver"], *found["workers"], *children]:
        for package in ("synthspark", "synthspark_models"):
            place = Path(seen[package])
            assert archive.name in place.parts, place
            assert ROOT not in place.parents
    # The workers' and children's copy is the one that Spark has fetched into the executor's folder.
    assert all(str(cluster.folder) in seen["synthspark"] for seen in [*found["workers"], *children])


def test_only_training_asks_for_gpus_and_each_rank_has_its_own(cluster: Cluster, archive: Path, tmp_path: Path) -> None:
    conf = {"spark.executor.resource.gpu.amount": "1"}
    driver = cluster.submit(PROBE, [str(tmp_path), "2"], archive, conf)
    assert driver.wait(240) == 0, driver.words
    found = json.loads((tmp_path / "found.json").read_text())
    assert {tuple(seen["gpus"]) for seen in found["workers"]} == {()}
    for launch in range(2):  # the second in Python workers that are used again
        seen = [json.loads((tmp_path / f"launch-{launch}" / f"{rank}.json").read_text())["gpu"] for rank in range(2)]
        assert sorted(seen) == sorted(GPUS)
