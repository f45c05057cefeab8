"""What the files in jobs/ call: the command line under spark-submit."""

from __future__ import annotations

import sys

from synthspark import cli


def main(*command: str) -> None:
    """Run `command` with the arguments that spark-submit passed on; without, these begin with the command."""
    sys.argv = ["synthspark", *command, *sys.argv[1:]]
    cli.main()
