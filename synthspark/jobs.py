"""What the files in jobs/ call: the command line of one stage, under spark-submit."""

from __future__ import annotations

import sys

from synthspark import cli


def main(command: str) -> None:
    """Run `command` with the arguments that spark-submit passed on."""
    sys.argv = [f"synthspark {command}", command, *sys.argv[1:]]
    cli.main()
