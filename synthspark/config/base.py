"""Base types of the configuration's sections. Units are stated in each field's text; unknown keys are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

Kind = Literal["categorical", "numeric", "datetime", "text", "multi"]


def as_text(value: Any) -> Any:
    """Convert a number that YAML parsed where a name or word was meant to text."""
    if isinstance(value, float) and value != value:
        return "nan"
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def text_keys(value: Any) -> Any:
    """Convert the keys of a mapping, which YAML may have parsed as numbers, to text."""
    return {as_text(k): v for k, v in value.items()} if isinstance(value, dict) else value


def text_items(value: Any) -> Any:
    """Convert the items of a list, which YAML may have parsed as null or numbers, to text; wrap a single word."""
    if isinstance(value, str):
        return [value]
    return ["null" if v is None else as_text(v) for v in value] if isinstance(value, list) else value


Words = Annotated[list[str], BeforeValidator(text_items)]
Name = Annotated[str, BeforeValidator(as_text)]


class Section(BaseModel):
    """Base class of every section: frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Expression(Section):
    """A column computed from the source's columns."""

    expr: str
    """Spark SQL expression, e.g. `sales_value / nullif(quantity, 0)`."""


class Bounds(Section):
    """Range of valid values of a column; rows outside are rejected."""

    min: float | None = 0.0
    """Smallest valid value; null for no bound."""
    max: float | None = None
    """Largest valid value; null for no bound."""
