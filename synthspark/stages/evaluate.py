"""Stage evaluate: every protocol, its metrics with intervals, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from synthspark.config import Evaluate
from synthspark.likeness.of_run import likeness
from synthspark.proof.arms import PRODUCT
from synthspark.proof.judged import Results, judge_protocol
from synthspark.proof.protocols import PROTOCOLS
from synthspark.ranking.gate import Difference, Verdict, combine_verdicts, depth, verdict
from synthspark.ranking.measures import MetricRow, metric_rows, paired_difference
from synthspark.report.headline import cautions, sample_in_words
from synthspark.runs.context import Context, StageReport
from synthspark.runs.current import sample_of
from synthspark.runs.lake import STAGES
from synthspark.runs.tables import INTERACTIONS
from synthspark.search.of_run import prove_search


def evaluate(context: Context) -> StageReport:
    """Publish reports/metrics.json: every arm on every slice, and the verdict."""
    config, report = context.config.evaluate, StageReport()
    with context.publication("evaluate") as staged:
        rows: list[MetricRow] = []
        results: dict[str, list[Results]] = {}
        asked = [
            (p, seed) for p in config.protocols for seed in (config.seeds if PROTOCOLS[p].drawn else config.seeds[:1])
        ]
        # Make all splits before any generator is trained, or an unusable split would be found hours later.
        splits = [PROTOCOLS[name].splits(context, staged, name, seed, report) for name, seed in asked]
        for (protocol, seed), of_seed in zip(asked, splits, strict=True):
            for name, found in judge_protocol(context, staged, of_seed, protocol, seed, report):
                results.setdefault(name, []).append(found)
                rows += metric_rows(found, config.ks, name, seed, config.bootstrap)
        sample = sample_of(context.lake.records(context.run_id))
        decision = combine_verdicts({name: decided(config, name, found) for name, found in results.items()})
        if sample:
            decision = replace(decision, why=f"{sample_in_words(sample)}: {decision.why}")
        context.on_step("comparing new rows with real ones")
        alike, apart = likeness(context, staged, report) if config.profiles else ([], [])
        searched, search = prove_search(context, staged, report)
        told = [r.to_json() for r in [*rows, *searched]]
        report.notes += [line for name in results for line in cautions(told, name, depth(config.ks))]
        report.rows_in = context.rows("featurize", INTERACTIONS)
        report.rows_out = len(told)
        report.details |= {"verdict": asdict(decision), "protocols": told}
        staged.details.update(report.to_json())
        earlier = [context.lake.record(context.run_id, stage) or {"stage": stage} for stage in STAGES[:-1]]
        metrics = {
            "run_id": context.run_id,
            "protocols": report.details["protocols"],
            "fidelity": alike,
            "privacy": apart,
            "verdict": report.details["verdict"],
            **({"sample": sample} if sample else {}),
            **({"search": search} if search is not None else {}),
            "stages": [_timing(r) for r in [*earlier, {"stage": "evaluate", **report.to_json()}]],
        }
        staged.write_json("reports/metrics.json", metrics)
    context.lake.delete(context.checkpoints())
    return report


def _timing(record: Mapping[str, Any]) -> dict[str, Any]:
    return {k: record.get(k) for k in ("stage", "seconds", "rows_in", "rows_out", "rows_rejected")}


def decided(config: Evaluate, protocol: str, results: list[Results]) -> Verdict:
    """Return the verdict of one protocol over its splits: "do not ship" if a deciding arm or slice is missing."""
    if not {"real", PRODUCT} <= set(results[0]):
        return Verdict(False, f"do not ship: the arms 'real' and {PRODUCT!r} were not both judged")
    of = PROTOCOLS[protocol.partition("+")[0]]
    for name in ("cold", "warm"):
        if any(name not in result[arm] for result in results for arm in ("real", PRODUCT)):
            return Verdict(False, f"do not ship: nothing is held out in slice {name!r} of protocol {protocol}; raise "
                                  f"evaluate.{of.held_by[name]}, or bring more events")  # fmt: skip

    k = depth(config.ks)

    def difference(name: str) -> Difference:
        sums: Mapping[str, list[Any]] = {a: [r[a][name].sums for r in results] for a in ("real", PRODUCT)}
        return paired_difference(sums["real"], sums[PRODUCT], config.ks, f"ndcg_{k}", config.bootstrap, config.seeds[0])

    return verdict(difference("cold"), difference("warm"), f"NDCG@{k}", of.drawn)
