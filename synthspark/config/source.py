"""Sections on the source tables: where they are and what their columns mean."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from synthspark.config.base import Bounds, Expression, Kind, Name, Section, Words, text_items, text_keys
from synthspark.errors import did_you_mean
from synthspark.names import require_names
from synthspark.sides import ITEMS, Side


class Source(Section):
    """A source table, by path or by catalogue name."""

    path: str | None = None
    """Path to read; set either this or `table`."""
    table: str | None = None
    """Name in the catalogue, `catalog.database.table`."""
    format: str = "parquet"
    """Format that Spark can read: parquet, csv, json, orc, delta, iceberg, ..."""
    options: dict[str, str] = {}
    """Options of Spark's reader, e.g. {header: "true"}."""
    where: str | None = None
    """SQL condition on the source's own columns, e.g. day >= '2026-01-01'; other rows are not read. Spark skips
    partitions and files that it excludes."""
    columns: Annotated[dict[str, Name | Expression], BeforeValidator(text_keys)]
    """Contract name -> column of the source (a path such as customer.id reaches into structs, maps and JSON), or
    {expr: ...}."""
    null_values: Annotated[list[str] | None, BeforeValidator(text_items)] = None
    """Texts that mean a missing value, in every column; null: NULL, null, \\N, nan, NaN, None, N/A, <NA>, - and
    undefined, in ids (and in the numbers of events) only. Blank texts are always missing values."""
    explode: Words = []
    """Lists that are exploded into rows before anything else, e.g. lines: one row per line of an order. Paths then name
    the fields of an element, e.g. lines.sku."""

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if (self.path is None) == (self.table is None):
            raise ValueError("give exactly one of 'path' and 'table'")
        return self


class EventSource(Source):
    """Table of events: which user did what with which item, and when."""

    event_type: str | None = None
    """Type of every event, if the source has no column for it."""
    timezone: str = "UTC"
    """Zone of timestamps without one, e.g. America/New_York."""
    timestamp_format: str | None = None
    """Spark pattern of texts, or epoch_seconds, epoch_millis, epoch_micros or epoch_nanos for numbers; null for
    timestamps and ISO texts."""
    bounds: dict[Literal["value", "price"], Bounds] = {}
    """Bounds of value and price; rows outside are rejected. By default both must be at least 0."""
    unknown_items: Literal["reject", "keep"] = "reject"
    """Treatment of events of items that are not in the items table."""
    max_events_per_user_per_day: int | None = Field(default=None, ge=1)
    """Maximum number of events per user and day; all events of a user on a day with more are rejected as a robot's.
    null for no limit."""

    @model_validator(mode="after")
    def _needs(self) -> EventSource:
        allowed = ("user_id", "item_id", "event_type", "ts", "value", "price", "query", "session_id")
        _only(self.columns, allowed, "source.events.columns")
        for name in ("user_id", "item_id"):
            if name not in self.columns:
                raise ValueError(f"source.events.columns lacks {name!r}")
        if (self.event_type is None) == ("event_type" not in self.columns):
            raise ValueError("give event_type either as a constant (source.events.event_type) or under columns")
        return self


class SearchSource(Source):
    """Table of searches: queries and the items clicked after them."""

    timezone: str = "UTC"
    """Zone of timestamps without one."""
    timestamp_format: str | None = None
    """Spark pattern or epoch unit, as for events."""
    unknown_items: Literal["reject", "keep"] = "reject"
    """Treatment of clicks on items that are not in the items table."""

    @model_validator(mode="after")
    def _needs(self) -> SearchSource:
        allowed = ("query", "item_id", "ts", "user_id", "session_id", "position", "shown", "filter")
        _only(self.columns, allowed, "source.searches.columns")
        for name in ("query", "item_id"):
            if name not in self.columns:
                raise ValueError(f"source.searches.columns lacks {name!r}")
        return self


class AttributeBounds(Section):
    """Range of valid values of an attribute; values outside become null."""

    min: float | datetime | date | None = None
    """Smallest valid value: a number, or a day or instant in UTC; null for no bound."""
    max: float | datetime | date | None = None
    """Largest valid value; null for no bound."""


class EntitySource(Source):
    """Table of items or users: a key and attributes."""

    attributes: Annotated[dict[str, Kind], BeforeValidator(text_keys)] = {}
    """Attribute -> kind: categorical, numeric, datetime, text or multi. Read from the column of its name unless
    `columns` names another."""
    filter: str | None = None
    """SQL condition on the source's columns; rows that do not meet it are rejected, and so are their events."""
    timezone: str = "UTC"
    """Zone of datetime attributes without one."""
    separator: str = "|"
    """Separator of the values of multi attributes stored as one text; lists in brackets do not need it."""
    separators: dict[str, str] = {}
    """Multi attribute -> its own separator."""
    bounds: dict[str, AttributeBounds] = {}
    """Numeric or datetime attribute -> {min: ..., max: ...}. Without bounds, datetimes outside 1678 to 2261 and
    placeholders for "no date" (1900-01-01, 1899-12-31, 1899-12-30, 1753-01-01) become null."""
    min_known_ids: float = Field(default=0.5, ge=0, le=1)
    """Minimum share of the distinct ids of the events that this table must have; if it has fewer, the ids are probably
    written differently."""
    price: str | None = None
    """Numeric attribute with the price of an item (items only), used for virtual events of items without sales; null
    for the attribute called price, if there is one."""
    hierarchies: list[list[str]] = []
    """Categorical attributes from coarse to fine, e.g. [[department, category, type]]. New rows respect these
    hierarchies and those found in the data."""

    @property
    def price_attribute(self) -> str | None:
        """Name of the price attribute: `price`, else the numeric attribute called price, else None."""
        return self.price or ("price" if self.attributes.get("price") == "numeric" else None)


class Sources(Section):
    """The source tables."""

    events: EventSource
    items: EntitySource | None = None
    users: EntitySource | None = None
    searches: SearchSource | None = None
    """Table of searches; null to use events with a query as searches."""
    max_users: int | None = Field(default=None, ge=100)
    """Approximate maximum number of users; of more, a random sample is read with all its rows, for a quick look. null
    reads everybody, as a run whose tables are used must."""

    @property
    def has_searches(self) -> bool:
        """Whether any table has search queries."""
        return self.searches is not None or "query" in self.events.columns

    def of(self, side: Side) -> EntitySource | None:
        """Return the table of items or users, if there is one."""
        return self.items if side == ITEMS else self.users

    def attributes(self, side: Side) -> dict[str, str]:
        """Return name -> kind of the declared attributes of items or users."""
        source = self.of(side)
        return {name: str(kind) for name, kind in source.attributes.items()} if source is not None else {}

    @model_validator(mode="after")
    def _keys(self) -> Sources:
        for side, table in (("items", self.items), ("users", self.users)):
            if table is not None:
                require_names(table.attributes, f"source.{side}")
                if table.price is not None and (side == "users" or table.attributes.get(table.price) != "numeric"):
                    raise ValueError(f"source.{side}.price: {table.price!r} is not a numeric attribute of items")
                for key in ("bounds", "separators"):
                    _only(getattr(table, key), tuple(table.attributes), f"source.{side}.{key}")
        for name, source, key in (("items", self.items, "item_id"), ("users", self.users, "user_id")):
            if source is not None:
                _only(source.columns, (key, *source.attributes), f"source.{name}.columns")
                if key not in source.columns:
                    raise ValueError(f"source.{name}.columns lacks {key!r}")
        return self


def _only(given: dict[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in allowed:
            raise ValueError(f"{where}: {name!r} is not known there.{did_you_mean(name, allowed)}")
