"""Names of encoded columns: letters, digits and underscores only, whatever the attribute is called."""

from __future__ import annotations

import re
import unicodedata


def encoded_name(kind: str, position: int, attribute: str, part: str = "") -> str:
    """Return a name like `code_003_brand` or `number_001_title_07`: unique by position, readable by attribute."""
    plain = unicodedata.normalize("NFKD", attribute).encode("ascii", "ignore").decode()
    slug = re.sub(r"\W+", "_", plain.lower()).strip("_")[:32]
    return "_".join(x for x in (f"{kind}_{position:03d}", slug, part) if x)
