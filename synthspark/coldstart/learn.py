"""Learn everything that placing virtual events needs; the run and its proof share this code.

prepare      preference spaces, and the feeds of the behaviour generators         stage featurize
tasks        training of the generators from the feeds                            stage train
judge        the judge of the pairs that they propose, and the placing            stage train
learn        all of these, from other evidence than the run's                     the proof
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.audience import ChosenJudge
from synthspark.coldstart.baskets import Form, Forms
from synthspark.coldstart.evidence import Evidence, published
from synthspark.coldstart.judge import train_judge
from synthspark.coldstart.shop import Shop, open_pairs
from synthspark.coldstart.spaces import SPACE_OF, Place, vectors_in, write_behaviour_feed, write_spaces
from synthspark.coldstart.tasks import BEHAVIOUR, behaviour_task
from synthspark.coldstart.trials import held_back
from synthspark.runs.context import Context
from synthspark.runs.publication import Publication
from synthspark.runs.tables import ITEM_SPACE, JUDGE, behaviour_feed, model_folder
from synthspark.sides import ITEMS, SIDES, USERS, Side
from synthspark.training import TrainingTask, train_all

Hyper = Mapping[str, float | int | str | bool]
MIN_FEED = 8
"""Minimum number of rows of a feed to learn from."""


@dataclass(frozen=True)
class Model:
    """A trained behaviour generator."""

    url: str
    meta: dict[str, Any]


@dataclass(frozen=True)
class Learned:
    """Everything that placing virtual events needs."""

    evidence: Evidence
    warm_pairs: DataFrame
    """`Evidence.warm_pairs`, kept in scratch."""
    models: Mapping[str, Model]
    """Keys: `items`, `users`, and the names of the ablations (of the generator of items); a key is absent if there is
    nothing to learn from."""
    spaces: Mapping[str, Mapping[Side, DataFrame]]
    """Space -> side -> index and `vector`."""
    judge: ChosenJudge | None
    forms: tuple[Forms, dict[str, float]] | None = None
    """Forms of cold users' baskets and an empty dict if an earlier run has chosen them; None to choose by trials."""

    def shop(self, asked: DataFrame | None = None) -> Shop:
        """Return the shop in which items get their audience. asked: further items, with index and encoded columns."""
        evidence, warm = self.evidence, self.evidence.warm(ITEMS)
        items = warm if asked is None else warm.unionByName(asked.select(warm.columns))
        breadth = self.warm_pairs.groupBy("user_index").agg(F.count(F.lit(1)).alias("breadth"))
        users = self.spaces[ITEM_SPACE][USERS].join(breadth, on="user_index", how="inner")
        return Shop(evidence.encodings[ITEMS], items, self.warm_pairs, users, self.spaces[ITEM_SPACE][ITEMS])


def prepare(
    context: Context, place: Place, evidence: Evidence, pairs: DataFrame, sides: Iterable[Side] = SIDES
) -> None:
    """Write the spaces and feeds that the behaviour generators of `sides` learn from.

    pairs: `Evidence.warm_pairs`, kept in scratch.
    """
    for side in sides:
        context.on_step(f"factorizing interactions and writing the feed of {side.name}")
        seen = open_pairs(context, pairs) if side == ITEMS else pairs
        write_spaces(context, place, evidence, seen, side)
        if evidence.has_input(side):
            shown = seen if side == ITEMS else seen.where(~held_back(context))
            write_behaviour_feed(context, place, evidence, shown, side)


def tasks(
    context: Context, place: Place, evidence: Evidence, work: str, sides: Iterable[Side] = SIDES,
    ablations: Mapping[str, Hyper] | None = None,
) -> dict[str, TrainingTask]:  # fmt: skip
    """Return the training task of each behaviour generator with enough data, by its name in `Learned.models`.

    work: folder of their checkpoints; ablations: settings of further generators of items, by name.
    """
    found = {}
    for side in sides:
        if not evidence.has_input(side):
            continue
        rows = place.read(behaviour_feed(side)).count()
        if rows < MIN_FEED:
            continue
        settings: dict[str, Hyper] = {side.name: {}, **((ablations or {}) if side == ITEMS else {})}
        for name, hyper in settings.items():
            output = f"{work}/{BEHAVIOUR}_{name}"
            found[name] = behaviour_task(context, place, evidence.encodings[side], side, rows, output, hyper)
    return found


def learn(
    context: Context, staged: Publication, evidence: Evidence, name: str, sides: Iterable[Side],
    ablations: Mapping[str, Hyper] | None = None,
) -> Learned:  # fmt: skip
    """Learn what a run would have learned from `evidence`; tables are kept in scratch under `name`.

    sides: the sides with entities that get virtual events.
    """
    place, work = Place.scratch(staged, name), f"{context.checkpoints()}/{name}"
    pairs = staged.keep("warm", evidence.warm_pairs())
    sides = tuple(sides)
    prepare(context, place, evidence, pairs, sides)
    asked = tasks(context, place, evidence, work, sides, ablations)
    context.on_step(f"training {', '.join(task.name for task in asked.values())}")
    metas = train_all(context.spark, list(asked.values()), context.config.train.processes, context.on_epoch)
    models = {name: Model(task.output_url, metas[task.output_url]) for name, task in asked.items()}
    spaces = {SPACE_OF[side]: vectors_in(place, SPACE_OF[side]) for side in sides}
    learned = Learned(evidence, pairs, models, spaces, None)
    return replace(learned, judge=judge(context, staged, learned, f"{work}/judge", evidence.cold(ITEMS)))


def judge(
    context: Context, staged: Publication, learned: Learned, url: str, asking: DataFrame | None
) -> ChosenJudge | None:
    """Train the judge of items and choose the placing.

    asking: the cold items that will share the budget, if any. Returns None without a generator of items, if
    `judge.enabled` is false, or if the fold is too small to learn from.
    """
    model = learned.models.get(ITEMS.name)
    if model is None or not context.config.judge.enabled:
        return None
    shop = learned.shop()
    shop = replace(shop, users=staged.keep("judge/users", shop.users))
    about = train_judge(context, staged, shop, model.url, model.meta, url, asking)
    return ChosenJudge(url, about) if about else None


def spaces_of(context: Context) -> dict[str, dict[Side, DataFrame]]:
    """Return the spaces that the run has published: space -> side -> index and `vector`."""
    place = Place.published(context)
    return {space: vectors_in(place, space) for space in SPACE_OF.values()}


def load(context: Context, staged: Publication) -> Learned:
    """Load what the run has learned; it must have published train. staged: publication of the calling stage."""
    evidence, models = published(context), {}
    for side in SIDES:
        name = f"{BEHAVIOUR}_{side.name}"
        meta = context.model_meta(name)
        if meta is not None:
            models[side.name] = Model(context.url(model_folder(name)), meta)
    about = context.record("train")["details"].get(JUDGE)
    chosen = ChosenJudge(context.url(model_folder(JUDGE)), about) if about else None
    pairs = staged.keep("pairs", evidence.pairs)
    evidence = replace(evidence, pairs=pairs)
    pairs, forms = staged.keep("warm", evidence.warm_pairs()), _carried_forms(context)
    return Learned(evidence, pairs, models, spaces_of(context), chosen, forms)


def _carried_forms(context: Context) -> tuple[Forms, dict[str, float]] | None:
    """Return the forms of baskets applied with the models of an earlier run; None if the run trained its own."""
    record = context.record("train")
    if "applied" not in record:
        return None
    found = record["details"]["basket_forms"] or {}
    return Forms(*[Form(**found[users]) if found.get(users) else None for users in Forms._fields]), {}
