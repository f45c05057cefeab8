"""Losses and metrics to where a team keeps those of all its models: TensorBoard or MLflow, if asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from synthspark.config import Config, public_yaml
from synthspark.errors import ConfigError


class Tracker(Protocol):
    """Where figures go."""

    def number(self, name: str, value: float, step: int) -> None:
        """A figure, and the epoch or seed that it is of."""

    def close(self) -> None:
        """All that was told is written."""


class Nowhere:
    """The default."""

    def number(self, name: str, value: float, step: int) -> None:
        """Forget it."""

    def close(self) -> None:
        """Nothing is open."""


class TensorBoard:
    """Event files below a folder, one folder per run (extra `tensorboard`)."""

    def __init__(self, folder: str, run_id: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(f"{folder.rstrip('/')}/{run_id}")

    def number(self, name: str, value: float, step: int) -> None:
        """A scalar."""
        self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush the file."""
        self._writer.close()


class MLflow:
    """A run of the experiment `synthspark`, with the configuration as an artifact (extra `mlflow`)."""

    def __init__(self, uri: str | None, config: Config, run_id: str) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name("synthspark")
        experiment = found.experiment_id if found else self._client.create_experiment("synthspark")
        self._run = self._client.create_run(experiment, run_name=run_id).info.run_id
        self._client.log_text(self._run, public_yaml(config), "configuration.yaml")

    def number(self, name: str, value: float, step: int) -> None:
        """A metric."""
        self._client.log_metric(self._run, "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name), value,
                                step=step)  # fmt: skip

    def close(self) -> None:
        """The run is finished."""
        self._client.set_terminated(self._run)


def tracker(config: Config, run_id: str) -> Tracker:
    """What `tracking.to` names. Raises ConfigError where its package is not installed."""
    to, uri = config.tracking.to, config.tracking.uri
    if to == "none":
        return Nowhere()
    if find_spec(to) is None:
        raise ConfigError(f"tracking.to: {to!r} is not installed: pip install 'synthspark[{to}]', or set it to none")
    if to == "tensorboard":
        return TensorBoard(uri or "./tensorboard", run_id)
    return MLflow(uri, config, run_id)


def track_epoch(to: Tracker, name: str, record: Mapping[str, Any]) -> None:
    """The losses of an epoch of the generator `name`."""
    for key, value in record.items():
        if key.endswith("_loss") or key == "mutual_information":
            to.number(f"{name}/{key}", float(value), int(record["epoch"]))


def track_metrics(to: Tracker, rows: Sequence[Mapping[str, Any]]) -> None:
    """What was judged: a figure per protocol, slice, metric and arm, by split seed."""
    for row in (r for r in rows if r["value"] is not None):
        to.number(
            f"{row['protocol']}/{row['slice']}/{row['metric']}_{row['k']}/{row['arm']}", row["value"], row["seed"]
        )
