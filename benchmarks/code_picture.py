"""Picture of generated rows as a code of `infogan` varies: docs/images/infogan_codes.png."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

MAX_SHOWN = 6
"""Number of categories with a colour of their own; all others are merged."""
MIN_LEGIBLE = 0.005
DPI = 110


class Moved(NamedTuple):
    """Rows generated with a code at one value; the noise is the same for every value."""

    value: float
    shares: dict[str, dict[str, float]]
    """Column -> category -> its share of the rows."""
    numbers: npt.NDArray[np.float32]
    """Encoded values of one numeric column, without missing ones."""
    missing: float
    """Share of rows in which this number is missing."""


def draw(path: Path, studied: dict[str, list[Moved]], bounds: dict[str, float], number: str) -> None:
    """Draw a row of panels per code: each column's shares as bars, then the number's median and interquartile range.

    bounds: lower bound of each code's mutual information with the rows, in nats.
    """
    columns = list(next(iter(studied.values()))[0].shares)
    figure, axes = plt.subplots(len(studied), len(columns) + 1, figsize=(4 * len(columns) + 4, 3.2 * len(studied)),
                                squeeze=False, layout="constrained")  # fmt: skip
    shown = {column: _frequent([m.shares[column] for all_of in studied.values() for m in all_of]) for column in columns}
    for line, (code, moved) in zip(axes, studied.items(), strict=True):
        for axis, column in zip(line, columns, strict=False):
            _bars(axis, [m.shares[column] for m in moved], shown[column])
            axis.set_xticks(range(len(moved)), [f"{m.value:g}" for m in moved])
            axis.set_title(column, fontsize=9)
        _number(line[-1], moved)
        line[-1].set_title(f"{number}, as encoded: median and middle half", fontsize=9)
        line[0].set_ylabel(f"{code} code\nmutual information >= {bounds[code]:.2f} nats", fontsize=9)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(figure)


def _frequent(shares: list[dict[str, float]]) -> list[str]:
    """Return the most frequent categories over all values of all codes, so that colours mean the same everywhere."""
    total: dict[str, float] = {}
    for of_value in shares:
        for name, share in of_value.items():
            total[name] = total.get(name, 0.0) + share
    return sorted(total, key=lambda name: -total[name])[:MAX_SHOWN]


def _bars(axis: Axes, shares: list[dict[str, float]], shown: list[str]) -> None:
    places, below = np.arange(len(shares)), np.zeros(len(shares))
    for rank, name in enumerate([*shown, "others"]):
        heights = np.array([_share(of_value, name, shown) for of_value in shares])
        if heights.max() < MIN_LEGIBLE:
            continue
        axis.bar(places, heights, bottom=below, label=name, width=0.8,
                 color="lightgrey" if name == "others" else plt.get_cmap("tab10")(rank))  # fmt: skip
        below += heights
    axis.set_ylim(0, 1)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _share(shares: dict[str, float], name: str, shown: list[str]) -> float:
    return 1 - sum(shares.get(n, 0.0) for n in shown) if name == "others" else shares.get(name, 0.0)


def _number(axis: Axes, moved: list[Moved]) -> None:
    for place, m in enumerate(moved):
        if len(m.numbers):
            low, middle, high = np.quantile(m.numbers, [0.25, 0.5, 0.75])
            axis.plot([place, place], [low, high], color="tab:blue", linewidth=6, alpha=0.4)
            axis.plot(place, middle, "o", color="tab:blue")
        axis.text(place, -1.24, f"{m.missing:.0%}", fontsize=7, ha="center", va="bottom")
    axis.set_xticks(range(len(moved)), [f"{m.value:g}" for m in moved])
    axis.set_ylim(-1.26, 1.05)
    axis.tick_params(labelsize=8)
    axis.set_xlabel("above the value of the code: share of rows without it", fontsize=8)
