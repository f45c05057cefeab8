from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from synthspark.config import parse_text
from synthspark.errors import SourceError
from synthspark.guess import ColumnFacts, configuration_text, facts, guess_entities, guess_events, guess_searches
from synthspark.guess.texts import read_numbers, read_times
from synthspark.guess.words import Place

N = 2_000


def seen(table: dict[str, Sequence[object]], **types: str) -> list[ColumnFacts]:
    frame = pd.DataFrame({n: pd.Series(list(v), dtype="object") for n, v in table.items()})
    text = frame.map(lambda v: None if v is None else str(v))
    return facts(text, {n: types.get(n, "string") for n in frame})


def sales(hour: int = 0) -> dict[str, Sequence[object]]:
    """Fewest at 4 + hour."""
    shop = [h for h in range(24) for _ in range(1 + 10 * min((h - 4) % 24, (4 - h) % 24))]
    return {
        "Kd-Nr": [f"K{i % 97}" for i in range(N)],
        "whén": [f"2026-03-{1 + i % 28:02d} {(shop[i % len(shop)] + hour) % 24:02d}:00:00" for i in range(N)],
        "Art. Nr": [f"{i % 301:05d}" for i in range(N)],
        "what": [("view", "cart", "Purchase", "odd one")[i % 4] for i in range(N)],
        "Stück": [i % 3 + 1 for i in range(N)],
        "remark": [None] * N,
    }


def catalogue() -> dict[str, Sequence[object]]:
    return {
        "nr": [f"{i:05d}" for i in range(400)],
        "name": [f"a very fine thing no {i}" for i in range(400)],
        "group": [f"Cards/{'wrap' if i % 7 else 'party'} {i % 60}" for i in range(400)],
        "tags": ["|".join(sorted({f"t{i % 5}", f"t{i % 7}", f"t{i % 3}"})) for i in range(400)],
        "gewicht": [i * 0.37 for i in range(400)],
        "doors": [i % 4 for i in range(400)],
        "zip": [10_000 + i % 90 for i in range(400)],
        "since": [f"20{10 + i % 10}-01-02" for i in range(400)],
        "ean": [f"ean{i}" for i in range(400)],
        "always": ["x"] * 400,
        "never": [None] * 400,
    }


def test_keys_are_found_by_the_values_that_tables_share_whatever_their_names() -> None:
    users = seen({"K": [f"K{i}" for i in range(120)], "city": [f"c{i % 9}" for i in range(120)]})
    guess, item_key, user_key = guess_events(seen(sales()), seen(catalogue()), users, {})
    assert (item_key, user_key) == ("nr", "K")
    assert guess.columns["item_id"] == "Art. Nr" and guess.columns["user_id"] == "Kd-Nr"
    assert guess.columns["ts"] == "whén" and guess.timestamp_format is None
    assert guess.left_out.keys() >= {"remark"}


def test_without_other_tables_names_decide_and_nothing_to_go_by_is_said() -> None:
    known = {"visitorid": ["a", "b"], "timestamp": [1_600_000_000_123, 1_600_000_100_000], "event": ["view", "buy"],
             "itemid": [1, 2], "price": [1.5, 2.0]}  # fmt: skip
    guess, _, _ = guess_events(seen(known), (), (), {})
    assert guess.columns == {"user_id": "visitorid", "item_id": "itemid", "ts": "timestamp", "event_type": "event",
                             "price": "price"}  # fmt: skip
    assert guess.timestamp_format == "epoch_millis" and guess.event_types == {"buy": 1, "view": 1}
    with pytest.raises(SourceError, match=r"none of the columns \(Kd-Nr.*--user-id COLUMN"):
        guess_events(seen(sales()), (), (), {})
    named, _, _ = guess_events(seen(sales()), (), (), {"user_id": "Kd-Nr", "item_id": "Art. Nr"})
    assert named.columns["user_id"] == "Kd-Nr"


def test_kinds_follow_what_is_in_a_column() -> None:
    guess = guess_entities(seen(catalogue()), "nr")
    assert guess.attributes == {"name": "text", "group": "categorical", "tags": "multi", "gewicht": "numeric",
                                "doors": "categorical", "zip": "categorical", "since": "datetime"}  # fmt: skip
    assert guess.separators == {"tags": "|"}
    assert guess.left_out == {"ean": "a name for each row: nothing to learn from", "always": "one value for all",
                              "never": "no values"}  # fmt: skip


