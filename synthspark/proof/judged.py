"""Evaluation of a protocol: the training rows of every arm, plain ALS on them, and the metrics of every slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace

from pyspark.sql import DataFrame

from synthspark.coldstart.baskets import DAYS, NO_FORMS
from synthspark.coldstart.evidence import of_split
from synthspark.coldstart.learn import Learned, learn
from synthspark.coldstart.spaces import als_blocks, als_settings
from synthspark.judging.neighbours import neighbours
from synthspark.proof.arms import REAL, Judged, statistics
from synthspark.proof.protocols import PROTOCOLS
from synthspark.proof.references import WIDEST_CATEGORY, content_knn, popular_in_category, popular_lately
from synthspark.ranking.measures import Questions, SliceResult, averaged, best_of, measure, questions, rank_items
from synthspark.ranking.split import WARM, Slice, Split
from synthspark.recommend import fit_als, popular
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.sides import ITEMS, SIDES

Results = dict[str, dict[str, SliceResult]]


def judge_protocol(
    context: Context, staged: Publication, splits: Mapping[str, Split], protocol: str, seed: int, report: StageReport
) -> Iterator[tuple[str, Results]]:
    """Yield name and results of each of a protocol's `splits`; sizes and placings go to the report."""
    learned: Learned | None = None
    with staged.scope():
        for name, split in splits.items():
            known = None
            later = not PROTOCOLS[protocol].drawn
            if learned is None and _asks_more_than_real(context):
                known = learned = _learned(context, staged, split, later, f"{protocol}-{seed}")
            with staged.scope():
                if learned is not None and known is None:
                    known = replace(
                        learned, evidence=of_split(context, staged, split, later, learned.evidence.encodings)
                    )
                judged = Judged.of(context, staged, split, known, seed)
                results = _results(judged, PROTOCOLS[protocol].slices, name, report)
            yield name, results


def _asks_more_than_real(context: Context) -> bool:
    config = context.config.evaluate
    return set(config.arms) != {REAL} or bool(config.ablations)


def _learned(context: Context, staged: Publication, split: Split, later: bool, name: str) -> Learned:
    """Learn from the split's training rows alone, for the sides with cold entities."""
    roles = zip(SIDES, (split.items, split.users), strict=True)
    cold = [side for side, of in roles if of.where(of["role"] != WARM).take(1)]
    ablations = {n: dict(a.hyper) for n, a in context.config.evaluate.ablations.items() if a.hyper}
    return learn(context, staged, of_split(context, staged, split, later), name, cold, ablations)


def _results(judged: Judged, slices: Mapping[str, Slice], name: str, report: StageReport) -> Results:
    """Measure every configured arm and the reference rankers on every slice."""
    config, staged = judged.context.config.evaluate, judged.staged
    asked = questions(judged.split, slices)
    asked = asked._replace(truth=staged.keep("truth", asked.truth))
    results: Results = {}
    for number, arm in enumerate(arms := [*config.arms, *config.ablations], 1):
        judged.context.on_step(f"{name}, split {judged.seed}: arm {arm} ({number} of {len(arms)})")
        rows = judged.rows(arm)
        if rows is not None:
            results[arm] = _by_als(judged, arm, rows, asked)
    judged.context.on_step(f"{name}, split {judged.seed}: rankers without ALS")
    for ranker, lists in _references(judged):
        results[ranker] = measure(asked, staged.keep(ranker, lists), config.ks)
    _report(judged, f"{name}, seed {judged.seed}", report)
    return results


def _by_als(judged: Judged, arm: str, rows: DataFrame, asked: Questions) -> dict[str, SliceResult]:
    context, ks = judged.context, judged.context.config.evaluate.ks
    settings, blocks, found = als_settings(context), als_blocks(context), []
    for start in range(context.config.evaluate.als_seeds):
        factors = fit_als(rows, replace(settings, seed=settings.seed + start), blocks)
        lists = rank_items(judged.split, factors.users, factors.items, max(ks))
        found.append(measure(asked, judged.staged.keep(f"{arm}/{start}", lists), ks))
    return averaged(found)


def _references(judged: Judged) -> Iterator[tuple[str, DataFrame]]:
    """Yield name and lists of rankers other than ALS: `popular` always, the others if items are cold.

    `popular_lately` is for splits by time; `content_knn` ranks cold items only.
    """
    split, config, learned = judged.split, judged.context.config.evaluate, judged.learned
    yield "popular", rank_items(split, *popular(split.train), max(config.ks))
    if learned is None or not config.references:
        return
    if learned.evidence.later:
        yield "popular_lately", rank_items(split, *popular_lately(split, DAYS), max(config.ks))
    if ITEMS.name not in learned.models:
        return
    warm, cold = learned.evidence.warm(ITEMS), learned.evidence.cold(ITEMS)
    table, stats = statistics(learned, ITEMS)
    codes = [(n, c) for c, n in zip(table.codes, table.cardinalities, strict=True) if n <= WIDEST_CATEGORY]
    if codes:
        values, code = max(codes)
        vectors = popular_in_category(split.train, warm.unionByName(cold), code, values)
        yield "popular_in_category", rank_items(split, *vectors, max(config.ks))
    near = neighbours(cold, warm, ITEMS.index, table, stats)
    yield "content_knn", best_of(content_knn(split.train, near), split, max(config.ks))


def _report(judged: Judged, where: str, report: StageReport) -> None:
    """Report the sizes of the split, the placing and the form of the baskets."""
    product = judged.product
    sizes = {"training interactions": judged.split.train.count(),
             "synthetic interactions": sum(part.count() for part in product.parts())}  # fmt: skip
    for side, roles in (("users", judged.split.users), ("items", judged.split.items)):
        sizes |= {f"{r['role']} {side}": r["count"] for r in roles.groupBy("role").count().orderBy("role").collect()}
    report.tables[where] = sizes
    if judged.learned and judged.learned.judge:
        placing, trials = judged.learned.judge.placing, judged.learned.judge.meta["trials"]
        report.notes.append(f"{where}: {placing.words()}")
        report.details.setdefault("placings", {})[where] = {**asdict(placing), "trials": trials}
    if product.tried:
        told = ", ".join(f"{name} {value:.4f}" for name, value in product.tried.items())
        report.notes.append(f"{where}: NDCG@20 of warm users treated as cold, by form of the baskets: {told}")
        if product.forms == NO_FORMS:
            report.notes.append(f"{where}: cold users get no virtual events, because no form does better")
