"""What is proven, and how."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from synthspark.config.base import Section

Arm = Literal["real", "real+synthetic", "no_judge", "permuted", "knn", "ridge", "attribute_users", "random",
              "popularity", "duplicated", "synthetic_only"]  # fmt: skip
ARMS: tuple[Arm, ...] = get_args(Arm)
RANKERS = ("popular", "popular_in_category", "content_knn")
"""Rankers outside ALS, which are judged beside the arms."""
Protocol = Literal["cold_item", "cold_user", "cold_user_item", "time"]


def _arm_name(name: str) -> str:
    """Names of arms are parts of paths and keys of results."""
    taken = (*ARMS, *RANKERS, "items", "users", "judge")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]*", name) or name in taken:
        raise ValueError(f"the name {name!r} cannot be used: letters, digits, blanks, '.', '_' and '-' only, and none "
                         f"of {', '.join(taken)}")  # fmt: skip
    return name


class Ablation(Section):
    """An arm that is the product but for what is said here; of cold items only."""

    hyper: dict[str, float | int | str | bool] = {}
    """Settings of the generator of items, which is trained again with them."""
    budget: float | None = Field(default=None, gt=0)
    """Instead of synthesize.budget."""
    weight: float | None = Field(default=None, gt=0)
    """Instead of synthesize.weight, or without a judge synthesize.unjudged_weight."""
    judged: bool = True
    """False: the generator's own choice."""


class Evaluate(Section):
    """The proof."""

    protocols: list[Protocol] = ["cold_item"]
    """What is held out: docs/evaluation.md."""
    part: Literal["test", "validation"] = "test"
    """Which half of the held-out is judged: whoever tunes looks at the other one."""
    events_left: list[Annotated[int, Field(ge=0)]] = [0, 1, 3, 5]
    """Events that cold users keep, in protocol cold_user: each is judged."""
    time_fraction: float = Field(default=0.2, gt=0, lt=0.5)
    """Share of the events, the newest, that protocol time holds out."""
    seeds: list[int] = [0]
    """Split seeds; three at least before a decision."""
    als_seeds: int = Field(default=2, ge=1)
    """Starts of ALS that every arm's figures are averaged over: one start is as noisy as what is to be found out."""
    arms: list[Arm] = ["real", "real+synthetic", "no_judge", "permuted", "knn", "ridge", "attribute_users", "random",
                       "popularity", "duplicated"]  # fmt: skip
    """What ALS is trained on; docs/evaluation.md says what each shows."""
    profiles: bool = True
    """Fidelity and privacy of the new users and items, against the real rows that their generator did not see."""
    references: bool = True
    """Judge the rankers popular_in_category and content_knn, too, beside any arm but real; popular always is."""
    ablations: dict[Annotated[str, AfterValidator(_arm_name)], Ablation] = {}
    """More arms, by name: letters, digits, blanks, '.', '_' and '-', and no name of another arm, ranker or side."""
    cold_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the items (or of the users) that lose all interactions: half validation, half test."""
    warm_holdout: float = Field(default=0.2, gt=0, lt=1)
    """Share of the other interactions that is held out."""
    ks: list[int] = [10, 20]
    """Lengths of the lists that are judged."""
    max_users: int = Field(default=10_000, ge=100)
    """Users that a split asks, drawn, at most: the intervals say what asking fewer costs."""
    bootstrap: int = Field(default=1000, ge=100)
    """Resamples over users for the 95 % intervals."""
