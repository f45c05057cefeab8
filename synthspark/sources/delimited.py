"""CSV by the names in each file's own header, with the lines that do not fit it marked."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.errors import SourceError
from synthspark.names import distinct_names
from synthspark.schemas import MALFORMED, quoted
from synthspark.sources.files import base_path, first_bytes, input_files, literal, of_each, option, settings
from synthspark.sources.merging import Part, union

HEAD = 65_536
"""Bytes of a file in which its header must end."""
MAX_HEADERS = 200
"""Different headers in one table; a folder with more is of files that have none, or of several tables."""

WESTERN = "".join(chr(code) for code in range(0x80, 0xA0))
"""Control characters of ISO 8859-1, in whose place Windows 1252 has letters and signs."""
WINDOWS_1252 = bytes(range(0x80, 0xA0)).decode("windows-1252", errors="replace")


def read_csv(
    spark: SparkSession, path: str, options: Mapping[str, str], needed: Sequence[str], where: str
) -> DataFrame:
    """Every file by its own header; `MALFORMED` has the line of records with another number of fields, else null.

    Files without a line, or with a header only, are nothing. needed: columns that no file may lack. Raises SourceError
    that names the file, or whatever Spark raises.
    """
    groups = _by_header(spark, path, options, where)
    if len(groups) == 1:
        return _read(spark, [path], options, groups[0])
    if len(groups) > MAX_HEADERS:
        raise SourceError(
            f"{where}: its files have {len(groups)} different headers; if they have none, add options: "
            '{header: "false"} and name the columns _c0, _c1, ...'
        )
    base = base_path(spark, path)
    parts = [Part(_read(spark, [literal(f) for f in files], {**options, **base}, files), files[0]) for files in groups]
    return union(parts, needed, where)


def decoded(data: bytes, encoding: str) -> str:
    """The text of a file's beginning, whose last character may be cut; without its byte order mark."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(data).removeprefix("\ufeff")


def _by_header(spark: SparkSession, path: str, options: Mapping[str, str], where: str) -> list[list[str]]:
    """Files with the same first line; those without any are left out unless all are."""
    files = input_files(spark, path, options)
    if option(options, "header", "false").lower() != "true" or len(files) == 1:
        return [files]
    encoding = option(options, "encoding", option(options, "charset", "UTF-8"))
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise SourceError(f"{where}: encoding {encoding!r} is not known; write it as in UTF-8") from None

    def header(file: str) -> str:
        lines = decoded(first_bytes(spark, file, HEAD), encoding).replace("\r", "\n").split("\n")
        return next((line for line in lines if line.strip()), "")

    groups: dict[str, list[str]] = {}
    for file, line in zip(files, of_each(files, header), strict=True):
        groups.setdefault(line, []).append(file)
    groups.pop("", None)
    return list(groups.values()) or [files]


def _read(spark: SparkSession, paths: Sequence[str], options: Mapping[str, str], files: Sequence[str]) -> DataFrame:
    """paths: as Spark takes them; files: what is there."""
    encoding = option(options, "encoding", option(options, "charset"))
    western = encoding.lower().replace("_", "-") in ("windows-1252", "cp1252")
    told = {k: v for k, v in options.items() if not (western and k.lower() in ("encoding", "charset"))}
    if western:  # Spark reads few encodings, this one not; it differs from ISO 8859-1 in 27 characters
        told["encoding"] = "ISO-8859-1"
    with settings(spark, {"spark.sql.caseSensitive": "true"}):  # else Spark numbers names that differ by case
        frame = spark.read.options(**told).csv(list(paths))
    partitions = {part.partition("=")[0] for file in files for part in file.split("/")[:-1] if "=" in part}
    found = [f for f in frame.schema.fields if f.name not in partitions]
    names = distinct_names([f.name for f in found])
    own = [T.StructField(name, f.dataType) for name, f in zip(names, found, strict=True)]
    schema = T.StructType([*own, T.StructField(MALFORMED, T.StringType())])
    # Spark compares numbers of fields only where it reads them all.
    checked = spark.read.schema(schema).options(**{**told, "columnNameOfCorruptRecord": MALFORMED})
    lines = checked.options(columnPruning="false", mode="PERMISSIVE").csv(list(paths))
    if option(told, "multiLine", "false").lower() == "true" and option(told, "quote", '"'):
        lines = _with_swallowed(lines, [f.name for f in own], option(told, "sep", option(told, "delimiter", ",")))
    return _translated(lines) if western else lines


def _with_swallowed(frame: DataFrame, names: Sequence[str], separator: str) -> DataFrame:
    """Mark records of which a value holds the end of one line and the beginning of another, in full.

    That is what a quote that is no quote makes of the lines up to the next one: a value with line ends, in which as
    many separators stand as between there and here. A comma of prose has a blank behind it.
    """
    width = len(names)

    def count(text: Column, sign: str) -> Column:
        return (F.length(text) - F.length(F.replace(text, F.lit(sign), F.lit("")))) / len(sign)

    swallowed = F.lit(False)
    for place, name in enumerate(names):
        value = F.col(quoted(name)).cast("string")
        first = F.substring_index(value, "\n", 1)
        fits = (count(first, separator) == width - 1 - place) & (
            count(value, separator) == count(value, "\n") * (width - 1)
        )
        swallowed = swallowed | (value.contains("\n") & ~value.contains(separator + " ") & fits)
    line = F.concat_ws(separator, *[F.col(quoted(n)).cast("string") for n in names])
    marked = F.when(F.coalesce(swallowed, F.lit(False)) & F.lit(width > 1), line)
    return frame.withColumn(MALFORMED, F.coalesce(MALFORMED, marked))


def _translated(frame: DataFrame) -> DataFrame:
    def western(column: Column) -> Column:
        return F.translate(column, WESTERN, WINDOWS_1252)

    table = str.maketrans(WESTERN, WINDOWS_1252)
    return frame.select(
        [
            (western(F.col(quoted(f.name))) if isinstance(f.dataType, T.StringType) else F.col(quoted(f.name))).alias(
                f.name.translate(table)
            )
            for f in frame.schema.fields
        ]
    )
