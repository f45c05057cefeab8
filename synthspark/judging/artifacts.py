"""A judge as files: judge.json names the kind of judge, and a file of that kind holds its parameters. Never pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from synthspark.errors import LakeError
from synthspark.judging.judge import Judge
from synthspark.judging.network import NetworkJudge
from synthspark.judging.prior import Prior
from synthspark.judging.trees import TreeJudge

KINDS: dict[str, type[Judge]] = {kind.model: kind for kind in (TreeJudge, NetworkJudge)}


def save_judge(
    judge: Judge, table: Mapping[str, Any], write: Callable[[str, bytes], None], about: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write the judge's file and judge.json, including `about`, by `write(name, data)`; return judge.json's content."""
    data = judge.to_bytes()
    meta = {
        **(about or {}),
        "model": judge.model,
        "settings": judge.settings(),
        "prior": judge.prior and asdict(judge.prior),
        "sha256": hashlib.sha256(data).hexdigest(),
        "table": table,
        "auc": judge.auc,
        "num_pairs": judge.num_pairs,
        "versions": {p: version(p) for p in ("synthspark", "lightgbm", "torch")},
    }
    write(judge.file, data)
    write("judge.json", json.dumps(meta, indent=1).encode())
    return meta


@lru_cache(maxsize=4)
def load_judge(url: str, sha256: str, read: Callable[[str], bytes]) -> Judge:
    """Load the judge that `save_judge` wrote below `url`; cached per process.

    Raises LakeError if judge.json names no known kind of judge, or if the judge's file does not have `sha256`.
    """
    meta: dict[str, Any] = json.loads(read(f"{url}/judge.json"))
    kind = KINDS.get(meta.get("model", ""))
    if kind is None:
        raise LakeError(f"judge {url}: judge.json names the model {meta.get('model')!r}, not one of "
                        f"{', '.join(KINDS)}; train again")  # fmt: skip
    data = read(f"{url}/{kind.file}")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise LakeError(f"judge {url}: {kind.file} is not what judge.json describes; train again")
    prior = Prior.from_json(meta["prior"]) if meta.get("prior") else None
    return replace(kind.from_bytes(data, meta), prior=prior)
