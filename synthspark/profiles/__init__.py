"""Profiles, i.e. rows of users and items: tokens, hierarchies, conditions, and drawing of new rows."""

from synthspark.profiles.tokens import TokenEncoding

__all__ = ["TokenEncoding"]
