"""Ids as one canonical text, whatever type and notation a table keeps them in."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.spark_versions import is_valid_utf8

BLANKS = " \t\n\x0b\f\r\u00a0\u200b\ufeff"
"""Characters around a value that are not part of it; the no-break space and its kin come from web pages."""
NULL_WORDS = ("NULL", "null", "Null", "\\N", "nan", "NaN", "None", "N/A", "n/a", "<NA>", "-", "undefined")
"""Texts that stand for a missing id where the source's `null_values` says nothing else."""
EXACT_DOUBLE, EXACT_FLOAT = 1 << 53, 1 << 24
"""From here on neighbouring whole numbers share one floating-point value."""

_WHOLE = r"^([+-]?\d+)\.0+$"
_UUID = r"^[{]?([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})[}]?$"
_SCIENTIFIC = r"^\d(\.\d+)?E\+?\d+$"
"""As Java and spreadsheets shorten long numbers: 4.01234E+12."""


def as_id(column: Column, kind: T.DataType, null_values: Sequence[str] | None = None) -> Column:
    """The canonical text of an id; null where it is blank or one of `null_values` (None: NULL_WORDS).

    Whole numbers have no point (`13085.0`, decimal 13085.0000000000 and 13085 are one id), UUIDs are lower-case with
    dashes, also those stored as 16 bytes; zeros in front are kept.
    """
    if not isinstance(kind, T.StringType | T.BinaryType):
        return as_text(column, kind)
    text = as_text(column, kind, NULL_WORDS if null_values is None else null_values)
    whole = F.when(text.endswith("0") & text.rlike(_WHOLE), F.regexp_replace(text, r"\.0+$", ""))
    uuid = F.when((F.length(text) >= 36) & text.rlike(_UUID), F.lower(F.btrim(text, F.lit("{}"))))
    return F.coalesce(whole, uuid, text)


def as_text(column: Column, kind: T.DataType, null_values: Sequence[str] = ()) -> Column:
    """A value as text: trimmed, null where it is blank or one of `null_values`; whole floats lose their point."""
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
    """Whether an id has lost digits: a float that is too large to tell whole numbers apart, or a shortened number."""
    if isinstance(kind, T.DoubleType):
        return F.abs(column) >= float(EXACT_DOUBLE)
    if isinstance(kind, T.FloatType):
        return F.abs(column) >= float(EXACT_FLOAT)
    if isinstance(kind, T.StringType):
        return column.contains("E") & F.btrim(column, F.lit(BLANKS)).rlike(_SCIENTIFIC)
    return F.lit(False)


def _bytes_as_text(column: Column) -> Column:
    """Text where the bytes are printable ASCII or longer UTF-8, a UUID of other 16 bytes, else hexadecimal digits."""
    digits = F.lower(F.hex(column))
    text = F.when(is_valid_utf8(column), column.cast("string"))
    printable = text.rlike(r"^[\x20-\x7e]*$")
    uuid = F.regexp_replace(digits, r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", "$1-$2-$3-$4-$5")
    sixteen = F.octet_length(column) == 16
    return F.when(sixteen & ~F.coalesce(printable, F.lit(False)), uuid).otherwise(F.coalesce(text, digits))
