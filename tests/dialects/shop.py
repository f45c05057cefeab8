"""A small shop whose every row is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from random import Random
from zoneinfo import ZoneInfo

from tests.dialects.times import rounded

CATEGORIES = ("Bikes", "Coffee & Tea", "Garden", "Home Office", "Kitchen", "Toys")
BRANDS = ("Acme", "Björk", "Contoso", "Dürkopp", "Étoile", "Fabrikam", "Globex", "Hooli")
CITIES = ("Berlin", "Köln", "München", "New York", "Paris", "Pune", "Zürich")
TAGS = ("blue", "cotton", "eco", "gift", "kids", "large", "new", "sale", "small", "wool")
THINGS = ("mug", "lamp", "chair", "monitor", "kettle", "rug", "bell", "desk", "basket", "clock")
QUALITIES = ("large", "small", "quiet", "bright", "folding", "wooden", "steel", "woven")
FLOURISHES = (
    "{} {}, {}",
    '{} "{}" {}',
    "{} größer {} {}",
    "{} {} für {}",
    "{} {} {} (2 €)",
    "{} {} & {}",
    "{}'s {} {}",
)
EMOJI = ("☕", "🚲", "🎁")
STRAY = ('17" {} {} {}', '"{} {} {}', "{} 5'11\" {} {}")
"""Titles whose quotes do not pair."""
KINDS = ("view", "cart", "purchase", "favorite")
FIRST = datetime(2025, 3, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Item:
    """What the shop sells."""

    number: int
    category: int
    brand: str | None
    cost: float | None
    title: str
    tags: tuple[str, ...]
    listed: datetime | None
    weight: float
    odd: str


@dataclass(frozen=True)
class User:
    """Who buys."""

    number: int
    age: int | None
    city: str | None


@dataclass(frozen=True)
class Line:
    """One item of an order."""

    item: int
    quantity: int
    price: float


@dataclass(frozen=True)
class Order:
    """What one user did at one instant."""

    number: int
    user: int
    at: datetime
    kind: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Shop:
    """The truth."""

    users: tuple[User, ...]
    items: tuple[Item, ...]
    orders: tuple[Order, ...]


@dataclass(frozen=True)
class Needs:
    """What the way of writing asks of the truth."""

    zone: str
    event_unit: str
    listed_unit: str
    titles: str
    """plain, emoji, stray quotes or line feeds."""
    kinds: int
    """How many types of events there are."""
    days: int
    """Days of the events."""


def plant(random: Random, needs: Needs) -> Shop:
    """Draw a shop."""
    users = tuple(_user(random, n) for n in sorted(random.sample(range(100, 10_000), random.randint(30, 60))))
    items = tuple(
        _item(random, n, needs) for n in sorted(random.sample(range(10_000, 100_000), random.randint(40, 80)))
    )
    return Shop(users, items, tuple(_orders(random, users, items, needs)))


def _user(random: Random, number: int) -> User:
    age = None if random.random() < 0.1 else random.randint(18, 88)
    return User(number, age, None if random.random() < 0.1 else random.choice(CITIES))


def _item(random: Random, number: int, needs: Needs) -> Item:
    listed = None
    if random.random() > 0.08:
        instant = datetime(2019, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=random.randrange(6 * 365 * 86_400))
        listed = rounded(instant, needs.listed_unit, needs.zone)
    return Item(
        number,
        random.randrange(len(CATEGORIES)),
        None if random.random() < 0.1 else random.choice(BRANDS),
        None if random.random() < 0.08 else round(random.choice((9, 90, 1900)) * (0.5 + random.random()), 2),
        _title(random, number, needs.titles),
        tuple(sorted(random.sample(TAGS, random.choice((0, 1, 2, 2, 3, 4))))),
        listed,
        round(0.1 + 20 * random.random(), 1),
        random.choice(("north", "south", "east", "west")),
    )


def _title(random: Random, number: int, style: str) -> str:
    stray = style == "stray quotes" and random.random() < 0.15
    pattern = random.choice(STRAY if stray else FLOURISHES if style != "plain" else FLOURISHES[:1])
    title = pattern.format(random.choice(QUALITIES), random.choice(THINGS), f"model {number}")
    if style == "emoji" and random.random() < 0.3:
        title += " " + random.choice(EMOJI)
    if style == "line feeds" and random.random() < 0.2:
        title = title.replace(" model", "\nmodel")
    return title


def _orders(random: Random, users: tuple[User, ...], items: tuple[Item, ...], needs: Needs) -> list[Order]:
    """Every item is in one at least; no user has the same item twice at one instant."""
    wanted, orders = random.randint(300, 600), list[Order]()
    seen: set[tuple[int, int, datetime]] = set()
    left = [i.number for i in items]
    random.shuffle(left)
    count = 0
    while count < wanted:
        user, kind = random.choice(users).number, KINDS[random.randrange(needs.kinds)]
        chosen = {left.pop() if left else random.choice(items).number for _ in range(random.choice((1, 1, 2, 3)))}
        at = rounded(_instant(random, needs), needs.event_unit, needs.zone)
        fresh = sorted(item for item in chosen if (user, item, at) not in seen)
        seen |= {(user, item, at) for item in fresh}
        lines = tuple(Line(i, random.choice((1, 1, 1, 2, 3, 5)), _price(random)) for i in fresh)
        if lines:
            orders.append(Order(len(orders) + 1, user, at, kind, lines))
            count += len(lines)
    return orders


def _price(random: Random) -> float:
    return round(random.choice((9, 90, 1900)) * (0.5 + random.random()), 2)


def _instant(random: Random, needs: Needs) -> datetime:
    """Mostly by day, as people shop."""
    hour = random.choice((*range(8, 23), *range(24)))
    day = (FIRST + timedelta(days=random.randrange(needs.days))).replace(tzinfo=ZoneInfo(needs.zone))
    wall = day.replace(hour=hour, minute=random.randrange(60), second=random.randrange(60))
    return wall.replace(microsecond=random.randrange(1_000_000)).astimezone(timezone.utc)
