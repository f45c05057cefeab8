"""Read CSV by the names in each file's own header, and mark the lines that do not fit it."""

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
"""Number of bytes at the beginning of a file that must contain the whole header."""
MAX_HEADERS = 200
"""Maximum number of different headers in one table; with more, the files have no headers or are several tables."""

WESTERN = "".join(chr(code) for code in range(0x80, 0xA0))
"""Control characters of ISO 8859-1; Windows 1252 has letters and punctuation at these codes."""
WINDOWS_1252 = bytes(range(0x80, 0xA0)).decode("windows-1252", errors="replace")


def read_csv(
    spark: SparkSession, path: str, options: Mapping[str, str], needed: Sequence[str], where: str
) -> DataFrame:
    """Read every file by its own header; `MALFORMED` is the line of a record with a wrong number of fields, else null.

    Files that are empty or have only a header contribute no rows. needed: columns that every file must have. Raises
    SourceError that names the file, or the errors of Spark.
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
    """Decode the beginning of a file; a last character that is cut off is dropped, and so is a byte order mark."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(data).removeprefix("\ufeff")


def _by_header(spark: SparkSession, path: str, options: Mapping[str, str], where: str) -> list[list[str]]:
    """Group files by their first line; files without a line are omitted unless all are empty."""
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
    """Read files that share a header. paths: paths or patterns for Spark; files: the files that they match."""
    encoding = option(options, "encoding", option(options, "charset"))
    western = encoding.lower().replace("_", "-") in ("windows-1252", "cp1252")
    told = {k: v for k, v in options.items() if not (western and k.lower() in ("encoding", "charset"))}
    if western:  # Spark does not support it; it differs from ISO 8859-1 in 27 characters
        told["encoding"] = "ISO-8859-1"
    with settings(spark, {"spark.sql.caseSensitive": "true"}):  # else Spark numbers names that differ by case
        frame = spark.read.options(**told).csv(list(paths))
    partitions = {part.partition("=")[0] for file in files for part in file.split("/")[:-1] if "=" in part}
    found = [f for f in frame.schema.fields if f.name not in partitions]
    names = distinct_names([f.name for f in found])
    own = [T.StructField(name, f.dataType) for name, f in zip(names, found, strict=True)]
    schema = T.StructType([*own, T.StructField(MALFORMED, T.StringType())])
    # Spark checks the number of fields only if it reads all columns.
    checked = spark.read.schema(schema).options(**{**told, "columnNameOfCorruptRecord": MALFORMED})
    lines = checked.options(columnPruning="false", mode="PERMISSIVE").csv(list(paths))
    if option(told, "multiLine", "false").lower() == "true" and option(told, "quote", '"'):
        lines = _with_swallowed(lines, [f.name for f in own], option(told, "sep", option(told, "delimiter", ",")))
    return _translated(lines) if western else lines


def _with_swallowed(frame: DataFrame, names: Sequence[str], separator: str) -> DataFrame:
    """Mark records in which one value swallowed the rest of a line and the beginning of a later one.

    A stray quote character has this effect on all lines up to the next quote. The value then contains line ends, and
    len(names) - 1 separators per line end. Values with a blank after a separator are prose and are not marked.
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
