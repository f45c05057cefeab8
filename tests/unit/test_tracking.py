from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synthspark.config import Config, parse
from synthspark.errors import ConfigError
from synthspark.tracking import track_epoch, track_metrics, tracker


def configured(to: str, uri: Path | str | None = None, **spark: str) -> Config:
    events = {"path": "e", "event_type": "purchase", "columns": {"user_id": "u", "item_id": "i"}}
    tracking = {"to": to, "uri": None if uri is None else str(uri)}
    return parse({"source": {"events": events}, "tracking": tracking, "spark": spark})


def track(config: Config) -> None:
    to = tracker(config, "run-1")
    for epoch in (1, 2):
        track_epoch(to, "profile_items", {"epoch": epoch, "epochs": 2, "generator_loss": 3.0 / epoch, "seconds": 9.0})
    rows: list[dict[str, Any]] = [
        {"protocol": "cold_item", "slice": "cold", "metric": "ndcg", "k": 20, "arm": arm, "value": value, "seed": 1}
        for arm, value in (("real+synthetic", 0.13), ("unjudged, no ranking", 0.07), ("real", None))
    ]
    track_metrics(to, rows)
    to.close()


def test_tensorboard_gets_losses_and_metrics(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track(configured("tensorboard", tmp_path))
    found = EventAccumulator(str(tmp_path / "run-1")).Reload()
    assert [(e.step, e.value) for e in found.Scalars("profile_items/generator_loss")] == [(1, 3.0), (2, 1.5)]
    assert found.Scalars("cold_item/cold/ndcg_20/real+synthetic")[0].value == pytest.approx(0.13)
    assert not any("seconds" in tag for tag in found.Tags()["scalars"])


def test_mlflow_gets_them_too_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = tmp_path.as_uri()
    track(configured("mlflow", uri, **{"spark.hadoop.fs.s3a.secret.key": "hush"}))
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("synthspark")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED" and run.info.run_name == "run-1"
    losses = client.get_metric_history(run.info.run_id, "profile_items/generator_loss")
    assert [(m.step, m.value) for m in losses] == [(1, 3.0), (2, 1.5)]
    assert run.data.metrics["cold_item/cold/ndcg_20/unjudged_ no ranking"] == 0.07
    written = Path(client.download_artifacts(run.info.run_id, "configuration.yaml", str(tmp_path))).read_text()
    assert "purchase" in written and "hush" not in written


def test_by_default_nothing_is_written_and_a_missing_package_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    track(configured("none"))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("synthspark.tracking.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"'mlflow' is not installed: pip install 'synthspark\[mlflow\]'"):
        tracker(configured("mlflow"), "run-1")


def test_tracking_does_not_make_a_run_another_one() -> None:
    assert configured("none").fingerprint() == configured("tensorboard", "x").fingerprint()
