"""A protocol judged: every arm's table, plain ALS on it, and the metrics of every slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.evaluation.arms import Questions, SliceResult, averaged, best_of, measure, questions, ranked
from synthspark.evaluation.controls import blind_pairs, duplicated_pairs, permuted
from synthspark.evaluation.references import WIDEST_CATEGORY, content_knn, popular, popular_in_category
from synthspark.evaluation.simple import knn_vectors, neighbours, ridge_vectors
from synthspark.evaluation.split import SLICES, Slice, Split
from synthspark.judging import ItemStatistics, PairTable, item_statistics
from synthspark.lake import Publication
from synthspark.pipeline.audience import ALS_SPACE, ITEM_SPACE, place
from synthspark.pipeline.baskets import Asked, Form, baskets, best_form, cold_users
from synthspark.pipeline.context import Context, StageReport, als_blocks
from synthspark.pipeline.featurize import als_settings
from synthspark.pipeline.learning import NOTHING, Learned, Side, learn
from synthspark.recommend import fit_als, with_virtual
from synthspark.synthesis.generate import preferences

Results = dict[str, dict[str, SliceResult]]
PRODUCT = "real+synthetic"
Parts = list[DataFrame]
"""Virtual events as `user_index`, `item_index`, `weight`: those of cold items, and those of cold users."""


def judge_protocol(
    context: Context, staged: Publication, splits: Mapping[str, Split], protocol: str, seed: int, report: StageReport
) -> Iterator[tuple[str, Results]]:
    """Name and results of each of a protocol's `splits`; what they were judged on goes to the report."""
    config = context.config.evaluate
    learned = NOTHING if set(config.arms) == {"real"} and not config.ablations and not config.references else None
    for name, split in splits.items():
        learned = learned or learn(context, staged, split, f"{protocol}-{seed}")
        yield name, _Proof(context, staged, split, learned, seed).results(SLICES[protocol], name, report)


