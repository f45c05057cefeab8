"""The report page: facts and pictures in one HTML file without external resources."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from synthspark import __version__
from synthspark.ranking.gate import depth
from synthspark.report import pictures
from synthspark.report.facts import Facts, in_short
from synthspark.report.headline import headline, mean
from synthspark.report.summary import SEARCH, summary

SLICES = {
    "cold": "cold",
    "cold_user": "new users",
    "unseen": "queries never typed before",
    "warm": "warm",
    "all": "all",
    "cold_in_all": "new items among all",
    "warm_in_all": "known items among all",
}
METRICS = (("ndcg", "NDCG"), ("recall", "Recall"))
GAUGES = {
    "dcr_train_share": "nearer to train than to the holdout",
    "membership_auc": "membership inference AUC",
    "exact_copy_share": "exact copies of real rows",
    "singling_out_univariate": "singled out by one attribute",
    "singling_out_multivariate": "singled out by several",
}
CHANCE = 0.5
"""Best value of the first two gauges."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Figure:
    """A picture with its title, or the reason why it is missing."""

    title: str
    source: str | None
    """Data URL: the page loads nothing, and scripts in the picture cannot run."""
    why: str = ""


def page(facts: Facts) -> str:
    """Return the HTML; all values from data are escaped."""
    loader = jinja2.PackageLoader("synthspark.report", "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True)  # fmt: skip
    metrics = facts.metrics
    judged = {name: _protocol(metrics["protocols"], name) for name in _names(metrics["protocols"])}
    html = environment.get_template("report.html.j2").render(
        facts=facts,
        version=__version__,
        headline=headline(metrics, facts.who),
        summary=summary(facts),
        verdict=metrics["verdict"],
        search=metrics.get("search"),
        protocols={name: shown for name, shown in judged.items() if not name.startswith(SEARCH)},
        search_protocols={name: shown for name, shown in judged.items() if name.startswith(SEARCH)},
        products=pictures.PRODUCTS,
        distributions=[_figure(d.title, pictures.distribution, d) for d in facts.distributions],
        heats=[_figure(h.title, pictures.heat, h) for h in facts.heats if h.pairs],
        curves=[_figure(c.title, pictures.curve, c) for c in facts.curves],
        traversals=[_figure(t.title, pictures.traversal, t) for t in facts.traversals if t.panels],
        gauges=_gauges(metrics["privacy"]),
        fidelity=_plain(metrics["fidelity"]),
        privacy=_plain(metrics["privacy"]),
    )
    return html.encode(errors="replace").decode()  # lone surrogates cannot be written to a file


def _figure(title: str, draw: Callable[..., str], *facts: Any) -> Figure:
    """Draw `facts`; on an error return a figure with the reason, so that the rest of the page is still made."""
    try:
        svg = draw(*facts).encode()
    except Exception as error:
        log.warning("report: picture %r could not be drawn", title, exc_info=True)
        return Figure(title, None, in_short(error))
    return Figure(title, "data:image/svg+xml;base64," + base64.b64encode(svg).decode())


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(r["protocol"]) for r in rows))


def _protocol(rows: Sequence[Mapping[str, Any]], protocol: str) -> dict[str, Any]:
    """Return the pictures by slice, and the table of their figures."""
    mine = [r for r in rows if r["protocol"] == protocol]
    k = depth({int(r["k"]) for r in mine})
    arms = list(dict.fromkeys(str(r["arm"]) for r in mine))
    parts = [s for s in SLICES if any(r["slice"] == s for r in mine)]
    figures = []
    for part in parts:
        bars = []
        for arm in arms:
            value, low, high = (mean(mine, protocol, arm, part, "ndcg", k, f) for f in ("value", "ci_low", "ci_high"))
            if value is not None:
                bars.append((arm, value, low, high))
        if bars:
            words = f"NDCG@{k}, 95 % interval"
            figures.append(_figure(f"{SLICES[part]}: NDCG@{k}", pictures.arms, bars, words))
    columns = [(part, metric) for metric, _ in METRICS for part in parts]
    table = [(arm, [mean(mine, protocol, arm, part, metric, k) for part, metric in columns]) for arm in arms]
    heads = [f"{SLICES[part]} {dict(METRICS)[metric]}@{k}" for part, metric in columns]
    return {"figures": figures, "heads": heads, "table": table, "seeds": sorted({r["seed"] for r in mine})}


def _gauges(rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
    figures = []
    for table in dict.fromkeys(str(r["table"]) for r in rows):
        known = {r["figure"]: r["value"] for r in rows if r["table"] == table}
        measured = [(words, *_against(name, known)) for name, words in GAUGES.items()]
        shown = [(words, value, best) for words, value, best in measured if value is not None and best is not None]
        if shown:
            figures.append(_figure(f"new {table} (bar: value for real rows)", pictures.gauges, shown))
    return figures


def _against(name: str, known: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return a figure and its baseline, the value for rows that no generator learned from."""
    value = known.get(name)
    if isinstance(value, Mapping):  # singling out: train and holdout
        return value["train"], value["holdout"]
    return value, known.get(f"{name}_holdout", CHANCE)


def _plain(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, float]]]:
    """Return table -> its figures that are single numbers."""
    found: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        if isinstance(row["value"], int | float):
            found.setdefault(str(row["table"]), []).append((str(row["figure"]), float(row["value"])))
    return found
