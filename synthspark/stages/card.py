"""Model cards: data, settings and quality of a generator, stored next to its weights as JSON and Markdown."""

from __future__ import annotations

import hashlib
import json
import platform
from typing import Any

from synthspark.runs.context import Context
from synthspark.training import TrainingTask, storage

LOADING = {
    "autoregressive": "synthspark.synthesis.profiles.ProfileModel.at(url), then drawn_rows(spark, model, count, seed)",
    "behaviour": "synthspark.training.load_generator(url), or preferences() of synthspark.synthesis.generate",
}
KEPT = {
    "autoregressive": "weights; vocabularies, bin edges and counts of the attributes (tokens.json); the judge's trees",
}
NOT_COVERED = (
    "(epsilon, delta) covers the weights, for adding or removing one row, and everything drawn from them. Not covered, "
    "but exact: vocabularies, bin edges, hierarchies and counts (tokens.json; the biases are initialised by these "
    "counts), the number of rows, the losses, and every other model of this run."
)
NO_ROWS = "No row is stored, and no value that occurs in fewer rows than min_category_count."


def write_card(context: Context, task: TrainingTask, meta: dict[str, Any]) -> None:
    """Write card.json and card.md next to the model trained by `task`."""
    last = {k: v for k, v in meta["history"][-1].items() if isinstance(v, float | int)}
    losses = [r["validation_loss"] for r in meta["history"] if "validation_loss" in r]
    judge = f"{task.output_url}/judge.json"
    judged = json.loads(storage.read(judge)) if task.name.startswith("profile") and storage.exists(judge) else None
    card = {
        "name": task.name,
        "network": task.network,
        "settings": meta["settings"],
        "hyper": meta["hyper"],
        "seed": task.seed,
        "data": {
            "rows": task.num_rows,
            "schema": dict(zip(task.code_columns, task.cardinalities, strict=True))
            | dict.fromkeys(task.number_columns, "number")
            | dict.fromkeys(task.token_columns, "token"),
            "fingerprint": _fingerprint(context, task.name.partition("_")[2]),
        },
        "losses": last,
        "quality": {
            "validation_loss": min(losses) if losses else None,
            "judge_auc": judged["auc"] if judged else None,
            "share_of_proposals_taken": judged["rate"] if judged else None,
        },
        "privacy": {
            "kept": KEPT.get(task.network, "weights"),
            "rows": NO_ROWS,
            "differential_privacy": meta["differential_privacy"],
            "not_covered_by_it": NOT_COVERED if meta["differential_privacy"] else None,
        },
        "versions": {**meta["versions"], "python": platform.python_version(), "spark": context.spark.version},
        "sha256": meta["sha256"],
        "load": LOADING.get(task.network, "synthspark.training.load_generator(url)"),
    }
    storage.write(f"{task.output_url}/card.json", _bytes(json.dumps(card, indent=1, ensure_ascii=False)))
    storage.write(f"{task.output_url}/card.md", _bytes(_markdown(card)))


def _bytes(text: str) -> bytes:
    """Encode as UTF-8; lone surrogates are written as escape sequences."""
    return text.encode(errors="backslashreplace")


def _fingerprint(context: Context, side: str) -> str:
    """Return SHA-256 (16 hex digits) of row counts and configuration: equal for the same data and configuration."""
    counts = context.record("clean")["rows"]
    text = json.dumps([counts, context.record("featurize")["rows"], side, context.config.fingerprint()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _markdown(card: dict[str, Any]) -> str:
    lines = [f"# {card['name']}", f"A generator of kind `{card['network']}`. Load it with `{card['load']}`."]
    for title in ("data", "settings", "hyper", "losses", "quality", "privacy", "versions"):
        lines += [f"## {title.capitalize()}", "| | |\n|---|---|\n" + "\n".join(_lines(card[title]))]
    lines.append(f"Seed {card['seed']}; SHA-256 of the weights `{card['sha256']}`.")
    return "\n\n".join(lines) + "\n"


def _lines(section: dict[str, Any]) -> list[str]:
    return [f"| {name} | {_escaped(json.dumps(value, ensure_ascii=False))} |" for name, value in section.items()]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
