"""Clean the sources: cast declared columns to the contract's types; keep every row or reject it with a reason."""

from synthspark.clean.columns import ColumnSource, require_rows
from synthspark.clean.entities import EntityRules, classify_entities, item_status, unreadable_values
from synthspark.clean.events import EventRules, classify_events
from synthspark.clean.sampling import UserSample, user_sample
from synthspark.clean.searches import SearchRules, classify_searches, searches_of
from synthspark.clean.verdicts import accepted_rows, reason_counts, rejected_rows

__all__ = [
    "ColumnSource",
    "EntityRules",
    "EventRules",
    "SearchRules",
    "UserSample",
    "classify_entities",
    "classify_events",
    "classify_searches",
    "item_status",
    "accepted_rows",
    "reason_counts",
    "rejected_rows",
    "require_rows",
    "searches_of",
    "unreadable_values",
    "user_sample",
]