class _Proof:
    """The arms of one split."""

    def __init__(self, context: Context, staged: Publication, split: Split, learned: Learned, seed: int) -> None:
        self.context, self.staged, self.split, self.learned, self.seed = context, staged, split, learned, seed
        self.budget = learned.judge.placing.budget if learned.judge else None
        """Of every arm, with a judge or without: the same volume."""
        self.forms: list[Form | None] = []
        self.shares: list[dict[str, float]] = []

    def results(self, slices: Mapping[str, Slice], name: str, report: StageReport
                ) -> Results:  # fmt: skip
        """Every configured arm and the reference rankers on every slice."""
        config = self.context.config.evaluate
        product = self._kept(PRODUCT, self._product(self.learned))
        asked = questions(self.split, slices)
        asked = asked._replace(truth=self.staged.keep("truth", asked.truth))
        results: Results = {}
        for arm in [*config.arms, *config.ablations]:
            rows = self._rows(arm, product)
            if rows is not None:
                results[arm] = self._by_als(arm, rows, asked)
        for ranker, lists in self._references():
            results[ranker] = measure(asked, self.staged.keep(ranker, lists), config.ks)
        sizes = {"training interactions": self.split.train.count(),
                 "synthetic interactions": sum(p.count() for p in product)}  # fmt: skip
        for side, roles in (("users", self.split.users), ("items", self.split.items)):
            sizes |= {
                f"{r['role']} {side}": r["count"] for r in roles.groupBy("role").count().orderBy("role").collect()
            }
        report.tables[f"{name}, seed {self.seed}"] = sizes
        if self.learned.judge:
            placing = self.learned.judge.placing
            report.notes.append(f"{name}, seed {self.seed}: budget {placing.budget:g}, weight {placing.weight:g}")
        if self.shares:
            report.notes.append(f"{name}, seed {self.seed}: preference that ALS gives back, by form of the baskets: "
                                + ", ".join(f"{k} {v:.3f}" for k, v in self.shares[0].items()))  # fmt: skip
        if None in self.forms:
            report.notes.append(
                f"{name}, seed {self.seed}: cold users get no virtual events, none of these does better"
            )
        return results

    def _rows(self, arm: str, product: Parts) -> DataFrame | None:
        """What ALS is trained on in an arm; None where the arm does not exist for this data."""
        train = self.split.train
        if arm == "real":
            return train
        if arm in (PRODUCT, "synthetic_only"):
            parts = product
            if not parts:
                return train if arm == PRODUCT else None
        else:
            made = self._added(arm, product)
            if not made:
                return None
            parts = self._kept(arm, made)
        rows = reduce(DataFrame.unionByName, parts)
        return self.staged.keep(f"rows/{arm}", with_virtual(train.limit(0) if arm == "synthetic_only" else train, rows))

    def _added(self, arm: str, product: Parts) -> Parts:
        """The virtual events of an arm; none where the arm does not exist for this data."""
        learned, ablations = self.learned, self.context.config.evaluate.ablations
        makers: dict[str, Callable[[], Parts]] = {
            "no_judge": lambda: self._product(replace(learned, judge=None)) if learned.judge else [],
            "permuted": lambda: self._product(_permuted(learned, self.seed)),
            "knn": lambda: self._simple(self._knn),
            "ridge": lambda: self._simple(self._ridge),
            "random": lambda: self._blind(product, "uniform"),
            "popularity": lambda: self._blind(product, "popularity"),
            "duplicated": lambda: self._duplicated(product),
        }
        if arm in makers:
            return makers[arm]()
        settings = ablations[arm]
        if learned.items is None:
            return []
        judged = learned if settings.judged else replace(learned, judge=None)
        return self._product(judged, model=arm if settings.hyper else "items", budget=settings.budget,
                             weight=settings.weight)  # fmt: skip

    def _product(
        self, learned: Learned, model: str = "items", budget: float | None = None, weight: float | None = None
    ) -> Parts:
        """What the job would publish for the cold of this split."""
        parts = []
        seed = self.context.config.synthesize.seed + self.seed
        if learned.items is not None and learned.shop is not None:
            asked, about = learned.items.cold.withColumn("noise", F.lit(0.0)), learned.models[model]
            made = self.staged.keep("made", preferences(asked, "item_index", about.url, about.meta, seed))
            parts.append(self._audiences(learned, made, budget, weight))
        if learned.users is not None:
            about = learned.models["users"]
            users, targets = learned.users.cold.withColumn("noise", F.lit(0.0)), learned.spaces[ALS_SPACE, "items"]
            cold = cold_users(self.context, self.staged, users, targets, self.split.train, about.url, about.meta)
            parts += self._baskets(cold)
        return parts

    def _audiences(
        self, learned: Learned, made: DataFrame, budget: float | None = None, weight: float | None = None
    ) -> DataFrame:
        assert learned.items is not None and learned.shop is not None
        shop = replace(
            learned.shop, items=self.staged.keep("items", learned.shop.items.unionByName(learned.items.cold))
        )
        budget = budget or self.budget
        return place(self.context, self.staged, shop, made, learned.judge, self.split.train, budget, weight)

    def _simple(self, vectors_of: Callable[[Side, DataFrame], DataFrame]) -> Parts:
        """The product's placing, with preference vectors from a simple model and nobody to judge them."""
        learned, parts = self.learned, []
        if learned.items is not None and learned.items.encoding.encoders:
            made = vectors_of(learned.items, learned.spaces[ITEM_SPACE, "items"])
            parts.append(self._audiences(replace(learned, judge=None), self.staged.keep("made", made)))
        if learned.users is not None and learned.users.encoding.encoders:
            vectors = learned.spaces[ALS_SPACE, "users"]
            made = self.staged.keep("made", vectors_of(learned.users, vectors))
            own = self.split.train.join(made, on="user_index", how="left_semi")
            parts += self._baskets(Asked(made, learned.spaces[ALS_SPACE, "items"], self.split.train, own))
        return parts

    def _baskets(self, asked: Asked) -> Parts:
        """In the form that suits the product best; none where no form does."""
        if not self.forms:
            form, shares = best_form(self.context, self.staged, asked)
            self.forms.append(form)
            self.shares.append(shares)
        return [] if self.forms[0] is None else [baskets(self.context, asked, self.forms[0])]

    def _knn(self, side: Side, vectors: DataFrame) -> DataFrame:
        warm = side.warm.join(vectors, on=side.index, how="left_semi")  # items of the judge's fold have no place
        near = neighbours(side.cold, warm, side.index, *self._statistics(side))
        return knn_vectors(near, vectors, side.index)

    def _ridge(self, side: Side, vectors: DataFrame) -> DataFrame:
        return ridge_vectors(side.cold, side.warm, vectors, side.index, PairTable.of(side.encoding))

    def _statistics(self, side: Side) -> tuple[PairTable, ItemStatistics]:
        table = PairTable.of(side.encoding)
        as_items = side.warm.withColumnRenamed(side.index, "item_index")
        pairs = self.split.train.select(F.col(side.index).alias("item_index"))
        return table, item_statistics(as_items, pairs, table)

    def _blind(self, product: Parts, by: str) -> Parts:
        """As many pairs as the product's, of its mean weight: with cold users each as many as the product gives him."""
        train, items, parts = self.split.train, self.split.items.select("item_index"), []
        for place_of, part in enumerate(product):
            volume, weight = part.agg(F.count(F.lit(1)), F.avg("weight")).collect()[0]
            users = train.select("user_index").distinct()
            if self.learned.items is None or place_of == 1:  # those of cold users
                users = part.groupBy("user_index").agg(F.count(F.lit(1)).cast("double").alias("share"))
            pairs = blind_pairs(users, items, train, volume, by, self.seed)
            parts.append(pairs.withColumn("weight", F.lit(weight)))
        return parts

    def _duplicated(self, product: Parts) -> Parts:
        if not product:
            return []
        volume, weight = reduce(DataFrame.unionByName, product).agg(F.count(F.lit(1)), F.avg("weight")).collect()[0]
        return [duplicated_pairs(self.split.train, volume, self.seed).withColumn("weight", F.lit(weight))]

    def _by_als(self, arm: str, rows: DataFrame, asked: Questions
                ) -> dict[str, SliceResult]:  # fmt: skip
        context, ks = self.context, self.context.config.evaluate.ks
        settings, blocks, judged = als_settings(context), als_blocks(context), []
        for start in range(context.config.evaluate.als_seeds):
            factors = fit_als(rows, replace(settings, seed=settings.seed + start), blocks)
            lists = self.staged.keep(f"{arm}/{start}", ranked(self.split, factors.users, factors.items, max(ks)))
            judged.append(measure(asked, lists, ks))
        return averaged(judged)

    def _references(self) -> Iterator[tuple[str, DataFrame]]:
        """Lists of rankers outside ALS; but for `popular` only where items are cold, content_knn for those alone."""
        split, most, items = self.split, max(self.context.config.evaluate.ks), self.learned.items
        yield "popular", ranked(split, *popular(split.train), most)
        if items is None or not self.context.config.evaluate.references:
            return
        table, stats = self._statistics(items)
        codes = [(n, c) for c, n in zip(table.codes, table.cardinalities, strict=True) if n <= WIDEST_CATEGORY]
        if codes:
            values, code = max(codes)
            vectors = popular_in_category(split.train, items.warm.unionByName(items.cold), code, values)
            yield "popular_in_category", ranked(split, *vectors, most)
        near = neighbours(items.cold, items.warm, "item_index", table, stats)
        yield "content_knn", best_of(content_knn(split.train, near), split, most)

    def _kept(self, arm: str, parts: Parts) -> Parts:
        columns = ("user_index", "item_index", F.col("weight").cast("double").alias("weight"))
        return [self.staged.keep(f"added/{arm}/{i}", part.select(*columns)) for i, part in enumerate(parts)]


def _permuted(learned: Learned, seed: int) -> Learned:
    """Every cold one with the attributes of another."""
    items, users = learned.items, learned.users
    if items is not None:
        items = replace(items, cold=permuted(items.cold, "item_index", seed))
    if users is not None:
        users = replace(users, cold=permuted(users.cold, "user_index", seed))
    return replace(learned, items=items, users=users)
