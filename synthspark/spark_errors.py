"""Recover errors of this package that were raised in a Python worker from the text of Spark's errors."""

from __future__ import annotations

import re

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from synthspark import errors
from synthspark.errors import SynthSparkError

_RAISED = re.compile(
    r"^[^\n]*?synthspark\.errors\.(?P<kind>[A-Za-z]+): (?P<message>.*?)\s*?"
    r"(?P<after>\n\s*\n|\n\s+at |\nDriver stacktrace|\nJVM stacktrace|\Z)(?P<rest>[^\n]*)",
    re.MULTILINE | re.DOTALL,
)
"""Last lines of a traceback, and what follows them: an empty line or a Java stack trace."""
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")


def own_error(error: BaseException) -> SynthSparkError | None:
    """Return the SynthSparkError, with its message, that caused a Spark job to fail with `error`; else None.

    A SynthSparkError that the worker caught before it raised another error is ignored.
    """
    if not isinstance(error, PySparkException | Py4JError):
        return None
    for found in _RAISED.finditer(str(error)):
        kind = getattr(errors, found["kind"], None)
        if found["rest"].startswith(_CHAINED) or not isinstance(kind, type):
            continue
        if issubclass(kind, SynthSparkError):
            return kind(found["message"])
    return None
