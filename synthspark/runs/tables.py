"""Every table and folder that a run publishes, by name."""

from __future__ import annotations

from dataclasses import dataclass

from synthspark.sides import Side


@dataclass(frozen=True)
class Table:
    """A table of a run."""

    name: str
    """Its folder below the lake's root."""
    feed: bool = False
    """Whether it is Parquet in every lake, as Python reads its files too."""


EVENTS, REJECTS = Table("clean/events"), Table("clean/rejects")
SEARCHES = Table("clean/searches")
SYNTHETIC_SEARCHES, SYNTHETIC_QUERIES = Table("synthetic/searches"), Table("synthetic/queries")
EXPANSIONS, SEARCH_INDEX = Table("expansions"), Table("search_index")
SEARCH_RESULTS = Table("search_results")
INTERACTIONS = Table("features/interactions", feed=True)
SYNTHETIC_EVENTS = Table("synthetic/events")
RECOMMENDATIONS = Table("recommendations")
ALS_SPACE, ITEM_SPACE = "factors", "item_factors"
"""Preference spaces. That of ALS as it recommends: what baskets must make ALS give back. And a longer one, which tells
more items apart, for the audience of items; without the judge's fold."""
GENERATORS = ("profile_items", "profile_users", "behaviour_items", "behaviour_users", "texts_items", "texts_users")
JUDGE = "judge_items"
"""Names of models."""


def clean(side: Side) -> Table:
    """What is declared of items or users."""
    return Table(f"clean/{side.name}")


def features(side: Side) -> Table:
    """Everybody of a side: id, index, encoded attributes and behaviour."""
    return Table(f"features/{side.name}", feed=True)


def synthetic(side: Side) -> Table:
    """New and completed items or users."""
    return Table(f"synthetic/{side.name}")


def factors(space: str, side: Side) -> Table:
    """The vectors of a side's warm entities in a preference space."""
    return Table(f"{space}/{side.name}", feed=True)


def profile_feed(side: Side) -> Table:
    """What the profile generator of a side learns from."""
    return Table(f"feeds/profile_{side.name}", feed=True)


def validation_feed(side: Side) -> Table:
    """Rows that the profile generator stops by, and does not learn from; of large tables only."""
    return Table(f"feeds/profile_{side.name}_validation", feed=True)


def text_feed(side: Side) -> Table:
    """What the writer of a side's texts and sets learns from."""
    return Table(f"feeds/texts_{side.name}", feed=True)


def text_validation_feed(side: Side) -> Table:
    """Rows that the writer stops by, and does not learn from; of large tables only."""
    return Table(f"feeds/texts_{side.name}_validation", feed=True)


def behaviour_feed(side: Side) -> Table:
    """What the behaviour generator of a side learns from."""
    return Table(f"feeds/behaviour_{side.name}", feed=True)


def encoding_folder(side: Side) -> str:
    """Folder of a side's encoding.json, tokens.json and texts.json."""
    return f"features/encoding_{side.name}"


def model_folder(name: str) -> str:
    """Folder of a trained model, by its name."""
    return f"models/{name}"
