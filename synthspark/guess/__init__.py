"""Propose a first configuration from the tables: the likely role and kind of each column, for the user to review."""

from synthspark.guess.columns import ColumnFacts, facts
from synthspark.guess.roles import EntityGuess, EventGuess, guess_entities, guess_events
from synthspark.guess.searches import SearchGuess, guess_searches
from synthspark.guess.words import configuration_text

__all__ = [
    "ColumnFacts",
    "EntityGuess",
    "EventGuess",
    "SearchGuess",
    "configuration_text",
    "facts",
    "guess_entities",
    "guess_events",
    "guess_searches",
]
