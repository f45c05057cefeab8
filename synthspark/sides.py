"""The two sides of a shop: who acts, and what is acted on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Side:
    """Items or users, and what their columns are called."""

    name: str
    """`items`, as tables and the configuration call them."""
    one: str
    """`item`, as errors and ids call one of them."""

    @property
    def key(self) -> str:
        """Column of their ids, a string: `item_id`."""
        return f"{self.one}_id"

    @property
    def index(self) -> str:
        """Column of their dense indices, an int, of one run: `item_index`."""
        return f"{self.one}_index"

    @property
    def other(self) -> Side:
        """Whom these meet."""
        return USERS if self == ITEMS else ITEMS


ITEMS, USERS = Side("items", "item"), Side("users", "user")
SIDES = (ITEMS, USERS)
"""Items first: what is known of users counts on what is known of items."""
