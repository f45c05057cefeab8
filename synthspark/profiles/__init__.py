"""Profiles: which rows of users and items exist. Tokens, hierarchies, conditions, and the drawing of new rows."""

from synthspark.profiles.tokens import TokenEncoding

__all__ = ["TokenEncoding"]
