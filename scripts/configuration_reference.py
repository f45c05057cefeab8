"""Write docs/configuration.md from the pydantic models: `python scripts/configuration_reference.py`."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from synthspark.config import Config

TARGET = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
HEAD = """# Configuration

Written by `python scripts/configuration_reference.py` from the models of the configuration; `conf/local.yaml` has the
same keys as a file to start from. Any key can be overridden: `--set train.epochs=10`. An unknown key is an error that
suggests similar ones.
"""


def reference() -> str:
    """Return the text of the page."""
    parts = [HEAD]
    for name, field in Config.model_fields.items():
        inner = _model(field.annotation)
        if inner is None:
            parts.append(f"## `{name}`\n{_text(field)}\n\n{_table([_row(name, field)])}")
        else:
            parts += _sections(name, inner, field)
    return "\n".join(parts)


def _sections(name: str, model: type[BaseModel], field: FieldInfo) -> Iterator[str]:
    rows = [_row(f"{name}.{key}", f) for key, f in model.model_fields.items() if _model(f.annotation) is None]
    yield f"## `{name}`\n{_text(field) or (model.__doc__ or '').strip()}\n"
    if rows:
        yield _table(rows)
    for key, inner in model.model_fields.items():
        below = _model(inner.annotation)
        if below is not None:
            yield from _sections(f"{name}.{key}", below, inner)


def _table(rows: list[str]) -> str:
    return "\n".join(["| key | values | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _row(key: str, field: FieldInfo) -> str:
    return f"| `{key}` | {_kind(field.annotation, field.metadata)} | {_default(field)} | {_text(field)} |"


def _text(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return ""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return f"`{json.dumps(value, ensure_ascii=False)}`".replace("|", "\\|")


def _kind(annotation: Any, metadata: list[Any] | None = None) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(args[0], list(args[1:]))
    if origin is Literal:
        return ", ".join(str(a) for a in args)
    if origin in (types.UnionType, typing.Union):
        return " or ".join("null" if a is type(None) else _kind(a, metadata) for a in args)
    if origin in (list, tuple):
        return f"list of {_kind(args[0])}"
    if origin is dict:
        return f"{_kind(args[0])}: {_kind(args[1])}"
    names = {str: "text", int: "whole number", float: "number", bool: "true, false"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation))) + _bounds(metadata or [])


def _bounds(metadata: list[Any]) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [f"{sign} {getattr(m, name):g}" for m in metadata for name, sign in signs.items() if hasattr(m, name)]
    return f" {', '.join(found)}" if found else ""


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a field holds, else None; unions with other types (expression, number) are values."""
    kinds = [a for a in (get_args(annotation) or (annotation,)) if a is not type(None)]
    only = kinds[0] if len(kinds) == 1 else None
    return only if isinstance(only, type) and issubclass(only, BaseModel) else None


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
