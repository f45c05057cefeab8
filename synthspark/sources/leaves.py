"""List the single values inside nested columns, each with the path that names it in a configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.schemas import INTERNAL, json_path, quoted

MAX_DEPTH = 6
MAX_KEYS = 200
"""Maximum number of keys of a map or of JSON objects that become separate columns."""
LOOKED = 1_000
"""Number of values of a text column that are checked for JSON."""


@dataclass(frozen=True)
class Leaf:
    """A column or nested value with one value (or list) per row."""

    path: str
    """Path as written under `columns:`."""
    sql: str
    """Spark SQL expression of the value."""
    kind: T.DataType
    """Type of the value; values inside JSON are text, lists of objects inside JSON are ArrayType."""
    computed: bool = False
    """Whether only `sql` gives the value, no path does: JSON keys that differ by letter case are one value."""

    @property
    def is_list(self) -> bool:
        """Whether the value is a list that can be exploded into rows."""
        return isinstance(self.kind, T.ArrayType)


def leaves(df: DataFrame) -> list[Leaf]:
    """Return every value that `columns:` can name: plain columns, fields of structs, keys of maps and of JSON texts.

    A list (also inside JSON) is one leaf; each field of a list of structs is a further leaf, again a list.
    """
    found: list[Leaf] = []
    samples = _samples(df)
    for field in df.schema.fields:
        if not field.name.startswith(INTERNAL):
            found += _of(field.name, quoted(field.name), field.dataType, samples.get(field.name, []), 0)
    return found


def _of(path: str, sql: str, kind: T.DataType, sample: list[Any], depth: int) -> Iterator[Leaf]:
    if depth > MAX_DEPTH:
        return
    if isinstance(kind, T.StructType):
        for field in kind.fields:
            yield from _of(f"{path}.{field.name}", f"{sql}.{quoted(field.name)}", field.dataType, [], depth + 1)
    elif isinstance(kind, T.ArrayType) and isinstance(kind.elementType, T.StructType):
        yield Leaf(path, sql, kind)
        for field in kind.elementType.fields:
            if isinstance(field.dataType, T.AtomicType):
                yield Leaf(f"{path}.{field.name}", f"{sql}.{quoted(field.name)}", T.ArrayType(field.dataType))
    elif isinstance(kind, T.MapType):
        for key in _keys(sample):
            literal = key.replace("'", "\\'")
            yield from _of(f"{path}.{key}", f"try_element_at({sql}, '{literal}')", kind.valueType, [], depth + 1)
    elif isinstance(kind, T.StringType) and sample:
        yield from _in_json(path, sql, (), sample)
    else:
        yield Leaf(path, sql, kind)


def _in_json(path: str, sql: str, keys: tuple[str, ...], sample: list[Any]) -> Iterator[Leaf]:
    """Yield the leaves of a JSON text. sample: parsed values, each an object, a list or a single value."""
    where = ".".join((path, *keys))
    text = _text(sql, keys) if keys else sql
    there = [v for v in sample if v is not None]
    if there and all(isinstance(v, dict) for v in there) and len(keys) < MAX_DEPTH:
        for same in _by_letters(key for key in _keys(there) if "'" not in key):
            if len(same) > 1 and all(sum(key in v for key in same) < 2 and _plain(v, same) for v in there):
                texts = (_text(sql, (*keys, key)) for key in same)
                yield Leaf(".".join((where, same[0])), f"coalesce({', '.join(texts)})", T.StringType(), computed=True)
            else:
                for key in same:
                    yield from _in_json(path, sql, (*keys, key), [v.get(key) for v in there])
    elif there and all(isinstance(v, list) for v in there):
        objects = any(isinstance(element, dict) for v in there for element in v)
        element: T.DataType = T.StructType([]) if objects else T.StringType()
        yield Leaf(where, text, T.ArrayType(element) if objects else T.StringType())
    elif not any(isinstance(v, dict | list) for v in there):
        yield Leaf(where, text, T.StringType())


def _text(sql: str, keys: tuple[str, ...]) -> str:
    path = json_path(keys).replace("'", "\\'")
    return f"get_json_object({sql}, '{path}')"


def _by_letters(keys: Iterable[str]) -> list[list[str]]:
    """Group keys that differ by letter case only."""
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(key.lower(), []).append(key)
    return list(found.values())


def _plain(value: dict[str, Any], keys: list[str]) -> bool:
    return not any(isinstance(value.get(key), dict | list) for key in keys)


def _keys(sample: list[Any]) -> list[str]:
    keys = list(dict.fromkeys(key for value in sample if isinstance(value, dict) for key in value))
    return keys[:MAX_KEYS]


def _samples(df: DataFrame) -> dict[str, list[Any]]:
    """Return the parsed values of each map column and of each text column that holds only JSON objects or lists."""
    texts = [f.name for f in df.schema.fields if isinstance(f.dataType, T.StringType | T.MapType)]
    texts = [name for name in texts if not name.startswith(INTERNAL)]
    if not texts:
        return {}
    maps = {f.name for f in df.schema.fields if isinstance(f.dataType, T.MapType)}
    asked = [F.to_json(quoted(n)).alias(n) if n in maps else F.col(quoted(n)) for n in texts]
    rows = df.select(asked).limit(LOOKED).collect()
    found = {}
    for place, name in enumerate(texts):
        values = [row[place] for row in rows if row[place] is not None and row[place].strip()]
        parsed = [_parsed(value) for value in values]
        lists = [p for p in parsed if isinstance(p, list)]
        nested = all(isinstance(p, dict) for p in parsed) or (
            len(lists) == len(parsed) and any(isinstance(e, dict) for p in lists for e in p)
        )
        if parsed and nested:
            found[name] = parsed
    return found


def _parsed(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