@pytest.mark.parametrize(("hour", "words"), [(0, "may be local times"), (5, "near UTC-5"), (-8, "near UTC+8")])
def test_the_quiet_hour_tells_local_times_from_utc(hour: int, words: str) -> None:
    text, _ = written(sales(hour))
    assert words in text


def test_a_shop_that_is_closed_at_night_has_its_quietest_hour_in_the_middle_of_it() -> None:
    days = [f"2026-03-{1 + i % 28:02d}" for i in range(N)]
    open_hours = [f"{day} {9 + i % 12:02d}:30:00" if i % 9 else day for i, day in enumerate(days)]
    (column,) = seen({"when": open_hours})
    assert column.quiet_hour == 2  # nothing from 21 h to 8 h, and dates without a time are no midnights


@pytest.mark.parametrize(
    ("texts", "numbers", "sql"),
    [
        (["1", "2.5", "-3e2"], [1, 2.5, -300], None),
        (["1", "2,50", "-1.234,5"], [1, 2.5, -1234.5], "translate({}, ',.', '.')"),
        (["3,50 €", "12 €"], [3.5, 12], "translate({}, ',. €', '.')"),
        (["1,234.50", "$12", "7"], [1234.5, 12, 7], "translate({}, ',$', '')"),
        (["1,234", "12,345"], [1234, 12345], "translate({}, ',', '')"),
        (["0,234", "2,345"], [0.234, 2.345], "translate({}, ',.', '.')"),
        (["a", "b 1"], [], None),
    ],
)
def test_numbers_are_read_as_they_are_written(texts: list[str], numbers: list[float], sql: str | None) -> None:
    found = read_numbers(pd.Series(texts))
    assert list(found.values) == numbers and found.rewriting == sql


@pytest.mark.parametrize(
    ("texts", "pattern", "doubtful"),
    [
        (["2026-01-31", "2026-01-31 10:00:00", "2026-01-31T10:00:00Z"], None, False),
        (["31.1.2026", "01.02.2026 9:05", "01.02.2026 19:05:07"], "d.M.yyyy[ H:m[:s]]", False),
        (["31.01.26", "01.02.26"], "d.M.yy[ H:m[:s]]", False),
        (["1/31/2026 8:39 AM", "2/1/2026 12:00 PM"], "M/d/yyyy[ h:m[:s] a]", False),
        (["31/01/2026", "01/02/2026"], "d/M/yyyy[ H:m[:s]]", False),
        (["03/04/2026", "01/02/2026"], "M/d/yyyy[ H:m[:s]]", True),
        (["2026/01/31 10:00"], "yyyy/M/d[ H:m[:s]]", False),
        (["20260131", "99991231"], "yyyyMMdd", False),
        (["20260131180500"], "yyyyMMddHHmmss", False),
        (["31.1.2026", "31.12.9999"], "d.M.yyyy[ H:m[:s]]", False),
        (["2026-01-31 10:00:00 GMT+2", "9999-12-31 00:00:00+5:30", "0001-01-01"], None, False),
    ],
)
def test_times_get_the_pattern_that_they_are_written_by(texts: list[str], pattern: str | None, doubtful: bool) -> None:
    found = read_times(pd.Series(texts))
    assert len(found.values) == len(texts)
    assert (found.pattern, found.doubtful) == (pattern, doubtful)


def test_words_are_no_times() -> None:
    assert not len(read_times(pd.Series(["31.02.2026", "soon", "9"])).values)


def test_what_was_paid_for_all_pieces_becomes_the_price_of_one() -> None:
    table = {**sales(), "Umsatz `netto` €": [f"{3 * (i % 3 + 1)},5" for i in range(N)],
             "Umsatz Nr": [i % 50 for i in range(N)]}  # fmt: skip
    table["Stück"] = [i % 3 + (1 if i % 50 else -1) for i in range(N)]
    text, _ = written(table)
    price = parse_text(text, "t").source.events.columns["price"]
    assert not isinstance(price, str)
    assert price.expr == ("try_divide(try_cast(translate(`Umsatz ``netto`` €`, ',.', '.') as double), "
                          "try_cast(`Stück` as double))")  # fmt: skip
    assert "# 0.7% of value are below 0 and will be rejected" in text
    priced, _ = written({**table, "unit_price": [1.5] * N})
    assert parse_text(priced, "t").source.events.columns["price"] == "unit_price"


