"""Texts and sets that new rows have: taken apart, fitted, written."""

from synthspark.texts.pieces import TextEncoding, WrittenText

__all__ = ["TextEncoding", "WrittenText"]
