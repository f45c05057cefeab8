"""Texts that `--help` shows below the options: examples of each command, and exit codes."""

from __future__ import annotations

from collections.abc import Iterable

EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        "synthspark run --config my.yaml",
        "synthspark run --config my.yaml --quick",
        "synthspark run --config my.yaml --set lake.root=hdfs:///lake --set train.epochs=10",
        "synthspark run --config my.yaml --resume 20260101T120000-ab12cd",
    ),
    "clean": ("synthspark clean --config my.yaml", "synthspark clean --config my.yaml --run-id 2026-11-25"),
    "featurize": ("synthspark featurize --config my.yaml", "synthspark featurize --config my.yaml --run-id 2026-11-25"),
    "train": (
        "synthspark train --config my.yaml",
        "synthspark train --config my.yaml --set train.profile_items.network=infogan",
    ),
    "synthesize": (
        "synthspark synthesize --config my.yaml",
        'synthspark synthesize --config my.yaml --condition brand=X --condition "price<5" --rows 200',
    ),
    "recommend": ("synthspark recommend --config my.yaml", "synthspark recommend --config my.yaml --run-id 2026-11-25"),
    "evaluate": (
        "synthspark evaluate --config my.yaml",
        "synthspark evaluate --config my.yaml --protocol cold_item,time --seeds 0,1,2 --arms all",
    ),
    "report": ("synthspark report --config my.yaml", "synthspark report --config my.yaml --run-id 2026-11-25"),
    "search": ('synthspark search --config my.yaml "usb c cable 2m"',),
    "doctor": ("synthspark doctor", "synthspark doctor --config my.yaml"),
    "runs": ("synthspark runs --config my.yaml",),
    "apply": (
        "synthspark apply --config my.yaml --models 2026-11-22",
        "synthspark apply --config my.yaml --models 2026-11-22 --run-id 2026-11-25 --recommend",
    ),
    "promote": ("synthspark promote --config my.yaml --run-id 2026-11-25",),
    "prune": ("synthspark prune --config my.yaml --keep 7",),
    "drop": ("synthspark drop --config my.yaml --run-id 20260101T120000-ab12cd",),
    "init": (
        "synthspark init --events sales.csv --items products.csv --output my.yaml",
        "synthspark init --events hdfs:///lake/sales --format parquet --user-id customer --item-id sku",
    ),
    "plan": ("synthspark plan --config my.yaml", "synthspark plan --config my.yaml --set evaluate.seeds=[0,1,2]"),
    "demo-data": (
        "synthspark demo-data data/complete_journey",
        "synthspark demo-data data/ml-100k --shop ml-100k --wheel recbole-1.2.1-py3-none-any.whl",
    ),
}
"""Command -> examples, the simplest first."""

EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "unexpected, or doctor found something broken",
    2: "configuration or command line",
    3: "source tables",
    4: "the lake",
    5: "a broken contract: nothing was published; please report it",
    6: "training",
    130: "interrupted",
}


SHELLS = ("bash", "zsh")


def examples(command: str) -> str:
    """Return the text below the options in `--help` of a command."""
    return _unwrapped("Examples:", EXAMPLES[command])


def overview() -> str:
    """Return the text below the commands in `synthspark --help`."""
    first = [EXAMPLES[name][0] for name in ("init", "plan", "run")]
    codes = [f"{code:<5}{words}" for code, words in EXIT_CODES.items()]
    switches = [f'eval "$(_SYNTHSPARK_COMPLETE={shell}_source synthspark)"   # ~/.{shell}rc' for shell in SHELLS]
    return "\n\n".join(
        (
            _unwrapped("From two files to a first report:", first),
            _unwrapped("Exit codes:", codes),
            _unwrapped("Completion of commands and options:", switches),
        )
    )


def _unwrapped(head: str, lines: Iterable[str]) -> str:
    return "\n".join(("\b", head, *(f"  {line}" for line in lines)))
