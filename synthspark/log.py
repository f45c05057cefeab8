"""Logging and terminal output, configured by the CLI and the jobs only; the library only calls `getLogger`."""

from __future__ import annotations

import logging
import sys

from rich.console import Console
from rich.logging import RichHandler


def console() -> Console:
    """Return the console for results; it writes plain text if standard output is not a terminal."""
    return Console(file=sys.stdout, soft_wrap=not sys.stdout.isatty(), highlight=False)


def configure(verbose: bool = False) -> None:
    """Send the package's log to standard error; of third-party libraries only warnings and errors."""
    interactive = sys.stderr.isatty()
    handler: logging.Handler
    if interactive:
        handler = RichHandler(console=Console(stderr=True), show_path=False, markup=False)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("synthspark").setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        # They print each error as a line of JSON, in addition to the final message.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("py4j").setLevel(logging.ERROR)
