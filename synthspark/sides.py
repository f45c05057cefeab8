"""The two sides of a shop: users and items."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Side:
    """Items or users, and the names of their columns."""

    name: str
    """Plural, as in tables and the configuration: `items`."""
    one: str
    """Singular, as in errors and ids: `item`."""

    @property
    def key(self) -> str:
        """Name of the id column, of type string: `item_id`."""
        return f"{self.one}_id"

    @property
    def index(self) -> str:
        """Name of the column of dense int indices, which hold for one run: `item_index`."""
        return f"{self.one}_index"

    @property
    def other(self) -> Side:
        """The other side."""
        return USERS if self == ITEMS else ITEMS


ITEMS, USERS = Side("items", "item"), Side("users", "user")
SIDES = (ITEMS, USERS)
"""Both sides, items first: processing of users depends on that of items."""
