"""docs/profiles.md from the measured rows and the peers' figures."""

from __future__ import annotations

from typing import Any

COLUMNS = {
    "quality": "QR",
    "column_shapes": "CS",
    "column_pair_trends": "CPT",
    "detection_auc": "AUC",
    "category_coverage": "Cov",
    "hierarchy_valid": "Hier",
    "dcr_train_share": "DCR",
    "exact_copy_share": "copies",
    "membership_auc": "MIA",
    "fit_cpu_s": "fit CPU s",
    "peak_rss_gb": "peak GiB",
    "sample_rows_per_s": "rows/s",
}
ORDER = (
    "holdout",
    "independent",
    "default",
    "no_judge",
    "adversarial",
    "adversarial_judged",
    "protected",
    "private",
    "wgan_gp",
    "dcgan",
    "infogan",
    "gan",
)
HALVES = {
    "default": "Before and after the judge, on a holdout that neither it nor the generator saw",
    "adversarial": "Without and with the gradient of a discriminator, both unjudged",
}
WATCHED = ("quality", "detection_auc", "dcr_train_share", "membership_auc", "exact_copy_share")
WORDS = """Written by `make benchmark-profiles`. Two real tables, 80 % to learn from, 20 % held out; as many rows are
drawn as the holdout has. QR SDMetrics' quality, CS column shapes, CPT pair trends, AUC detection by boosted trees (.5
is best), Cov categories of train that appear, Hier rows that keep every hierarchy, DCR share of rows nearer to train
than to the holdout (.5 is best), MIA membership inference (.5 is best; [evaluation](evaluation.md) has the attack).
Rows of other tools are quoted: they were measured in {date} on the same two tables by the reference scorer.

`default` is what the job does; `no_judge` its proposals as they come (the anchor alone); `adversarial` these with
the gradient of a discriminator of rows ([networks](networks.md)), `adversarial_judged` with both; `protected` never
emits a category that fewer than five rows have; `private` is that, unjudged, by DP-SGD (decisions/010; epsilon with
noise 1: {epsilon}); the classics (`gan` ... `wgan_gp`) are trained for 8 passes of ITEMS and 120 of USERS. What has
no row was not run. The real holdout has the noise of a sample, and rows taken in balance have less of it
(decisions/008): so its figures can be passed. Fit counts the CPU of training and of judging, without the JVM's (9 to
25 s). Figures of time of `default` were taken alone on 2 cores, the others beside other work."""


def report(rows: list[dict[str, Any]], peers: dict[str, Any]) -> str:
    """The whole page."""
    epsilon = ", ".join(f"{r['epsilon']:g} on {r['table'].upper()}" for r in rows if "epsilon" in r) or "not measured"
    parts = ["# Profiles", WORDS.format(date=peers["date"], epsilon=epsilon)]
    for table in sorted({r["table"] for r in rows}):
        mine = sorted((r for r in rows if r["table"] == table), key=lambda r: ORDER.index(r["model"]))
        mine += [r for r in peers["rows"] if r["table"] == table]
        lines = [f"| {table} | {' | '.join(COLUMNS.values())} |", "|---|" + "---|" * len(COLUMNS)]
        lines += [f"| {r['model']} | {' | '.join(_cell(r.get(c)) for c in COLUMNS)} |" for r in mine]
        parts += [f"## {table}", "\n".join(lines), *_halves({r["model"]: r for r in mine})]
    return "\n\n".join(parts) + "\n"


def _halves(rows: dict[str, dict[str, Any]]) -> list[str]:
    """What each adversarial half changes of the anchor alone, quality and privacy beside each other."""
    if "no_judge" not in rows:
        return []
    found = []
    for model, words in HALVES.items():
        if model in rows:
            before, after = rows["no_judge"], rows[model]
            moves = [f"{COLUMNS[c]} {before[c]:.3f} -> {after[c]:.3f}" for c in WATCHED]
            found.append(f"{words}: {', '.join(moves)}.")
    return [" ".join(found)] if found else []


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) and value <= 1 else f"{value:,}"
