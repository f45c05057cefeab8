"""Names of all tables and folders that a run publishes."""

from __future__ import annotations

from dataclasses import dataclass

from synthspark.sides import Side


@dataclass(frozen=True)
class Table:
    """A table of a run."""

    name: str
    """Folder relative to the lake's root."""
    feed: bool = False
    """True if the table is Parquet in every lake, because Python reads its files as well."""


EVENTS, REJECTS = Table("clean/events"), Table("clean/rejects")
SEARCHES = Table("clean/searches")
SYNTHETIC_SEARCHES, SYNTHETIC_QUERIES = Table("synthetic/searches"), Table("synthetic/queries")
EXPANSIONS, SEARCH_INDEX = Table("expansions"), Table("search_index")
SEARCH_RESULTS = Table("search_results")
INTERACTIONS = Table("features/interactions", feed=True)
SYNTHETIC_EVENTS = Table("synthetic/events")
RECOMMENDATIONS = Table("recommendations")
ALS_SPACE, ITEM_SPACE = "factors", "item_factors"
"""Preference spaces. `factors`: ALS as it recommends, whose vectors baskets must reproduce. `item_factors`: a higher
rank that distinguishes more items, used for the audience of items; fitted without the judge's fold."""
GENERATORS = ("profile_items", "profile_users", "behaviour_items", "behaviour_users", "texts_items", "texts_users")
JUDGE = "judge_items"
"""Model names."""


def clean(side: Side) -> Table:
    """Return the table of declared attributes of items or users."""
    return Table(f"clean/{side.name}")


def features(side: Side) -> Table:
    """Return the table of all entities of a side: id, index, encoded attributes and behaviour."""
    return Table(f"features/{side.name}", feed=True)


def synthetic(side: Side) -> Table:
    """Return the table of new and completed items or users."""
    return Table(f"synthetic/{side.name}")


def factors(space: str, side: Side) -> Table:
    """Return the table of the vectors of a side's warm entities in a preference space."""
    return Table(f"{space}/{side.name}", feed=True)


def profile_feed(side: Side) -> Table:
    """Return the training feed of a side's profile generator."""
    return Table(f"feeds/profile_{side.name}", feed=True)


def validation_feed(side: Side) -> Table:
    """Return the early-stopping feed of the profile generator; it exists for large tables only."""
    return Table(f"feeds/profile_{side.name}_validation", feed=True)


def text_feed(side: Side) -> Table:
    """Return the training feed of a side's text generator."""
    return Table(f"feeds/texts_{side.name}", feed=True)


def text_validation_feed(side: Side) -> Table:
    """Return the early-stopping feed of the text generator; it exists for large tables only."""
    return Table(f"feeds/texts_{side.name}_validation", feed=True)


def behaviour_feed(side: Side) -> Table:
    """Return the training feed of a side's behaviour generator."""
    return Table(f"feeds/behaviour_{side.name}", feed=True)


def encoding_folder(side: Side) -> str:
    """Return the folder of a side's encoding.json, tokens.json and texts.json."""
    return f"features/encoding_{side.name}"


def model_folder(name: str) -> str:
    """Return the folder of a trained model."""
    return f"models/{name}"
