"""Every error a user can meet. A message names the table, the column, the value and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SynthSparkError(Exception):
    """Base of all errors that are the caller's to mend; the CLI prints them without a traceback."""

    exit_code = 1


class ConfigError(SynthSparkError):
    """The configuration names an unknown key, or a value that cannot be used."""

    exit_code = 2


class SourceError(SynthSparkError):
    """A source table or column is missing, empty, or of a type that cannot be used."""

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
    """The known names closest to `name`, best first, ignoring case; empty if none is close."""
    by_lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=count, cutoff=0.5)
    return [by_lower[c] for c in close]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'a' or 'b'?`, or the empty string where nothing is near."""
    close = nearest(name, known)
    return f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
