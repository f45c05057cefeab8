"""The judge as a small network (`PairDiscriminator`), stored as safetensors; it is trained on the driver's CPU."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from typing_extensions import Self

from synthspark.errors import LakeError, TrainingError
from synthspark.judging.judge import Judge, both_kinds, held_out, roc_auc
from synthspark_models import PairDiscriminator
from synthspark_models.judge import log_scaled

PATIENCE = 8
"""Epochs without a gain on held-out items before training stops; most gains come late, when the rate is low."""
WARM_UP = 0.1
"""Share of the steps in which the learning rate rises; in the rest it falls by a cosine."""
CHUNK = 16_384
"""Rows per batch outside of training: bounds the memory beside the features."""

MIN_VARIANCE = 1e-12
"""Variance below which a feature counts as constant: it comes from rounding alone."""


@dataclass(frozen=True)
class NetworkSettings:
    """Size and training of the judge."""

    epochs: int = 20
    hidden: int = 128
    dropout: float = 0.1
    learning_rate: float = 7e-3
    """Maximum of the schedule."""
    weight_decay: float = 1e-2
    batch_size: int = 1024
    seed: int = 0


@dataclass(frozen=True)
class NetworkJudge(Judge):
    """A trained network."""

    network: PairDiscriminator

    model: ClassVar[str] = "network"
    file: ClassVar[str] = "model.safetensors"

    def probability(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """See `Judge.probability`."""
        with torch_threads(1):
            logits = _logits(self.network, features, np.arange(len(features)))
        found: npt.NDArray[np.float64] = torch.sigmoid(logits).numpy()
        return found

    def to_bytes(self) -> bytes:
        """Return the weights, and mean and standard deviation of the features."""
        data: bytes = save_tensors({k: v.detach().contiguous() for k, v in self.network.state_dict().items()})
        return data

    def settings(self) -> dict[str, Any]:
        """Return the sizes of the network."""
        return {"num_features": len(self.network.mean), "hidden": self.network.hidden}

    @classmethod
    def from_bytes(cls, data: bytes, meta: Mapping[str, Any]) -> Self:
        """See `Judge.from_bytes`."""
        shape = meta["settings"]
        network = PairDiscriminator(shape["num_features"], shape["hidden"])
        try:
            network.load_state_dict(load_tensors(data))
        except (SafetensorError, RuntimeError) as error:
            raise LakeError(f"{cls.file} does not fit judge.json: {error}; train again") from error
        return cls(meta["auc"], meta["num_pairs"], network.eval())


@dataclass(frozen=True)
class _Pairs:
    """Labelled pairs, and the row numbers of those for training and of those watched for early stopping, if any."""

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.bool_]
    train: npt.NDArray[np.intp]
    watched: npt.NDArray[np.intp] | None


def fit_network(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.bool_],
    items: npt.NDArray[np.int32],
    names: list[str],
    settings: NetworkSettings,
) -> NetworkJudge | None:
    """Fit a network, with arguments as in `fit_trees`; the same rows and seed give the same bytes.

    It never trains on held-out items: training stops early by the loss on them. Raises TrainingError if the loss is not
    a number.
    """
    held = held_out(items)
    if not both_kinds(labels[~held]):
        return None
    watched = np.flatnonzero(held) if both_kinds(labels[held]) else None
    pairs = _Pairs(features, labels, np.flatnonzero(~held), watched)
    with torch.random.fork_rng(devices=[]), torch_threads(1):  # sums over several threads depend on their number
        torch.manual_seed(settings.seed)
        network = PairDiscriminator(len(names), settings.hidden, settings.dropout)
        network.standardize_by(*_moments(features, pairs.train))
        _fit(network, pairs, settings)
        auc = None if watched is None else roc_auc(labels[watched], _logits(network, features, watched).numpy())
    return NetworkJudge(auc, len(labels), network.eval())


def _fit(network: PairDiscriminator, pairs: _Pairs, settings: NetworkSettings) -> None:
    """Train in place; if pairs are watched, keep the weights of the epoch with the lowest loss on them."""
    optimizer = AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * math.ceil(len(pairs.train) / settings.batch_size)
    schedule = LambdaLR(optimizer, partial(_share_of_rate, steps=steps))
    best, since, kept = math.inf, 0, network.state_dict()
    for _ in range(settings.epochs):
        _epoch(network, pairs, settings.batch_size, optimizer, schedule)
        if pairs.watched is None:
            continue
        loss = _loss(_logits(network, pairs.features, pairs.watched), pairs.labels[pairs.watched]).item()
        if loss < best:
            best, since, kept = loss, 0, copy.deepcopy(network.state_dict())
        else:
            since += 1
        if since == PATIENCE:
            break
    network.load_state_dict(kept)


def _epoch(
    network: PairDiscriminator, pairs: _Pairs, batch_size: int, optimizer: Optimizer, schedule: LambdaLR
) -> None:
    """Train on each training pair once, in random order; only one batch at a time is copied."""
    network.train()
    for batch in _batches(pairs.train[torch.randperm(len(pairs.train)).numpy()], batch_size):
        loss = _loss(network(torch.from_numpy(pairs.features[batch])), pairs.labels[batch])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()


def _share_of_rate(step: int, steps: int) -> float:
    """Return the share of the maximum learning rate at a step: linear warm-up, then a cosine."""
    rising = max(1, round(WARM_UP * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 + 0.5 * math.cos(math.pi * (step - rising) / max(1, steps - rising))


def _batches(rows: npt.NDArray[np.intp], size: int) -> Iterator[npt.NDArray[np.intp]]:
    for start in range(0, max(len(rows), 1), size):
        yield rows[start : start + size]


def _loss(logits: Tensor, labels: npt.NDArray[np.bool_]) -> Tensor:
    loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels).to(logits.dtype))
    if not math.isfinite(loss.item()):
        raise TrainingError(f"judge: the network's loss is {loss.item()}; set judge.model to trees")
    return loss


def _logits(network: PairDiscriminator, features: npt.NDArray[np.float32], rows: npt.NDArray[np.intp]) -> Tensor:
    """Return logits (len(rows),) of `rows`, without dropout; double, for sums and for probabilities near 0 and 1."""
    network.eval()
    with torch.no_grad():
        parts = [network(torch.from_numpy(features[part])).double() for part in _batches(rows, CHUNK)]
    return torch.cat(parts)


def _moments(features: npt.NDArray[np.float32], rows: npt.NDArray[np.intp]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the scaled features of `rows`, shape (F,) each; 0 for a constant one."""
    total, squares = torch.zeros(2, features.shape[1], dtype=torch.float64)
    for part in _batches(rows, CHUNK):
        total += _scaled(features[part]).sum(0)
    mean = total / len(rows)
    for part in _batches(rows, CHUNK):
        squares += (_scaled(features[part]) - mean).square().sum(0)
    variance = squares / len(rows)
    return mean, torch.where(variance > MIN_VARIANCE, variance.sqrt(), 0.0)


def _scaled(features: npt.NDArray[np.float32]) -> Tensor:
    return log_scaled(torch.from_numpy(features).double())


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Limit torch to `count` threads within the block: sums over several threads depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
