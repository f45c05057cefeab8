"""Files on any file system that fsspec supports; training processes have no Spark."""

from __future__ import annotations

import re

import fsspec

_SCHEMES = {"s3a": "s3", "s3n": "s3", "wasbs": "abfs", "abfss": "abfs"}


def portable(url: str) -> str:
    """Convert a Hadoop URL to fsspec's and Petastorm's spelling: `file:/x` -> `file:///x`, `s3a://` -> `s3://`."""
    match = re.match(r"([a-z0-9]+):/*(.*)", url)
    if match is None:
        return "file://" + url
    scheme, rest = match.groups()
    return f"file:///{rest}" if scheme == "file" else f"{_SCHEMES.get(scheme, scheme)}://{rest}"


def exists(url: str) -> bool:
    """Return whether a file or directory exists."""
    fs, path = fsspec.core.url_to_fs(portable(url))
    return bool(fs.exists(path))


def read(url: str) -> bytes:
    """Read a whole file."""
    with fsspec.open(portable(url), "rb") as file:
        return bytes(file.read())


def write(url: str, data: bytes) -> None:
    """Write a whole file under a temporary name and rename it, so that readers see the old or the new file."""
    fs, path = fsspec.core.url_to_fs(portable(url))
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    with fs.open(path + ".part", "wb") as file:
        file.write(data)
    fs.mv(path + ".part", path)


def remove(url: str) -> None:
    """Remove a file, or a directory with its contents, if it exists."""
    fs, path = fsspec.core.url_to_fs(portable(url))
    if fs.exists(path):
        fs.rm(path, recursive=True)
