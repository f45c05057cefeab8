"""What somebody typed, as it is told apart from what others typed."""

from __future__ import annotations

import unicodedata

MAX_QUERY = 1000
"""Characters of a query: what is longer was not typed."""


def normalised(query: str | None) -> str | None:
    r"""A query as it is told apart from others: Unicode compatibility forms, case, and white space do not matter.

    Signs stay, as they can tell (`c++`). Control characters count as white space. None where nothing is left.

    >>> normalised("  USB\u00a0C   Cable ")
    'usb c cable'
    """
    if query is None:
        return None
    folded = unicodedata.normalize("NFKC", query).casefold()
    spaced = "".join(" " if unicodedata.category(c).startswith("C") else c for c in folded)
    return " ".join(spaced.split()) or None
