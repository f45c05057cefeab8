"""Describe Spark's failures in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException

from synthspark.errors import SourceError

SPARK_FAILURES = (PySparkException, Py4JError)
MAX_CAUSES = 20
MAX_WORDS = 400
"""Maximum number of characters of a message that are shown."""

_CLASS = re.compile(r"^(?:[a-z]\w*\.)+[A-Z][\w$]*(?:Exception|Error): ")
_EMPTY = re.compile(
    r"Job aborted|An error occurred while|You may get a different result|Encountered error while reading"
)


def first_words(error: BaseException) -> str:
    """Return the first line that says what is wrong, from Spark's message or from the causes of the exception."""
    told = [bare for text in _messages(error) if (bare := _bare(text)) and not _EMPTY.search(bare)]
    words = told[0] if told else type(error).__name__
    return words if len(words) <= MAX_WORDS else words[: MAX_WORDS - 1] + "…"


@contextmanager
def as_source_error(where: str, hint: str = "") -> Iterator[None]:
    """Convert Spark's exceptions in this block to a SourceError. where: beginning of its message; hint: its end."""
    try:
        yield
    except SPARK_FAILURES as error:
        raise SourceError(f"{where}: {first_words(error)}{hint}") from error


def _messages(error: BaseException) -> list[str]:
    """Return the error's own message if PySpark converted it, then those of its JVM causes, the deepest first."""
    known = not isinstance(error, Py4JJavaError)
    java = getattr(error, "_origin", None) if known else error.java_exception  # type: ignore[attr-defined]
    causes: list[str] = []
    while java is not None and len(causes) < MAX_CAUSES:
        causes.insert(0, str(java.getMessage() or ""))
        java = java.getCause()
    return [*([str(error)] if known else []), *causes]


def _bare(text: str) -> str:
    """Return the first line without names of classes and error conditions."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"^\[[A-Z_.0-9]+\] ", "", _CLASS.sub("", line))
    return re.sub(r" SQLSTATE: \w+$", "", line).strip()
