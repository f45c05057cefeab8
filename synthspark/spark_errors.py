"""Our own errors that were raised in a Python worker: Spark tells them as text, inside its own."""

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
"""The last lines of a traceback, and what follows them: an empty line, or Java's stack."""
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")


def own_error(error: BaseException) -> SynthSparkError | None:
    """The SynthSparkError, with its message, that made a Spark job fail with `error`; None if it was none of ours.

    An error of ours that a worker caught is not taken for the one that it went on to raise.
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
