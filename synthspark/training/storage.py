"""Files of training on any file system that fsspec knows; Spark is not there in the processes that train."""

from __future__ import annotations

import re

import fsspec

_SCHEMES = {"s3a": "s3", "s3n": "s3", "wasbs": "abfs", "abfss": "abfs"}


def portable(url: str) -> str:
    """Hadoop's spelling of a URL as fsspec and Petastorm take it: `file:/x` -> `file:///x`, `s3a://` -> `s3://`."""
    match = re.match(r"([a-z0-9]+):/*(.*)", url)
    if match is None:
        return "file://" + url
    scheme, rest = match.groups()
    return f"file:///{rest}" if scheme == "file" else f"{_SCHEMES.get(scheme, scheme)}://{rest}"


def exists(url: str) -> bool:
    """Whether there is a file or directory."""
    fs, path = fsspec.core.url_to_fs(portable(url))
    return bool(fs.exists(path))


def read(url: str) -> bytes:
    """A whole file."""
    with fsspec.open(portable(url), "rb") as file:
        return bytes(file.read())


def write(url: str, data: bytes) -> None:
    """A whole file, under another name first: whoever reads sees the old one or the new one."""
    fs, path = fsspec.core.url_to_fs(portable(url))
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    with fs.open(path + ".part", "wb") as file:
        file.write(data)
    fs.mv(path + ".part", path)


def remove(url: str) -> None:
    """A file or directory with all that is in it; nothing happens if it is not there."""
    fs, path = fsspec.core.url_to_fs(portable(url))
    if fs.exists(path):
        fs.rm(path, recursive=True)
