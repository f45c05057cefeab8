"""Traversals of an infogan's latent codes: rows at every value of one code, with noise and other codes fixed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from synthspark.features import encoding as encodings
from synthspark.features.encoding import TableEncoding
from synthspark.report.facts import Panel, Traversal
from synthspark_models import Codes, InfoGanGenerator

ROWS = 512
"""Number of rows generated at each value of a code."""
MAX_CODES = 4
"""Maximum number of codes of each kind, to keep the report short."""
MAX_PANELS = 3
"""Maximum number of attributes per code: those that it changes most."""
CLASSES = 6
STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Values of a continuous code."""
OTHERS, MISSING, UNKNOWN = "(others)", "(missing)", "(missing or rare)"


def traversals(network: InfoGanGenerator, encoding: TableEncoding, side: str, seed: int) -> list[Traversal]:
    """Return one traversal per code, categorical ones first. side: `items` or `users`, used in titles."""
    shape = network.code_shape
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(ROWS, network.noise_dim, generator=random)
    categorical = torch.randint(shape.categories, (ROWS, shape.categorical), generator=random)
    continuous = torch.rand(ROWS, shape.continuous, generator=random) * 2 - 1
    found = []
    for place in range(min(shape.categorical, MAX_CODES)):
        steps = [Codes(_with(categorical, place, value), continuous) for value in range(shape.categories)]
        made = [_generated(network, encoding, noise, codes, seed) for codes in steps]
        title = f"categorical code {place + 1} of new {side}"
        found.append(Traversal(title, [str(v + 1) for v in range(shape.categories)], _most_changed(encoding, made)))
    for place in range(min(shape.continuous, MAX_CODES)):
        steps = [Codes(categorical, _with(continuous, place, value)) for value in STEPS]
        made = [_generated(network, encoding, noise, codes, seed) for codes in steps]
        title = f"continuous code {place + 1} of new {side}"
        found.append(Traversal(title, [f"{v:g}" for v in STEPS], _most_changed(encoding, made)))
    return found


def _with(codes: torch.Tensor, place: int, value: float) -> torch.Tensor:
    changed = codes.clone()
    changed[:, place] = value
    return changed


def _generated(
    network: InfoGanGenerator, encoding: TableEncoding, noise: torch.Tensor, codes: Codes, seed: int
) -> dict[str, npt.NDArray[np.object_]]:
    """Return attribute -> its decoded values, shape (ROWS,)."""
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # sampling of categories needs the same noise, too
        sample = network(network.assemble(noise, codes))
    decoded = encodings.decode(encoding, sample.codes().numpy(), sample.numbers.numpy())
    return {name: np.asarray(decoded[name], dtype=object) for name, kind in encoding.kinds.items()
            if kind in ("categorical", "numeric") and name not in encoding.left_out}  # fmt: skip


def _most_changed(encoding: TableEncoding, made: list[dict[str, npt.NDArray[np.object_]]]) -> list[Panel]:
    """Return the attributes whose shares the code changes most: mean total variation distance from their mean."""
    panels = []
    for name in made[0]:
        columns = [rows[name] for rows in made]
        ordered = encoding.kinds[name] == "numeric"
        classes = dict(_of_numbers(columns) if ordered else _of_values(columns))
        panels.append(Panel(name, {c: shares for c, shares in classes.items() if max(shares)}, ordered))
    return sorted(panels, key=_movement, reverse=True)[:MAX_PANELS]


def _movement(panel: Panel) -> float:
    shares = np.array(list(panel.shares.values()))
    return float(np.abs(shares - shares.mean(axis=1, keepdims=True)).sum(axis=0).mean() / 2)


def _of_values(columns: list[npt.NDArray[np.object_]]) -> Iterator[tuple[str, list[float]]]:
    there, counts = np.unique([str(v) for column in columns for v in column if v is not None], return_counts=True)
    shown = [str(v) for v in there[np.lexsort((there, -counts))][:CLASSES]]
    words = [np.array([UNKNOWN if v is None else str(v) for v in column]) for column in columns]
    for value in shown:
        yield value, [float((column == value).mean()) for column in words]
    yield OTHERS, [float((~np.isin(column, [*shown, UNKNOWN])).mean()) for column in words]
    yield UNKNOWN, [float((column == UNKNOWN).mean()) for column in words]


def _of_numbers(columns: list[npt.NDArray[np.object_]]) -> Iterator[tuple[str, list[float]]]:
    """Yield classes between the quartiles of all generated values, with their shares."""
    numbers = [column.astype(np.float64) for column in columns]
    known = np.concatenate(numbers)
    known = known[~np.isnan(known)]
    inner = np.unique(np.quantile(known, [0.25, 0.5, 0.75])) if len(known) else np.empty(0)
    ends = [-np.inf, *inner, np.inf]
    for low, high in zip(ends, ends[1:], strict=False):
        words = f"up to {high:.4g}" if low == -np.inf else f"above {low:.4g}" if high == np.inf else f"to {high:.4g}"
        yield words, [float(((column > low) & (column <= high)).mean()) for column in numbers]
    yield MISSING, [float(np.isnan(column).mean()) for column in numbers]
