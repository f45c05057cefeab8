"""What the job would have learned on the day of a split, from its training rows alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.evaluation.split import WARM, Split
from synthspark.features import encoding
from synthspark.features.encoding import TableEncoding
from synthspark.lake import Publication
from synthspark.pipeline.audience import ALS_SPACE, ITEM_SPACE, ChosenJudge, Shop, open_pairs
from synthspark.pipeline.context import Context, factor_vectors, side_name
from synthspark.pipeline.featurize import attribute_kinds, limits, write_behaviour_feed, write_space
from synthspark.pipeline.judge import train_judge
from synthspark.pipeline.train import checkpoints, make_task, other_side
from synthspark.training import TrainingTask, train_all


@dataclass(frozen=True)
class Side:
    """Users or items of a split, as one who knows the training rows sees them."""

    key: str
    encoding: TableEncoding
    warm: DataFrame
    """The index and the encoded columns of the warm."""
    cold: DataFrame
    """The same of those who want virtual events."""

    @property
    def index(self) -> str:
        """`user_index` or `item_index`."""
        return f"{self.key.removesuffix('_id')}_index"


@dataclass(frozen=True)
class Model:
    """A trained behaviour generator."""

    url: str
    meta: dict[str, Any]


@dataclass(frozen=True)
class Learned:
    """Everything that placing virtual events takes. A side that nobody of is cold is None."""

    items: Side | None
    users: Side | None
    models: dict[str, Model]
    """`items`, `users`, and the names of the ablations (of the generator of items)."""
    spaces: dict[tuple[str, str], DataFrame]
    """(space, `users` or `items`) -> index and `vector`."""
    shop: Shop | None
    judge: ChosenJudge | None


NOTHING = Learned(None, None, {}, {}, None, None)
"""What ALS on the real rows alone takes."""


def learn(context: Context, staged: Publication, split: Split, name: str) -> Learned:
    """Fit everything on the training rows of `split` that are between warm ones."""
    prefix, work = f"scratch/{name}/", f"{checkpoints(context)}/{name}"
    warm = split.train
    for key, roles in (("user_index", split.users), ("item_index", split.items)):
        warm = warm.join(roles.where(F.col("role") == WARM).select(key), on=key, how="left_semi")
    warm = staged.keep("warm", warm)
    sides = {key: _side(context, staged, split, key) for key in ("item_id", "user_id")}
    spaces: dict[tuple[str, str], DataFrame] = {}
    tasks: list[TrainingTask] = []
    for key, space in (("item_id", ITEM_SPACE), ("user_id", ALS_SPACE)):
        side = sides[key]
        if side is None:
            continue
        seen = open_pairs(context, warm) if space == ITEM_SPACE else warm
        write_space(context, staged.scratch, prefix, space, seen)
        for of, index in (("users", "user_index"), ("items", "item_index")):
            spaces[space, of] = factor_vectors(staged.read(f"{prefix}{space}/{of}"), index)
        write_behaviour_feed(context, staged, staged.scratch, key, prefix, space, seen, side.warm)
        tasks += _tasks(context, staged, side, prefix, space, work)
    metas = train_all(context.spark, tasks, context.config.train.processes, context.on_epoch)
    models = {url.rpartition("/")[2]: Model(url, meta) for url, meta in metas.items()}
    items = sides["item_id"]
    if items is None:
        return Learned(None, sides["user_id"], models, spaces, None, None)
    breadth = warm.groupBy("user_index").agg(F.count(F.lit(1)).alias("breadth"))
    known = spaces[ITEM_SPACE, "users"].join(breadth, on="user_index", how="inner")
    shop = Shop(items.encoding, items.warm, warm, staged.keep("users", known))
    judge = None
    if context.config.judge.enabled:
        found = train_judge(context, staged, shop, models["items"].url, models["items"].meta, f"{work}/judge",
                            items.cold)  # fmt: skip
        judge = ChosenJudge.of(f"{work}/judge", found) if found else None
    return Learned(items, sides["user_id"], models, spaces, shop, judge)


def _side(context: Context, staged: Publication, split: Split, key: str) -> Side | None:
    """Encoders fitted on the declared rows of the warm; None where everybody is warm."""
    side, index = side_name(key), f"{key.removesuffix('_id')}_index"
    roles = split.users if key == "user_id" else split.items
    if not roles.where(F.col("role") != WARM).take(1):
        return None
    rows = context.read(f"features/{side}", feed=True).select(key, index).join(roles, on=index, how="inner")
    kinds = attribute_kinds(context, key) if context.has(f"clean/{side}") else {}
    if kinds:
        declared = context.read(f"clean/{side}").withColumn("_declared", F.lit(True))
        rows = rows.join(declared, on=key, how="left")
    rows = staged.keep(f"rows_{side}", rows)
    known = rows.where(F.col("role") == WARM)
    fitted = encoding.fit(known.where("_declared") if kinds else known, kinds, limits(context))
    columns = (index, "role", *fitted.code_columns, *fitted.number_columns)
    encoded = staged.keep(f"encoded_{side}", encoding.encode(rows, fitted).select(*columns))
    return Side(key, fitted, encoded.where(F.col("role") == WARM).drop("role"),
                encoded.where(F.col("role") != WARM).drop("role"))  # fmt: skip


def _tasks(context: Context, staged: Publication, side: Side, prefix: str, space: str, work: str) -> list[TrainingTask]:
    """The side's generator, and for items the ablations of it."""
    of = side_name(side.key)
    feed = f"{prefix}feeds/behaviour_{of}"
    own, other = staged.url(f"{prefix}{space}/{of}"), staged.url(f"{prefix}{space}/{other_side(of)}")
    hyper: dict[str, dict[str, Any]] = {of: {}}
    if of == "items":
        hyper |= {name: dict(a.hyper) for name, a in context.config.evaluate.ablations.items() if a.hyper}
    rows = staged.read(feed).count()
    return [make_task(context, f"behaviour_{of}", side.encoding, staged.url(feed), rows, own, other, f"{work}/{name}",
                      settings) for name, settings in hyper.items()]  # fmt: skip
