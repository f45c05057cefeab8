"""Encoders: one file per kind of attribute, with the same verbs (analyze, fitted, encode, and decode if possible)."""

from synthspark.features.encoding.categorical import FIRST
from synthspark.features.encoding.table import EncodingLimits, TableEncoding, decode, encode, fit, fit_rows

__all__ = ["FIRST", "EncodingLimits", "TableEncoding", "decode", "encode", "fit", "fit_rows"]