def test_a_total_is_neither_a_number_of_pieces_nor_a_price() -> None:
    total = {"user": ["a", "b"], "item": [1, 2], "amount": [3.5, 4.0], "total_price": [7, 8], "quantity": [2, 2]}
    guess, _, _ = guess_events(seen(total), (), (), {})
    assert guess.columns["value"] == "quantity" and "price" not in guess.columns and guess.total == "amount"


@pytest.mark.parametrize("eaten", ["events", "items"])
def test_leading_zeros_that_one_of_two_files_has_lost_are_given_back(eaten: str) -> None:
    sold, stock = sales(), catalogue()
    if eaten == "events":
        sold["Art. Nr"] = [str(i % 301) for i in range(N)]
    else:
        stock["nr"] = [str(i) for i in range(400)]
    text, _ = written(sold, stock)
    config = parse_text(text, "t")
    assert config.source.items is not None
    ids = {"events": config.source.events.columns["item_id"], "items": config.source.items.columns["item_id"]}
    expression = ids.pop(eaten)
    name = {"events": "Art. Nr", "items": "nr"}[eaten]
    assert not isinstance(expression, str)
    assert expression.expr == f"if(trim(`{name}`) rlike '^[0-9]{{1,5}}$', lpad(trim(`{name}`), 5, '0'), trim(`{name}`))"
    assert all(isinstance(column, str) for column in ids.values())


def test_attributes_that_are_not_written_plainly_are_computed() -> None:
    table = {**catalogue(), "Preis €": [f"{i},{i % 10}9" for i in range(400)],
             "seit": [f"{1 + i % 28:02d}.01.20{10 + i % 10}" for i in range(400)],
             "code8": [f"{i % 40:05d}" for i in range(400)]}  # fmt: skip
    tables = {"events": seen(sales()), "items": seen(table)}
    guess, key, _ = guess_events(tables["events"], tables["items"], (), {"user_id": "Kd-Nr"})
    assert key is not None
    entities = {"items": guess_entities(tables["items"], key)}
    text = configuration_text("lake", {n: Place(n, "csv", {}) for n in tables}, guess, tables, entities)
    items = parse_text(text, "t").source.items
    assert items is not None
    assert (items.attributes["Preis €"], items.attributes["seit"], items.attributes["code8"]) == (
        "numeric", "datetime", "categorical",
    )  # fmt: skip
    computed = {name: c.expr for name, c in items.columns.items() if not isinstance(c, str)}
    assert computed == {"Preis €": "translate(`Preis €`, ',.', '.')",
                        "seit": "cast(try_to_timestamp(`seit`, 'd.M.yyyy[ H:m[:s]]') as date)"}  # fmt: skip


def written(
    events: dict[str, Sequence[object]], items: dict[str, Sequence[object]] | None = None
) -> tuple[str, dict[str, list[ColumnFacts]]]:
    tables = {"events": seen(events), "items": seen(items or catalogue())}
    guess, item_key, _ = guess_events(tables["events"], tables["items"], (), {"user_id": "Kd-Nr"})
    assert item_key is not None
    places = {n: Place(f"/a b/{n}: #1.csv", "csv", {"sep": ";"}) for n in tables}
    own = next(c for c in tables["events"] if c.name == guess.columns["item_id"])
    entities = {"items": guess_entities(tables["items"], item_key, own)}
    return configuration_text("./lake", places, guess, tables, entities), tables


def test_what_is_written_is_a_configuration_whatever_is_in_the_names() -> None:
    events = {**sales(), 'x"\n- y: {#': ["\x00\u2028evil: [", *["v"] * (N - 1)]}
    text, _ = written(events)
    config = parse_text(text, "t")
    assert config.source.events.path == "/a b/events: #1.csv" and config.source.events.options == {"sep": ";"}
    assert config.source.items is not None and config.source.items.attributes["tags"] == "multi"


def test_types_get_the_weights_that_are_known_and_a_question_otherwise() -> None:
    table = {**sales(), "event_type": sales()["what"]}
    text, _ = written(table)
    weights = parse_text(text, "t").events.weights
    assert weights == {"Purchase": 5, "cart": 3, "odd one": 1, "view": 1}
    assert '"odd one": 1   # 500 rows; what is it worth?' in text


