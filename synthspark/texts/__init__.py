"""Texts and sets of new rows: split into pieces, fitted and encoded."""

from synthspark.texts.pieces import TextEncoding, WrittenText

__all__ = ["TextEncoding", "WrittenText"]
