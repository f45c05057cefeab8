"""Comments on tables and columns in the catalogue."""

from __future__ import annotations

PROPERTY = "synthspark.table"
"""Property of a catalogue table that holds its lake name."""

TABLES = {
    "clean/events": "Cleaned events of the shop: one row per user, item and time",
    "clean/items": "Items of the shop with their declared attributes",
    "clean/users": "Users of the shop with their declared attributes",
    "clean/searches": "Searches of the shop: a query and the clicked item, if any",
    "clean/rejects": "Rows of the sources that were rejected, with the reason",
    "synthetic/events": "Synthetic events for cold and new users and items; union them with clean_events",
    "synthetic/items": "New items, and items of the shop whose missing attributes were completed",
    "synthetic/users": "New users, and users of the shop whose missing attributes were completed",
    "synthetic/searches": "Synthetic clicks on items, by query",
    "synthetic/queries": "Queries that were written for items",
    "recommendations": "Top items per user by ALS trained on real and synthetic events",
    "expansions": "Terms to index with an item in addition to its own text",
    "search_index": "Inverted index of the items' text, clicks and expansions",
    "search_results": "Top items per known query",
}

COLUMNS = {
    "user_id": "Id of the user; ids of synthetic users begin with syn:",
    "item_id": "Id of the item; ids of synthetic items begin with syn:",
    "event_type": "Type of the event, for example purchase or view",
    "ts": "Time of the event, UTC",
    "value": "Quantity, rating or another strength of the event",
    "price": "Price",
    "query": "Search query, normalised",
    "raw_query": "Search query as it was typed",
    "session_id": "Id of the session",
    "position": "Rank at which the item was shown",
    "shown": "Number of items that were shown",
    "filter": "Filter that was applied to the search",
    "origin": "new_user, new_item, cold_user, cold_item or imputed",
    "weight": "Weight of a synthetic row relative to a real event",
    "probability": "Judge's probability that users who search for the query click the item",
    "seed": "Seed of the generator",
    "source": "Source table of the row, or the method that proposed it",
    "reason": "Why the row was rejected",
    "raw": "The row as it was read, as JSON",
    "rank": "Position in the list, starting at 1",
    "score": "Score by which the list is ordered",
    "run_id": "Id of the run that published the row",
}


def of_table(name: str) -> str:
    """Return the comment of a table, given its lake name."""
    return TABLES.get(name, f"Table {name} of synthspark")


def of_column(name: str) -> str:
    """Return the comment of a column; a name that the job does not define is an attribute of the shop."""
    return COLUMNS.get(name, f"Attribute {name} of the shop")
