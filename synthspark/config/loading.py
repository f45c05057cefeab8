"""Load the configuration from YAML; no other module reads YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from synthspark.config.sections import Config
from synthspark.errors import ConfigError, did_you_mean
from synthspark.secrets import without_secrets

QUICK_LOOK = (
    "source.max_users=2000",
    "evaluate.seeds=[0]",
    "evaluate.als_seeds=1",
    "evaluate.arms=[real, real+synthetic, ridge, permuted]",
    "evaluate.references=false",
    "evaluate.ablations={}",
    "evaluate.profiles=false",
    "search.enabled=false",
)
"""Overrides of a quick look: a sample of users, one split, one simple alternative and one control."""


def load(path: str | Path, overrides: list[str] | None = None) -> Config:
    """Read a YAML file and apply `a.b=value` overrides.

    Raises ConfigError that names the key and the value and suggests similar keys.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"configuration {path}: cannot be read ({error.strerror}); conf/ has examples") from error
    return parse_text(text, str(path), overrides)


def parse_text(text: str, origin: str, overrides: list[str] | None = None) -> Config:
    """Parse YAML text and apply overrides, like `load`. origin: name of the text in errors."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"configuration {origin}: not valid YAML: {_complaint(error)}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"configuration {origin}: expected sections such as 'lake' and 'source', found {text[:40]!r}")
    for override in overrides or []:
        _apply(data, override)
    return parse(data, origin)


def parse(data: dict[str, Any], origin: str = "configuration") -> Config:
    """Validate plain data. Raises ConfigError with one line per problem."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        lines = [_explain(dict(problem)) for problem in error.errors()]
        raise ConfigError("\n".join(f"{origin}: {line}" for line in lines)) from error


def public_yaml(config: Config) -> str:
    """Return the whole configuration, defaults included, as YAML without values that may be secret."""
    return yaml.safe_dump(without_secrets(config.model_dump(mode="json")), sort_keys=False, allow_unicode=True)


def _apply(data: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set {override!r}: write it as key.sub=value")
    *parents, last = key.strip().split(".")
    if parents and parents[0] == "spark":  # Spark's own names have dots
        parents, last = ["spark"], key.strip().partition(".")[2]
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise ConfigError(f"--set {key.strip()}: {parent!r} is a value, not a section")
    try:
        data[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key.strip()}: the value is not valid YAML: {_complaint(error)}") from None


def _complaint(error: yaml.YAMLError) -> str:
    """Return the problem and its position, without the line itself, which may contain a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return type(error).__name__
    return f"{error.problem} (line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1})"


def _explain(problem: dict[str, Any]) -> str:
    where = [str(part) for part in problem["loc"]]
    key = ".".join(where)
    if problem["type"] == "extra_forbidden":
        known = _keys_at(where[:-1])
        hint = did_you_mean(where[-1], known) or (f" Known keys there: {', '.join(known)}." if known else "")
        return f"key {key!r} does not exist.{hint}"
    if problem["type"] == "missing":
        return f"key {key!r} is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    value = problem.get("input")
    shown = "" if isinstance(value, dict) else f", found {without_secrets(value, where[-1] if where else '')!r}"
    return f"{key}: {message}{shown}" if key else message


def _keys_at(path: list[str]) -> list[str]:
    model: Any = Config
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return []
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
    return sorted(model.model_fields) if model is not None else []
