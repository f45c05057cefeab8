"""The house: which package may import which, and that what the configuration names is there."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path
from typing import get_args

from synthspark.config import ARMS, Features, ProfileNetwork, Protocol
from synthspark.features.encoding import EncodingLimits
from synthspark.profiles.fitting import TokenLimits
from synthspark.proof.arms import MAKERS, ONLY, PRODUCT, REAL
from synthspark.proof.protocols import PROTOCOLS

ROOT = Path(__file__).parents[2] / "synthspark"
STAGES = {"clean", "featurize", "train", "synthesize", "recommend", "evaluate"}


def imported(file: Path) -> set[str]:
    """Modules of the package that a file imports, below `synthspark.`."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "synthspark":
            names = [node.module] if node.module != "synthspark" else [f"synthspark.{a.name}" for a in node.names]
            found |= {name.partition(".")[2] for name in names}
    return found


def test_no_package_imports_one_that_imports_it() -> None:
    arrows = defaultdict(set)
    for file in ROOT.rglob("*.py"):
        here = file.relative_to(ROOT).parts[0].removesuffix(".py")
        arrows[here] |= {name.split(".")[0] for name in imported(file)} - {here}
    assert len(arrows) > 30 and "ranking" in arrows["proof"]
    assert list(TopologicalSorter(arrows).static_order())  # raises CycleError, which names the circle


def test_no_stage_imports_a_stage() -> None:
    for stage in STAGES:
        others = {f"stages.{other}" for other in STAGES - {stage}}
        assert not imported(ROOT / "stages" / f"{stage}.py") & others


def test_every_protocol_and_arm_of_the_configuration_is_in_its_table() -> None:
    assert set(PROTOCOLS) == set(get_args(Protocol))
    assert {REAL, PRODUCT, ONLY, *MAKERS} == set(ARMS) and not {REAL, PRODUCT, ONLY} & set(MAKERS)
    for protocol in PROTOCOLS.values():
        assert {"cold", "warm", "all"} <= set(protocol.slices) and set(protocol.held_by) == {"cold", "warm"}


def test_what_bounds_encodings_is_what_the_configuration_says() -> None:
    features, network = Features(), ProfileNetwork()
    assert TokenLimits() == TokenLimits(network.min_category_count, features.max_categories, features.max_multi_values)
    assert EncodingLimits() == EncodingLimits(
        features.min_category_count, features.max_categories, features.max_vocabulary, features.max_tokens,
        features.text_model,
    )  # fmt: skip
