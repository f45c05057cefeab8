"""A command of synthspark that is killed by kill -9 at a call of one of its functions, Python and its JVM together.

`python -m tests.struck MODULE:CLASS.FUNCTION NUMBER WORD...`: the words are those of the command; it dies as soon as
the call of that number has returned. Start it in a session of its own: its whole process group is killed.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any


def main(moment: str, number: str, words: Sequence[str]) -> None:
    """Arm the function and run the command."""
    module, _, name = moment.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    function, left = getattr(owner, last), int(number)

    def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        result = function(*arguments, **named)
        left -= 1
        if left == 0:
            os.killpg(os.getpgid(0), signal.SIGKILL)
        return result

    setattr(owner, last, deadly)
    sys.argv = ["synthspark", *words]
    from synthspark.cli import main as command

    command()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
