"""Where the shop's tables are, and what they mean."""

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
    """Path to read; give this or `table`."""
    table: str | None = None
    """Catalogue name, `catalog.database.table`."""
    format: str = "parquet"
    """parquet, csv, json, orc, delta, iceberg: whatever Spark can read."""
    options: dict[str, str] = {}
    """Options of Spark's reader, e.g. {header: "true"}."""
    where: str | None = None
    """SQL condition on the source's own columns, e.g. day >= '2026-01-01'; other rows are not read. Spark skips the
    partitions and files that it excludes."""
    columns: Annotated[dict[str, Name | Expression], BeforeValidator(text_keys)]
    """Contract name -> column of the source (a path such as customer.id goes into structs, maps and JSON), or
    {expr: ...}."""
    null_values: Annotated[list[str] | None, BeforeValidator(text_items)] = None
    """Texts that stand for a missing value, in every column; null: NULL, null, \\N, nan, NaN, None, N/A, <NA>, - and
    undefined, in ids (and in the numbers of events) only. Blank texts always are missing."""
    explode: Words = []
    """Lists that are taken apart before anything else, e.g. lines: an order becomes its lines. Their fields are then
    named by a path, e.g. lines.sku."""

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if (self.path is None) == (self.table is None):
            raise ValueError("give exactly one of 'path' and 'table'")
        return self


class EventSource(Source):
    """The events: who did what with which item, and when."""

    event_type: str | None = None
    """The type of every event, where the source has no column for it."""
    timezone: str = "UTC"
    """Zone of timestamps that carry none, e.g. America/New_York."""
    timestamp_format: str | None = None
    """A Spark pattern, or epoch_seconds, epoch_millis, epoch_micros or epoch_nanos for numbers; null for timestamps
    and ISO strings."""
    bounds: dict[Literal["value", "price"], Bounds] = {}
    """Bounds of value and price; both at least 0 where nothing is said."""
    unknown_items: Literal["reject", "keep"] = "reject"
    """What happens to events of items that the items table lacks."""
    max_events_per_user_per_day: int | None = Field(default=None, ge=1)
    """Users above this on a day are robots for that day; null for no limit."""

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
    """The searches: what was typed, and what was clicked."""

    timezone: str = "UTC"
    """Zone of timestamps that carry none."""
    timestamp_format: str | None = None
    """As of events."""
    unknown_items: Literal["reject", "keep"] = "reject"
    """What happens to clicks on items that the items table lacks."""

    @model_validator(mode="after")
    def _needs(self) -> SearchSource:
        allowed = ("query", "item_id", "ts", "user_id", "session_id", "position", "shown", "filter")
        _only(self.columns, allowed, "source.searches.columns")
        for name in ("query", "item_id"):
            if name not in self.columns:
                raise ValueError(f"source.searches.columns lacks {name!r}")
        return self


class AttributeBounds(Section):
    """The values that an attribute may take; others become null."""

    min: float | datetime | date | None = None
    """Smallest value kept: a number, or a day or instant in UTC; null for none."""
    max: float | datetime | date | None = None
    """Largest value kept; null for none."""


class EntitySource(Source):
    """Items or users: a key and the attributes that are known of it."""

    attributes: Annotated[dict[str, Kind], BeforeValidator(text_keys)] = {}
    """Attribute -> categorical, numeric, datetime, text or multi. Read from the column of that name."""
    filter: str | None = None
    """SQL condition over the source's columns; rows that do not meet it are rejected, and so are their events."""
    timezone: str = "UTC"
    """Zone of datetime attributes that carry none."""
    separator: str = "|"
    """Separates the values of a multi attribute that is stored as one string; lists in brackets need none."""
    separators: dict[str, str] = {}
    """Multi attribute -> its own separator."""
    bounds: dict[str, AttributeBounds] = {}
    """Numeric or datetime attribute -> {min: ..., max: ...}. Where nothing is said, datetimes outside of 1678 to 2261
    and the days that stand for no date (1900-01-01, 1899-12-30, 1753-01-01) become null."""
    min_known_ids: float = Field(default=0.5, ge=0, le=1)
    """Share of the ids in the events that this table must have: fewer, and ids are probably written in another way."""
    price: str | None = None
    """Of items: the numeric attribute that is their price, which their virtual events have before anything is sold;
    null: the one called price, if there is one."""
    hierarchies: list[list[str]] = []
    """Categorical attributes from coarse to fine, e.g. [[department, category, type]]: no new row breaks them, nor any
    that the data show by themselves."""

    @property
    def price_attribute(self) -> str | None:
        """`price`, or the attribute of that name."""
        return self.price or ("price" if self.attributes.get("price") == "numeric" else None)


class Sources(Section):
    """The tables that come in."""

    events: EventSource
    items: EntitySource | None = None
    users: EntitySource | None = None
    searches: SearchSource | None = None
    """Null: events that have a query are searches."""

    @property
    def has_searches(self) -> bool:
        """Whether anything tells what was typed."""
        return self.searches is not None or "query" in self.events.columns

    def of(self, side: Side) -> EntitySource | None:
        """The table of items or users, if there is one."""
        return self.items if side == ITEMS else self.users

    def attributes(self, side: Side) -> dict[str, str]:
        """Name -> kind of what is declared of items or users."""
        source = self.of(side)
        return {name: str(kind) for name, kind in source.attributes.items()} if source is not None else {}

    @model_validator(mode="after")
    def _keys(self) -> Sources:
        for side, table in (("items", self.items), ("users", self.users)):
            if table is not None:
                require_names(table.attributes, f"source.{side}")
                if table.price is not None and (side == "users" or table.attributes.get(table.price) != "numeric"):
                    raise ValueError(f"source.{side}.price: {table.price!r} is no numeric attribute of items")
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
