"""Entry point of the files in jobs/: the command line under spark-submit."""

from __future__ import annotations

import sys

from synthspark import cli


def main(*command: str) -> None:
    """Run `command` with the arguments from spark-submit; without `command`, the first argument is the command."""
    sys.argv = ["synthspark", *command, *sys.argv[1:]]
    cli.main()