def test_numbers_that_are_all_times_of_our_years_are_times_of_an_attribute() -> None:
    table = {**catalogue(), "seit": [1_577_836_800 + 86_400 * i for i in range(400)],
             "ean": [4_006_381_000_000 + i for i in range(400)]}  # fmt: skip
    guess = guess_entities(seen(table), "nr")
    assert guess.attributes["seit"] == "datetime" and guess.attributes.get("ean") != "datetime"


@pytest.mark.parametrize(
    "columns",
    [
        ["Kundennummer", "Artikel", "Zeitpunkt", "Ereignis", "Menge"],
        ["id_cliente", "producto", "fecha", "acción", "cantidad"],
        ["client", "id_produit", "heure", "événement", "quantité"],
        ["klant_id", "artikel", "tijd", "actie", "aantal"],
        ["Kunde", "Artikel-Nr", "Bestelldatum", "Aktion", "Bestellmenge"],
    ],
)
def test_columns_are_found_in_other_languages(columns: list[str]) -> None:
    user, item, ts, event_type, value = columns
    table = {
        user: [f"u{i % 9}" for i in range(200)],
        item: [f"a{i % 30}" for i in range(200)],
        ts: [1_770_000_000_000 + i * 10**7 for i in range(200)],
        event_type: [i % 4 + 1 for i in range(200)],
        value: [i % 20 + 0.5 for i in range(200)],
        "x": [f"text {i % 50}" for i in range(200)],
    }
    guess, _, _ = guess_events(seen(table), (), (), {})
    assert guess.columns == {"user_id": user, "item_id": item, "ts": ts, "event_type": event_type, "value": value}


def test_a_column_of_known_types_of_events_is_found_whatever_its_name() -> None:
    table = {**sales(), "type": [i % 3 for i in range(N)]}
    guess, _, _ = guess_events(seen(table), seen(catalogue()), (), {"user_id": "Kd-Nr"})
    assert guess.columns["event_type"] == "what"
    assert guess.event_types["Purchase"] == N // 4


def test_a_visit_is_no_user() -> None:
    table = {"user_session": [f"s{i}" for i in range(90)], "visitorid": [i % 9 for i in range(90)],
             "itemid": [f"a{i % 30}" for i in range(90)]}  # fmt: skip
    guess, _, _ = guess_events(seen(table), (), (), {})
    assert guess.columns == {"user_id": "visitorid", "item_id": "itemid", "session_id": "user_session"}


def searches() -> dict[str, Sequence[object]]:
    return {
        "Zeitpunkt": [1_600_000_000 + i for i in range(N)],
        "Suchbegriff": [f"fine thing {i % 50}" for i in range(N)],
        "geklickt": [None if i % 3 else str(i % 301) for i in range(N)],
        "wer": [f"K{i % 97}" for i in range(N)],
        "Rang": [i % 20 for i in range(N)],
        "browser": ["firefox", "chrome"] * (N // 2),
    }


def test_a_search_log_is_matched_by_its_ids_and_written_as_a_source() -> None:
    events, items, log = seen(sales()), seen(catalogue()), seen(searches())
    guess, key, _ = guess_events(events, items, (), {"user_id": "Kd-Nr"})
    ids = {"item_id": next(c for c in items if c.name == key), "user_id": next(c for c in events if c.name == "Kd-Nr")}
    found = guess_searches(log, ids)
    assert found.columns == {"user_id": "wer", "item_id": "geklickt", "ts": "Zeitpunkt", "query": "Suchbegriff",
                             "position": "Rang"}  # fmt: skip
    assert found.widths == {"item_id": 5} and found.left_out == {"browser": "not used by the job"}
    places = {name: Place(f"/x/{name}", "csv", {}) for name in ("events", "items", "searches")}
    tables = {"events": events, "items": items, "searches": log}
    text = configuration_text("lake", places, guess, tables, {"items": guess_entities(items, "nr")}, found)
    source = parse_text(text, "t").source.searches
    assert source is not None and source.timestamp_format == "epoch_seconds"
    assert source.columns["query"] == "Suchbegriff" and "lpad" in getattr(source.columns["item_id"], "expr", "")
    with pytest.raises(
        SourceError, match=r"searches: none of the columns \(geklickt, wer, browser\) looks like a query"
    ):
        guess_searches([c for c in log if c.name in ("wer", "geklickt", "browser")], ids)
