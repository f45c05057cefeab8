"""What is learned of searches."""

from __future__ import annotations

from typing import Annotated, Literal

import Stemmer
from pydantic import AfterValidator, Field

from synthspark.config.base import Section, Words
from synthspark.errors import did_you_mean

SearchProtocol = Literal["search_cold_item", "search_cold_query", "search_time"]
SearchControl = Literal["knn", "permuted", "random"]


def _language(name: str | None) -> str | None:
    """Raises ValueError for a name that Snowball does not know: it would be found out after hours."""
    known = sorted(Stemmer.algorithms())
    if name is not None and name not in known:
        raise ValueError(f"there is no stemmer for {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}; "
                         "null: words as they are")  # fmt: skip
    return name


class Search(Section):
    """Queries, and what was clicked after them."""

    enabled: bool = True
    """Learn from searches where there are any: in source.searches, or events with a query."""
    language: Annotated[str | None, AfterValidator(_language)] = "english"
    """Of the stemmer of words in titles and queries (Snowball's name); null for none."""
    fields: Words | None = None
    """Attributes of items that are searched, in order; null: every text and set."""
    min_query_users: int = Field(default=5, ge=1)
    """A query that fewer users typed is personal data: it is learned from, and never published."""
    clicks_per_item: int = Field(default=8, ge=1)
    """Virtual clicks of a new item, at most."""
    answers_per_query: int = Field(default=20, ge=1)
    """Virtual clicks of a query that nobody has clicked after, at most."""
    queries_per_item: int = Field(default=3, ge=0)
    """Queries that are written for a new item, at most; 0 for none."""
    dimensions: int = Field(default=96, ge=8)
    """Length of the vectors of the two-tower network."""
    epochs: int = Field(default=5, ge=1)
    """Passes over the clicks."""
    batch_size: int = Field(default=1024, ge=16)
    """Clicks per step: the others of a batch are what each is told from."""
    protocols: list[SearchProtocol] = ["search_cold_item", "search_cold_query"]
    """What is held out for the proof: docs/search.md."""
    controls: list[SearchControl] = ["knn", "permuted", "random"]
    """Arms of new items beside the product: clicks of similar items, those of another new item, drawn ones."""
    cold_query_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of the queries that lose all clicks in search_cold_query: half are judged."""
