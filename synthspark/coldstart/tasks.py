"""Training tasks of the generators, as configured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pyspark.sql import functions as F

from synthspark.coldstart.spaces import SPACE_OF, Place
from synthspark.config import Network
from synthspark.errors import ConfigError, did_you_mean
from synthspark.features.encoding import TableEncoding
from synthspark.features.feeds import factors_in, positive_columns
from synthspark.runs.context import Context
from synthspark.runs.tables import behaviour_feed, factors
from synthspark.sides import Side
from synthspark.training import TrainingTask
from synthspark.training.storage import portable
from synthspark.training.task import DEFAULTS, Bag

BEHAVIOUR = "behaviour"


def generator_task(
    context: Context, name: str, encoding: TableEncoding, feed: str, rows: int, output: str,
    hyper: Mapping[str, float | int | str | bool] | None = None,
) -> TrainingTask:  # fmt: skip
    """Return the task of a generator that learns from encoded columns. hyper: overrides configured settings.

    Raises ConfigError for a network of the other kind, or for settings that the network does not have.
    """
    config = context.config.train
    network: Network = getattr(config, name)
    kind = name.partition("_")[0]
    if (kind == BEHAVIOUR) != (network.network == BEHAVIOUR):
        raise ConfigError(f"train.{name}.network: {network.network!r} is not a network for {kind}s")
    require_known_settings(name, network.network, network.hyper)
    return TrainingTask(
        name=name,
        network=network.network,
        feed_url=portable(feed),
        num_rows=rows,
        code_columns=encoding.code_columns,
        cardinalities=encoding.cardinalities,
        number_columns=encoding.number_columns,
        bags=[Bag(list(b.columns), b.id_weights, b.hashed_weight) for b in encoding.bags],
        output_url=portable(output),
        epochs=network.epochs or config.epochs,
        batch_size=network.batch_size or config.batch_size,
        seed=context.config.seed,
        device=config.device,
        hyper={**network.hyper, **(hyper or {})},
    )


def behaviour_task(
    context: Context, place: Place, encoding: TableEncoding, side: Side, rows: int, output: str,
    hyper: Mapping[str, float | int | str | bool] | None = None,
) -> TrainingTask:  # fmt: skip
    """Return the task of a side's behaviour generator; its space and its feed of `rows` rows must be written."""
    space, feed = SPACE_OF[side], place.url(behaviour_feed(side))
    task = generator_task(context, f"{BEHAVIOUR}_{side.name}", encoding, feed, rows, output, hyper)
    columns, scale = _factors(place, space, side)
    return replace(
        task,
        factor_columns=columns,
        factor_scale=scale,
        activity_column="log_activity",
        positive_columns=positive_columns(context.config.features.positives),
        counterpart_url=portable(place.url(factors(space, side.other))),
    )


def require_known_settings(name: str, network: str, hyper: Mapping[str, object]) -> None:
    """Raise ConfigError for a setting of train.`name` that the network does not have."""
    known = DEFAULTS[network]
    for key in hyper:
        if key not in known:
            raise ConfigError(f"train.{name}.hyper: key {key!r} does not exist.{did_you_mean(key, known)} "
                              f"Known: {', '.join(sorted(known))}.")  # fmt: skip


def _factors(place: Place, space: str, side: Side) -> tuple[list[str], float]:
    """Return the factor columns of a table, and the root mean square over all of them."""
    table = place.read(factors(space, side))
    columns = factors_in(table.columns)
    squares = sum((F.col(c) * F.col(c) for c in columns), F.lit(0.0))
    scale = float((table.agg(F.avg(squares)).collect()[0][0] / len(columns)) ** 0.5)
    return columns, scale if scale > 0 else 1.0
