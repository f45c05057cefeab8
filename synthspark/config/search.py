"""Section on searches."""

from __future__ import annotations

from typing import Annotated, Literal

import Stemmer
from pydantic import AfterValidator, Field

from synthspark.config.base import Section, Words
from synthspark.errors import did_you_mean

SearchProtocol = Literal["search_cold_item", "search_cold_query", "search_time"]
SearchControl = Literal["knn", "permuted", "random"]


def _language(name: str | None) -> str | None:
    """Raise ValueError if Snowball does not know the language, instead of hours later."""
    known = sorted(Stemmer.algorithms())
    if name is not None and name not in known:
        raise ValueError(f"there is no stemmer for {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}; "
                         "null: no stemming")  # fmt: skip
    return name


class Search(Section):
    """Learning from search queries and the clicks that followed them."""

    enabled: bool = True
    """Whether to learn from searches if there are any, in source.searches or as events with a query."""
    language: Annotated[str | None, AfterValidator(_language)] = "english"
    """Language of the Snowball stemmer for titles and queries; null for no stemming."""
    fields: Words | None = None
    """Attributes of items to search, in order; null for every text and set."""
    min_query_users: int = Field(default=5, ge=1)
    """Minimum number of users who typed a query for it to be published; rarer queries are personal data and only used
    for training."""
    clicks_per_item: int = Field(default=8, ge=1)
    """Maximum number of virtual clicks per new item."""
    answers_per_query: int = Field(default=20, ge=1)
    """Maximum number of virtual clicks per query without clicks."""
    queries_per_item: int = Field(default=3, ge=0)
    """Maximum number of queries written per new item; 0 for none."""
    dimensions: int = Field(default=96, ge=8)
    """Length of the vectors of the two-tower network."""
    epochs: int = Field(default=5, ge=1)
    """Passes over the clicks."""
    batch_size: int = Field(default=1024, ge=16)
    """Clicks per step; the other clicks of a batch are the negatives of each."""
    protocols: list[SearchProtocol] = ["search_cold_item", "search_cold_query"]
    """Protocols by which clicks are held out, see docs/search.md."""
    controls: list[SearchControl] = ["knn", "permuted", "random"]
    """Control arms of new items: clicks of similar items, clicks of another new item, random clicks."""
    cold_query_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of the queries that lose all clicks in search_cold_query; half of them are evaluated."""
