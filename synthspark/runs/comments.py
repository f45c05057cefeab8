"""What a catalogue says of tables and columns."""

from __future__ import annotations

PROPERTY = "synthspark.table"
"""Property of a catalogue table that holds its name in the lake."""

TABLES = {
    "clean/events": "Events of the shop as they were cleaned: one row per user, item and time",
    "clean/items": "Items of the shop with their declared attributes",
    "clean/users": "Users of the shop with their declared attributes",
    "clean/searches": "Searches of the shop: a query, and the item that was clicked, if any",
    "clean/rejects": "Rows of the sources that were rejected, with the reason",
    "synthetic/events": "Synthetic events for cold and new users and items, to be unioned with clean_events",
    "synthetic/items": "New items, and items of the shop whose missing attributes were completed",
    "synthetic/users": "New users, and users of the shop whose missing attributes were completed",
    "synthetic/searches": "Synthetic clicks of queries on items",
    "synthetic/queries": "Queries that were written for items",
    "recommendations": "The best items of each user by ALS trained on real and synthetic events",
    "expansions": "Terms to index with an item beside its own text",
    "search_index": "Inverted index of the items' text, clicks and expansions",
    "search_results": "The best items of each known query",
}

COLUMNS = {
    "user_id": "Id of the user; ids of synthetic users begin with syn:",
    "item_id": "Id of the item; ids of synthetic items begin with syn:",
    "event_type": "Type of the event, as purchase or view",
    "ts": "Time of the event, UTC",
    "value": "Quantity, rating or another strength of the event",
    "price": "Price",
    "query": "Search query, normalised",
    "raw_query": "Search query as it was typed",
    "session_id": "Id of the session",
    "position": "Rank at which the item was shown",
    "shown": "Number of items that were shown",
    "filter": "Filter that was set for the search",
    "origin": "new_user, new_item, cold_user, cold_item or imputed",
    "weight": "Weight of a synthetic row relative to a real event",
    "probability": "Probability by the judge that the query's users click the item",
    "seed": "Seed of the generator",
    "source": "Source table of the row, or what proposed it",
    "reason": "Why the row was rejected",
    "raw": "The row as it was read, as JSON",
    "rank": "Place in the list, from 1",
    "score": "Score by which the list is ordered",
    "run_id": "Id of the run that published the row",
}


def of_table(name: str) -> str:
    """Comment of a table, by its name in the lake."""
    return TABLES.get(name, f"Table {name} of synthspark")


def of_column(name: str) -> str:
    """Comment of a column; what is not a column of the job is an attribute of the shop."""
    return COLUMNS.get(name, f"Attribute {name} of the shop")
