"""Normalise search queries so that equal queries have equal texts."""

from __future__ import annotations

import unicodedata

MAX_QUERY = 1000
"""Maximum length of a query in characters; longer texts were not typed by a person."""


def normalised(query: str | None) -> str | None:
    r"""Normalise a query: apply NFKC and case folding, collapse white space.

    Punctuation is kept because it can be significant (`c++`). Control characters count as white space. Returns None
    if nothing is left.

    >>> normalised("  USB\u00a0C   Cable ")
    'usb c cable'
    """
    if query is None:
        return None
    folded = unicodedata.normalize("NFKC", query).casefold()
    spaced = "".join(" " if unicodedata.category(c).startswith("C") else c for c in folded)
    return " ".join(spaced.split()) or None
