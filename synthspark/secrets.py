"""Remove possible secrets from settings before they are shown."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "(not shown)"
SECRET_KEY = re.compile(r"(?i)secret|passw|pwd|token|credential|account.?key|access.?key|private.?key|sas")
SECRET_IN_VALUE = re.compile(r"(?i)((?:secret|passw(?:or)?d|pwd|token|sig)=)[^&;\s]+|(?<=://)[^/@\s]+:[^/@\s]+(?=@)")
"""Secrets in a URL or in connection settings."""


def without_secrets(value: Any, key: str = "") -> Any:
    """Return plain data with HIDDEN in place of every value that its key or its own text marks as a secret."""
    if isinstance(value, dict):
        return {name: without_secrets(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_secrets(inner, key) for inner in value]
    if SECRET_KEY.search(key) and value is not None:
        return HIDDEN
    if not isinstance(value, str):
        return value
    return SECRET_IN_VALUE.sub(lambda m: f"{m[1] or ''}{HIDDEN}", value)
