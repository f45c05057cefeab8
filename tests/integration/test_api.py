"""The job from Python, in the session of whoever calls it; and the notebook of docs/, every cell of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

import synthspark as ss
from synthspark.errors import ConfigError, LakeError
from synthspark.session import is_running

pytestmark = [pytest.mark.spark, pytest.mark.slow]
NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def notebook(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What its names are bound to after the last cell. The session is that of the tests, and outlives it."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    space: dict[str, Any] = {}
    zone = "America/New_York"
    spark.conf.set("spark.sql.session.timeZone", zone)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        for cell in cells:
            if cell["cell_type"] == "code":
                assert cell["outputs"] == []  # it shows what it says where it runs
                exec(compile("".join(cell["source"]), cell["id"], "exec"), space)
        space["zone"] = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    assert is_running() and space["zone"] == zone
    return space


def test_a_run_has_its_tables_verdict_and_report(notebook: dict[str, Any]) -> None:
    monday = notebook["monday"]
    assert monday.stages == ["clean", "featurize", "train", "synthesize", "recommend", "evaluate"]
    assert set(monday.verdict) >= {"ship", "why"} and monday.metrics["verdict"] == monday.verdict
    assert monday.clean.items.count() == 160 and monday.rejects.count() == 0
    assert monday.recommendations.count() > 0 and monday.synthetic.users.columns[:2] == ["user_id", "town"]
    assert "<iframe srcdoc=" in notebook["report"]._repr_html_() and notebook["report"].path.endswith("report.html")


def test_what_came_overnight_is_placed(notebook: dict[str, Any]) -> None:
    fresh: DataFrame = notebook["tuesday"].synthetic.events.where("item_id = 'fresh'")
    buyers = [int(row["user_id"][1:]) for row in fresh.collect()]
    assert buyers and sum(buyer % 4 == 2 for buyer in buyers) / len(buyers) > 0.6
    assert notebook["tuesday"].verdict is None
    assert notebook["lake"].ids == ["monday", "tuesday"] and notebook["lake"].current is None


def test_what_is_not_there_is_named(notebook: dict[str, Any], tmp_path: Path) -> None:
    lake, tuesday = notebook["lake"], notebook["tuesday"]
    with pytest.raises(LakeError, match=r"there is no run 'sunday'; there are \['monday', 'tuesday'\]"):
        lake.run("sunday")
    assert lake.run("monday").id == "monday"
    with pytest.raises(LakeError, match="run 'tuesday' has no report.html: it was not judged"):
        tuesday.report()
    with pytest.raises(LakeError, match="run 'tuesday' has no table 'recommendations'; it has published"):
        tuesday.recommendations.count()
    with pytest.raises(ConfigError, match="source"):
        ss.open({"lake": {"root": str(tmp_path)}})
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        getattr(ss, "runn")  # noqa: B009
