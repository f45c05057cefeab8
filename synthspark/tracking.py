"""Send losses and metrics to an experiment tracker, TensorBoard or MLflow, if configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from synthspark.config import Config, public_yaml
from synthspark.errors import ConfigError


class Tracker(Protocol):
    """Destination of losses and metrics."""

    def number(self, name: str, value: float, step: int) -> None:
        """Record a value. step: its epoch or split seed."""

    def close(self) -> None:
        """Write all recorded values and close."""


class Nowhere:
    """Tracker that discards everything; the default."""

    def number(self, name: str, value: float, step: int) -> None:
        """Discard the value."""

    def close(self) -> None:
        """Do nothing."""


class TensorBoard:
    """Tracker that writes event files, in one folder per run (extra `tensorboard`)."""

    def __init__(self, folder: str, run_id: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(f"{folder.rstrip('/')}/{run_id}")

    def number(self, name: str, value: float, step: int) -> None:
        """Write a scalar."""
        self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush the file."""
        self._writer.close()


class MLflow:
    """Tracker that creates a run of experiment `synthspark`, with the configuration as artifact (extra `mlflow`)."""

    def __init__(self, uri: str | None, config: Config, run_id: str) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name("synthspark")
        experiment = found.experiment_id if found else self._client.create_experiment("synthspark")
        self._run = self._client.create_run(experiment, run_name=run_id).info.run_id
        self._client.log_text(self._run, public_yaml(config), "configuration.yaml")

    def number(self, name: str, value: float, step: int) -> None:
        """Log a metric."""
        self._client.log_metric(self._run, "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name), value,
                                step=step)  # fmt: skip

    def close(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run)


def tracker(config: Config, run_id: str) -> Tracker:
    """Create the tracker that `tracking.to` names. Raises ConfigError if its package is not installed."""
    to, uri = config.tracking.to, config.tracking.uri
    if to == "none":
        return Nowhere()
    if find_spec(to) is None:
        raise ConfigError(f"tracking.to: {to!r} is not installed: pip install 'synthspark[{to}]', or set it to none")
    if to == "tensorboard":
        return TensorBoard(uri or "./tensorboard", run_id)
    return MLflow(uri, config, run_id)


def track_epoch(to: Tracker, name: str, record: Mapping[str, Any]) -> None:
    """Record the losses of an epoch of the generator `name`."""
    for key, value in record.items():
        if key.endswith("_loss") or key == "mutual_information":
            to.number(f"{name}/{key}", float(value), int(record["epoch"]))


def track_metrics(to: Tracker, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record the metrics of the evaluation: one value per protocol, slice, metric and arm; the step is the seed."""
    for row in (r for r in rows if r["value"] is not None):
        to.number(
            f"{row['protocol']}/{row['slice']}/{row['metric']}_{row['k']}/{row['arm']}", row["value"], row["seed"]
        )
