"""docs/profiles.md from the measured rows and the figures of other tools."""

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
WORDS = """Written by `make benchmark-profiles`. Two real tables are split into 80 % train and 20 % holdout. Each
model makes as many rows as the holdout has. QR is SDMetrics' quality, CS column shapes, CPT column pair trends, AUC
detection by boosted trees (.5 is best), Cov the share of train's categories that appear, Hier the share of rows that
keep every hierarchy, DCR the share of rows nearer to train than to the holdout (.5 is best), MIA membership inference
(.5 is best; [evaluation](evaluation.md) describes the attack). Rows of other tools are quoted: they were measured in
{date} on the same two tables by the reference scorer.

`default` is what the job does. `no_judge` publishes its proposals unjudged (the anchor alone); `adversarial` adds the
gradient of a row discriminator to these ([networks](networks.md)); `adversarial_judged` has both. `protected` never
emits a category that fewer than five rows have; `private` is the same, unjudged and trained by DP-SGD (decisions/010;
epsilon with noise 1: {epsilon}). The classics (`gan` ... `wgan_gp`) are trained for 8 epochs on ITEMS and 120 on USERS.
Models without a row were not run. The real holdout has sampling noise, and rows selected for balance have less of it
(decisions/008), so that its figures can be exceeded. Fit counts the CPU time of training and judging, without the JVM's
(9 to 25 s). Times of `default` were measured on 2 otherwise idle cores, the others beside other work."""


def report(rows: list[dict[str, Any]], peers: dict[str, Any]) -> str:
    """Return the whole page."""
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
    """Return a sentence on the effect of the judge and of the discriminator's gradient on quality and privacy."""
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
