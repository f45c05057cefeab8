"""What every section of the configuration is made of. Units stand in the field's text; unknown keys are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

Kind = Literal["categorical", "numeric", "datetime", "text", "multi"]


def as_text(value: Any) -> Any:
    """A number in YAML that stands for a name or a word, as the text that somebody meant."""
    if isinstance(value, float) and value != value:
        return "nan"
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def text_keys(value: Any) -> Any:
    """A mapping whose keys YAML may have read as numbers."""
    return {as_text(k): v for k, v in value.items()} if isinstance(value, dict) else value


def text_items(value: Any) -> Any:
    """A list of words, of which YAML may have read `null` and numbers as such; one word is a list of one."""
    if isinstance(value, str):
        return [value]
    return ["null" if v is None else as_text(v) for v in value] if isinstance(value, list) else value


Words = Annotated[list[str], BeforeValidator(text_items)]
Name = Annotated[str, BeforeValidator(as_text)]


class Section(BaseModel):
    """Base of every section: frozen, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Expression(Section):
    """A column computed from the source's columns."""

    expr: str
    """A Spark SQL expression, e.g. `sales_value / nullif(quantity, 0)`."""


class Bounds(Section):
    """The values a column may take; rows outside are rejected."""

    min: float | None = 0.0
    """Smallest value kept; null for none."""
    max: float | None = None
    """Largest value kept; null for none."""
