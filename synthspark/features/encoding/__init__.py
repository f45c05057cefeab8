"""Encoders: one file per kind, each with the same verbs (analyze, reduce, encode, decode)."""

from synthspark.features.encoding.categorical import FIRST
from synthspark.features.encoding.table import EncodingLimits, TableEncoding, decode, encode, fit, fit_rows

__all__ = ["FIRST", "EncodingLimits", "TableEncoding", "decode", "encode", "fit", "fit_rows"]
