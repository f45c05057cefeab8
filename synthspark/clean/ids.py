"""Convert ids to one canonical text, whatever type and notation a table stores them in."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.spark_versions import is_valid_utf8

BLANKS = " \t\n\x0b\f\r\u00a0\u200b\ufeff"
"""Characters to trim from both ends of a value; no-break and zero-width spaces come from web pages."""
NULL_WORDS = ("NULL", "null", "Null", "\\N", "nan", "NaN", "None", "N/A", "n/a", "<NA>", "-", "undefined")
"""Texts that mean a missing id unless the source sets `null_values`."""
EXACT_DOUBLE, EXACT_FLOAT = 1 << 53, 1 << 24
"""Limits from which neighbouring whole numbers share one floating-point value."""

_WHOLE = r"^([+-]?\d+)\.0+$"
_UUID = r"^[{]?([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})[}]?$"
_SCIENTIFIC = r"^\d(\.\d+)?E\+?\d+$"
"""Scientific notation, as Java and spreadsheets abbreviate long numbers: 4.01234E+12."""


def as_id(column: Column, kind: T.DataType, null_values: Sequence[str] | None = None) -> Column:
    """Return the canonical text of an id; null if it is blank or one of `null_values` (None: NULL_WORDS).

    Whole numbers have no decimal point (`13085.0`, decimal 13085.0000000000 and 13085 are one id). UUIDs are
    lower-case with dashes, also those stored as 16 bytes. Leading zeros are kept.
    """
    if not isinstance(kind, T.StringType | T.BinaryType):
        return as_text(column, kind)
    text = as_text(column, kind, NULL_WORDS if null_values is None else null_values)
    whole = F.when(text.endswith("0") & text.rlike(_WHOLE), F.regexp_replace(text, r"\.0+$", ""))
    uuid = F.when((F.length(text) >= 36) & text.rlike(_UUID), F.lower(F.btrim(text, F.lit("{}"))))
    return F.coalesce(whole, uuid, text)


def as_text(column: Column, kind: T.DataType, null_values: Sequence[str] = ()) -> Column:
    """Return a value as trimmed text; null if blank or one of `null_values`. Whole floats have no decimal point."""
    if isinstance(kind, T.DoubleType | T.FloatType):
        limit = EXACT_DOUBLE if isinstance(kind, T.DoubleType) else EXACT_FLOAT
        whole = (column == F.floor(column)) & (F.abs(column) < float(limit))
        return F.when(whole, column.cast("decimal(20,0)").cast("string")).when(~F.isnan(column), column.cast("string"))
    if isinstance(kind, T.DecimalType):
        text = column.cast("string")
        return F.regexp_replace(text, r"\.?0+$", "") if kind.scale > 0 else text
    if isinstance(kind, T.IntegralType):
        return column.cast("string")
    raw = _bytes_as_text(column) if isinstance(kind, T.BinaryType) else column.cast("string")
    text = F.btrim(raw, F.lit(BLANKS))
    said = (text != "") & ~text.isin(*null_values) if null_values else text != ""
    return F.when(said, text)


def is_inexact(column: Column, kind: T.DataType) -> Column:
    """Return whether an id may have lost digits: a float too large to be exact, or scientific notation."""
    if isinstance(kind, T.DoubleType):
        return F.abs(column) >= float(EXACT_DOUBLE)
    if isinstance(kind, T.FloatType):
        return F.abs(column) >= float(EXACT_FLOAT)
    if isinstance(kind, T.StringType):
        return column.contains("E") & F.btrim(column, F.lit(BLANKS)).rlike(_SCIENTIFIC)
    return F.lit(False)


def _bytes_as_text(column: Column) -> Column:
    """Decode bytes: 16 bytes that are not printable ASCII as a UUID, valid UTF-8 as text, others as hex digits."""
    digits = F.lower(F.hex(column))
    text = F.when(is_valid_utf8(column), column.cast("string"))
    printable = text.rlike(r"^[\x20-\x7e]*$")
    uuid = F.regexp_replace(digits, r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", "$1-$2-$3-$4-$5")
    sixteen = F.octet_length(column) == 16
    return F.when(sixteen & ~F.coalesce(printable, F.lit(False)), uuid).otherwise(F.coalesce(text, digits))
