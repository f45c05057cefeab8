"""Learn everything that placing virtual events takes, once, for the run and for its proof alike.

prepare      preference spaces, and the feeds of the behaviour generators         stage featurize
tasks        the generators, from the feeds                                       stage train
judge        who decides over what they propose                                   stage train
learn        all of it: what the run would have learned from other evidence       the proof
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.coldstart.audience import ChosenJudge
from synthspark.coldstart.baskets import Form
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
SMALLEST_FEED = 8
"""Rows below which nothing can be learned."""


@dataclass(frozen=True)
class Model:
    """A trained behaviour generator."""

    url: str
    meta: dict[str, Any]


@dataclass(frozen=True)
class Learned:
    """What virtual events are placed by."""

    evidence: Evidence
    warm_pairs: DataFrame
    """`Evidence.warm_pairs`, kept."""
    models: Mapping[str, Model]
    """`items`, `users`, and the names of the ablations (of the generator of items); without those that nothing can be
    learned for."""
    spaces: Mapping[str, Mapping[Side, DataFrame]]
    """Space -> side -> index and `vector`."""
    judge: ChosenJudge | None
    form: tuple[Form | None, dict[str, float]] | None = None
    """How cold users' baskets are made, and nothing more, where it is not to be tried again."""

    def shop(self, asked: DataFrame | None = None) -> Shop:
        """What the audience of items is placed among. asked: further items, with index and encoded columns."""
        evidence, warm = self.evidence, self.evidence.warm(ITEMS)
        items = warm if asked is None else warm.unionByName(asked.select(warm.columns))
        breadth = self.warm_pairs.groupBy("user_index").agg(F.count(F.lit(1)).alias("breadth"))
        users = self.spaces[ITEM_SPACE][USERS].join(breadth, on="user_index", how="inner")
        return Shop(evidence.encodings[ITEMS], items, self.warm_pairs, users, self.spaces[ITEM_SPACE][ITEMS])


def prepare(
    context: Context, place: Place, evidence: Evidence, pairs: DataFrame, sides: Iterable[Side] = SIDES
) -> None:
    """Write the spaces and feeds that the behaviour generators of `sides` learn from.

    pairs: `Evidence.warm_pairs`, kept.
    """
    for side in sides:
        seen = open_pairs(context, pairs) if side == ITEMS else pairs
        write_spaces(context, place, evidence, seen, side)
        if evidence.tells(side):
            shown = seen if side == ITEMS else seen.where(~held_back(context))
            write_behaviour_feed(context, place, evidence, shown, side)


def tasks(
    context: Context, place: Place, evidence: Evidence, work: str, sides: Iterable[Side] = SIDES,
    ablations: Mapping[str, Hyper] | None = None,
) -> dict[str, TrainingTask]:  # fmt: skip
    """The training of each behaviour generator that something can be learned for, by its name in `Learned.models`.

    work: folder of their checkpoints; ablations: further generators of items, by their settings.
    """
    found = {}
    for side in sides:
        if not evidence.tells(side):
            continue
        rows = place.read(behaviour_feed(side)).count()
        if rows < SMALLEST_FEED:
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
    """What a run would have learned, had it had this evidence; kept in scratch under `name`.

    sides: those of whom somebody wants virtual events.
    """
    place, work = Place.scratch(staged, name), f"{context.checkpoints()}/{name}"
    pairs = staged.keep("warm", evidence.warm_pairs())
    sides = tuple(sides)
    prepare(context, place, evidence, pairs, sides)
    asked = tasks(context, place, evidence, work, sides, ablations)
    metas = train_all(context.spark, list(asked.values()), context.config.train.processes, context.on_epoch)
    models = {name: Model(task.output_url, metas[task.output_url]) for name, task in asked.items()}
    spaces = {SPACE_OF[side]: vectors_in(place, SPACE_OF[side]) for side in sides}
    learned = Learned(evidence, pairs, models, spaces, None)
    return replace(learned, judge=judge(context, staged, learned, f"{work}/judge", evidence.cold(ITEMS)))


def judge(
    context: Context, staged: Publication, learned: Learned, url: str, asking: DataFrame | None
) -> ChosenJudge | None:
    """Train the judge of items and choose the placing, if there is a generator of items and a judge is wanted.

    asking: the cold items that will share the budget, if any. None too where the fold is too small to learn from.
    """
    model = learned.models.get(ITEMS.name)
    if model is None or not context.config.judge.enabled:
        return None
    shop = learned.shop()
    shop = replace(shop, users=staged.keep("judge/users", shop.users))
    about = train_judge(context, staged, shop, model.url, model.meta, url, asking)
    return ChosenJudge(url, about) if about else None


def spaces_of(context: Context) -> dict[str, dict[Side, DataFrame]]:
    """The spaces that the run has published: space -> side -> index and `vector`."""
    place = Place.published(context)
    return {space: vectors_in(place, space) for space in SPACE_OF.values()}


def load(context: Context, staged: Publication) -> Learned:
    """What the run has learned, once it has published train. staged: of the stage that asks."""
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
    pairs, form = staged.keep("warm", evidence.warm_pairs()), _carried_form(context)
    return Learned(evidence, pairs, models, spaces_of(context), chosen, form)


def _carried_form(context: Context) -> tuple[Form | None, dict[str, float]] | None:
    """The form of baskets that the run's models came with, if they are those of an earlier run."""
    record = context.record("train")
    if "applied" not in record:
        return None
    form = record["details"]["basket_form"]
    return (Form(**form) if form else None), {}
