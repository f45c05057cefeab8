"""Pictures of facts as SVG, without state or display. Labels are plain text: `$` starts no formula."""

from __future__ import annotations

import io
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from synthspark.report.facts import Curve, Distribution, Heat, Panel, Traversal

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Palette of Okabe and Ito, distinguishable with colour blindness."""
STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "synthspark", "text.parse_math": False, "font.size": 9,
    "font.family": ["sans-serif"], "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10,
    "axes.titlelocation": "left", "legend.frameon": False,
}  # fmt: skip
MAX_LENGTH = 24
"""Maximum number of characters of a label."""
MAX_TICKS = 13
MAX_READ = 1000
UNWRITABLE = ("Cc", "Cs", "Cn")
"""Unicode categories that SVG text cannot hold: control characters, surrogates, unassigned code points."""


def distribution(facts: Distribution) -> str:
    """Draw real and synthetic shares side by side."""

    def draw(axes: Axes) -> None:
        if facts.form == "bars":
            _bars(axes, facts)
        else:
            classes = [float(x) for x in facts.classes]
            for (name, shares), colour in zip(facts.series.items(), COLOURS, strict=False):
                if facts.form == "bins":
                    axes.stairs(list(shares), classes, label=name, color=colour, linewidth=1.5)
                else:
                    axes.plot(classes, [s or float("nan") for s in shares], "o-", ms=3, label=name, color=colour)
            if facts.form == "tail":
                axes.set_xscale("log")
                axes.set_yscale("log")
                for side in (axes.xaxis, axes.yaxis):  # the default formatter writes powers as markup
                    side.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
                    side.set_minor_formatter(NullFormatter())
        axes.set_ylabel("share that reaches it" if facts.form == "tail" else "share")
        _legend(axes)

    return _svg(draw, (4.6, 3.0))


def _bars(axes: Axes, facts: Distribution) -> None:
    width = 0.8 / len(facts.series)
    for i, ((name, shares), colour) in enumerate(zip(facts.series.items(), COLOURS, strict=False)):
        axes.bar([x + i * width for x in range(len(shares))], list(shares), width, label=name, color=colour)
    middle = (len(facts.series) - 1) * width / 2
    every = 1 if len(facts.classes) <= MAX_TICKS else 4
    labels = [shortened(str(c)) for c in facts.classes][::every]
    turned = 45 if max(map(len, labels)) > 3 else 0
    ticks = [x + middle for x in range(0, len(facts.classes), every)]
    axes.set_xticks(ticks, labels, rotation=turned, ha="right" if turned else "center")


PRODUCTS = ("real+synthetic", "real+synthetic by hybrid")
"""Arms that a shop would serve, for events and for searches."""
BASES = ("real", "real by words")
"""Baseline arms for PRODUCTS."""


def arms(rows: Sequence[tuple[str, float, float | None, float | None]], metric: str) -> str:
    """Draw a metric by arm. rows: (name, value, lower end, upper end); None for ends without an interval."""

    def draw(axes: Axes) -> None:
        places = range(len(rows), 0, -1)
        for place, (name, value, low, high) in zip(places, rows, strict=True):
            colour = COLOURS[1] if name in PRODUCTS else COLOURS[0] if name in BASES else COLOURS[7]
            axes.barh(place, value, color=colour, height=0.7)
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color="black", linewidth=1.5)
        axes.set_yticks(list(places), [shortened(name) for name, *_ in rows])
        axes.set_xlabel(metric)

    return _svg(draw, (4.6, 0.8 + 0.26 * len(rows)))


def heat(facts: Heat) -> str:
    """Draw a matrix of column pairs."""

    def draw(axes: Axes) -> None:
        size, place = len(facts.columns), {name: i for i, name in enumerate(facts.columns)}
        grid = [[float("nan")] * size for _ in range(size)]
        for a, b, value in facts.pairs:
            grid[place[a]][place[b]] = grid[place[b]][place[a]] = value
        shown = axes.imshow(grid, cmap="Reds", vmin=0.0, vmax=max(0.2, *(v for *_, v in facts.pairs)))
        labels = [shortened(name) for name in facts.columns]
        axes.set_xticks(range(size), labels, rotation=45, ha="right")
        axes.set_yticks(range(size), labels)
        figure = axes.get_figure()
        assert figure is not None
        figure.colorbar(shown, ax=axes)

    side = 2.2 + 0.3 * len(facts.columns)
    return _svg(draw, (side + 0.8, side))


def curve(facts: Curve) -> str:
    """Draw losses by epoch."""

    def draw(axes: Axes) -> None:
        for (name, losses), colour in zip(facts.losses.items(), COLOURS, strict=False):
            axes.plot(range(1, len(losses) + 1), list(losses), "o-", ms=2, label=shortened(name), color=colour)
        axes.set_xlabel("epoch")
        _legend(axes)

    return _svg(draw, (4.6, 3.0))


def traversal(facts: Traversal) -> str:
    """Draw one panel per attribute: its classes as a stacked bar at each value of the code."""

    def draw(figure: Figure) -> None:
        for axes, panel in zip(figure.subplots(1, len(facts.panels), squeeze=False)[0], facts.panels, strict=True):
            _stacked(axes, facts.values, panel)

    return _drawn(draw, (3.4 * len(facts.panels), 2.6))


def _stacked(axes: Axes, values: Sequence[str], panel: Panel) -> None:
    below = [0.0] * len(values)
    number = len(panel.shares)
    for i, (name, shares) in enumerate(panel.shares.items()):
        plain = mpl.colormaps["Blues"]((i + 1) / number) if panel.ordered else COLOURS[i % len(COLOURS)]
        colour = "#dddddd" if name.startswith("(") else plain
        axes.bar(range(len(values)), list(shares), 0.8, below, label=shortened(name), color=colour)
        below = [b + s for b, s in zip(below, shares, strict=True)]
    axes.set_xticks(range(len(values)), list(values))
    axes.set_ylim(0, 1)
    axes.set_title(shortened(panel.attribute))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=7)


def gauges(rows: Sequence[tuple[str, float, float]]) -> str:
    """Draw figures between 0 and 1 and their distance from the best value. rows: (name, value, best value)."""

    def draw(axes: Axes) -> None:
        places = range(len(rows), 0, -1)
        for place, (_, value, best) in zip(places, rows, strict=True):
            axes.plot([0, 1], [place, place], color="#dddddd", linewidth=6, solid_capstyle="round")
            axes.plot([best, value], [place, place], color=COLOURS[1], linewidth=2)
            axes.plot([best], [place], "|", color="black", ms=12, mew=2)
            axes.plot([value], [place], "o", color=COLOURS[1], ms=7)
        axes.set_yticks(list(places), [name for name, *_ in rows])
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(0.4, len(rows) + 0.6)

    return _svg(draw, (4.6, 0.6 + 0.32 * len(rows)))


def _legend(axes: Axes) -> None:
    """Place the legend above the drawing, where it hides nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2, handlelength=1.2, columnspacing=1)


def shortened(text: str) -> str:
    """Return `text` on one line of at most MAX_LENGTH characters, all valid in SVG."""
    line = " ".join(text[:MAX_READ].split())
    line = "".join("\ufffd" if unicodedata.category(c) in UNWRITABLE else c for c in line)
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 1] + "…"


def _svg(draw: Callable[[Axes], Any], size: tuple[float, float]) -> str:
    return _drawn(lambda figure: draw(figure.add_subplot()), size)


def _drawn(draw: Callable[[Figure], Any], size: tuple[float, float]) -> str:
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the browser's fonts are used, not these
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()
