"""The utility tables from raw data: `make benchmark-utility` (about 15 minutes on 2 cores).

Runs clean, featurize and evaluate on the demo's shop with three split seeds and every arm, and writes
docs/utility.md and benchmarks/results/utility.json (rows as in metrics.json).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthspark.cli import run_job
from synthspark.evaluation.arms import SLICES

ROOT = Path(__file__).resolve().parents[1]
LAKE = ROOT / "benchmarks" / "lake"
RUN = "utility"
SHOWN = (("cold", "ndcg"), ("warm", "ndcg"), ("all", "ndcg"), ("all", "recall"))
K = 20


def main(seeds: Sequence[int] = (0, 1, 2)) -> None:
    """Run the stages and write both files."""
    settings = [f"lake.root={LAKE}", f"evaluate.seeds={list(seeds)}",
                "evaluate.arms=[real, real+synthetic, no_judge, permuted, random, popularity, duplicated]"]  # fmt: skip
    for stage in ("clean", "featurize", "evaluate"):
        run_job(ROOT / "conf" / "demo.yaml", stage, RUN, settings)
    metrics = json.loads((LAKE / "reports" / RUN / "metrics.json").read_text())
    results = ROOT / "benchmarks" / "results" / "utility.json"
    results.write_text(json.dumps({"protocols": metrics["protocols"], "verdict": metrics["verdict"]}, indent=1) + "\n")
    (ROOT / "docs" / "utility.md").write_text(report(metrics["protocols"], metrics["verdict"]["why"]))


def report(rows: list[dict[str, Any]], verdict: str) -> str:
    """docs/utility.md: per seed and on average."""
    seeds = sorted({row["seed"] for row in rows})
    parts = [
        "# Utility on Complete Journey",
        "Written by `make benchmark-utility`; the protocol and the arms are those of [evaluation](evaluation.md). "
        f"Spark's ALS, the same settings for all arms, k = {K}; 95 % intervals over users, and the least and the "
        "greatest value over seeds.",
        f"Verdict over all seeds: {verdict}",
        f"## Mean of {len(seeds)} seeds",
        _table(rows, seeds),
    ]
    for seed in seeds:
        parts += [f"## Seed {seed}", _table(rows, [seed])]
    return "\n\n".join(parts) + "\n"


def _table(rows: list[dict[str, Any]], seeds: Sequence[int]) -> str:
    names = [f"{s} {'NDCG' if m == 'ndcg' else 'Recall'}@{K}" for s, m in SHOWN]
    lines = [f"| arm | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for arm in dict.fromkeys(row["arm"] for row in rows):
        cells = [_cell(rows, seeds, arm, *shown) for shown in SHOWN]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(rows: list[dict[str, Any]], seeds: Sequence[int], arm: str, slice_name: str, metric: str) -> str:
    assert slice_name in SLICES
    key = (arm, slice_name, metric, K)
    found = [r for r in rows if r["seed"] in seeds and (r["arm"], r["slice"], r["metric"], r["k"]) == key]
    value = sum(r["value"] for r in found) / len(found)
    if len(seeds) > 1:
        return f"{value:.4f} ({min(r['value'] for r in found):.4f} to {max(r['value'] for r in found):.4f})"
    return f"{value:.4f} ({found[0]['ci_low']:.4f}-{found[0]['ci_high']:.4f})"


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or (0, 1, 2))
