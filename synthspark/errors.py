"""All errors for users. A message names the table, the column, the value and a remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SynthSparkError(Exception):
    """Base class of all errors that the caller can fix; the CLI prints them without a traceback."""

    exit_code = 1


class ConfigError(SynthSparkError):
    """The configuration has an unknown key or an invalid value."""

    exit_code = 2


class SourceError(SynthSparkError):
    """A source table or column is missing, empty, or has an unusable type."""

    exit_code = 3


class LakeError(SynthSparkError):
    """The lake cannot be read or written, or lacks what an earlier stage should have published."""

    exit_code = 4


class ContractError(SynthSparkError):
    """A table that a stage produced breaks the contract in `schemas.py`; nothing was published."""

    exit_code = 5


class TrainingError(SynthSparkError):
    """Training stopped: divergence, collapse, a feed too small, or a failed process."""

    exit_code = 6


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return the known names closest to `name`, best first, ignoring case; empty if none is close."""
    by_lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=count, cutoff=0.5)
    return [by_lower[c] for c in close]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'a' or 'b'?`, or an empty string if no known name is close."""
    close = nearest(name, known)
    return f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
