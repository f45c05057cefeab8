"""Sections on the evaluation."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from synthspark.config.base import Section

Arm = Literal["real", "real+synthetic", "no_judge", "permuted", "knn", "ridge", "attribute_users", "random",
              "popularity", "duplicated", "synthetic_only"]  # fmt: skip
ARMS: tuple[Arm, ...] = get_args(Arm)
RANKERS = ("popular", "popular_lately", "popular_in_category", "content_knn")
"""Rankers without ALS that are evaluated alongside the arms."""
Protocol = Literal["cold_item", "cold_user", "cold_user_item", "time"]


def _arm_name(name: str) -> str:
    """Validate the name of an arm, which is part of paths and a key of results."""
    taken = (*ARMS, *RANKERS, "items", "users", "judge")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]*", name) or name in taken:
        raise ValueError(f"the name {name!r} cannot be used: letters, digits, blanks, '.', '_' and '-' only, and none "
                         f"of {', '.join(taken)}")  # fmt: skip
    return name


class Ablation(Section):
    """An arm that is the product with the changes below, for cold items only."""

    hyper: dict[str, float | int | str | bool] = {}
    """Hyperparameters of the generator of items, which is retrained with them."""
    budget: float | None = Field(default=None, gt=0)
    """Replaces synthesize.budget."""
    weight: float | None = Field(default=None, gt=0)
    """Replaces synthesize.weight or, without a judge, synthesize.unjudged_weight."""
    judged: bool = True
    """Whether the judge selects pairs; false: the generator's ranking decides."""


class Evaluate(Section):
    """The evaluation of the synthetic rows by held-out real events."""

    protocols: list[Protocol] = ["cold_item"]
    """Protocols by which events are held out, see docs/evaluation.md."""
    part: Literal["test", "validation"] = "test"
    """Half of the held-out events to evaluate on; use validation for tuning."""
    events_left: list[Annotated[int, Field(ge=0)]] = [0, 1, 3, 5]
    """Numbers of events that cold users keep in protocol cold_user; each is evaluated."""
    time_fraction: float = Field(default=0.2, gt=0, lt=0.5)
    """Share of the events, the newest ones, that protocol time holds out."""
    seeds: list[int] = [0]
    """Seeds of the splits; use at least three before a decision."""
    als_seeds: int = Field(default=2, ge=1)
    """Number of ALS initialisations that the metrics of each arm are averaged over; the noise of a single one is as
    large as the effects to measure."""
    arms: list[Arm] = ["real", "real+synthetic", "no_judge", "permuted", "knn", "ridge", "attribute_users", "random",
                       "popularity", "duplicated"]  # fmt: skip
    """Arms to train ALS on; docs/evaluation.md states what each shows."""
    profiles: bool = True
    """Whether to measure fidelity and privacy of new users and items against real rows that their generator did not
    see."""
    references: bool = True
    """Whether to evaluate the rankers popular_lately (protocol time only), popular_in_category and content_knn, too, if
    there is any arm but real; popular always is."""
    ablations: dict[Annotated[str, AfterValidator(_arm_name)], Ablation] = {}
    """Further arms, by name. Names consist of letters, digits, blanks, '.', '_' and '-' and differ from those of arms,
    rankers and sides."""
    cold_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the items (or users) that lose all interactions: half of them for validation, half for test."""
    warm_holdout: float = Field(default=0.2, gt=0, lt=1)
    """Share of the other interactions that is held out."""
    ks: list[int] = [10, 20]
    """Lengths of the evaluated recommendation lists."""
    max_users: int = Field(default=10_000, ge=100)
    """Maximum number of users per split, drawn at random; fewer users give wider intervals."""
    bootstrap: int = Field(default=1000, ge=100)
    """Number of bootstrap resamples over users for the 95 % intervals."""
