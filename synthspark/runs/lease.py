"""Lease of a run: one driver at a time works on it and renews a file beside the run's records until it is done.

Clocks of different machines are not compared. A driver counts as dead if its lease does not change for SILENT_SECONDS,
or if it ran on this machine and its process is gone.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import psutil

from synthspark.errors import LakeError
from synthspark.runs.files import Files

log = logging.getLogger(__name__)

LEASE = "lease.json"
BEAT_SECONDS, SILENT_SECONDS = 10.0, 35.0
SAME_START = 60.0
"""Tolerance for process start times, in seconds: the wall clock may be adjusted."""


@contextmanager
def leased(files: Files, folder: str, what: str = "") -> Iterator[None]:
    """Hold the lease of the run whose records are in `folder` during the block.

    what: name for messages if the folder is not a run's. Raises LakeError if another driver is at work on it.
    """
    path = f"{folder}/{LEASE}"
    require_free(files, folder, what)
    own = {"driver": uuid.uuid4().hex, "since": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC", **_here()}
    files.write_text(path, json.dumps(own))
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(files, path, own, done), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        try:
            if _read(files, path).get("driver") == own["driver"]:
                files.delete(path)
        except Exception as error:  # must not hide the result or the error of the block
            log.warning("%s could not be removed: %s", path, error)


def require_free(files: Files, folder: str, what: str = "") -> None:
    """Raise LakeError if a driver is at work on the run whose records are in `folder`; may take SILENT_SECONDS."""
    path = f"{folder}/{LEASE}"
    first = _read(files, path)
    if first and _alive(files, path, first):
        name = what or f"run {folder.rpartition('/')[2]}"
        raise LakeError(f"{name}: another driver (process {first.get('pid')} on {first.get('host')}) has been at work "
                        f"on it since {first.get('since')}; wait for it, or stop it"
                        + ("" if what else ", or take another --run-id"))  # fmt: skip


def _alive(files: Files, path: str, lease: dict[str, Any]) -> bool:
    here = _here()
    if lease.get("host") == here["host"]:
        started = _started(lease.get("pid", -1))
        return started is not None and abs(started - lease.get("started", 0.0)) < SAME_START
    until = time.monotonic() + SILENT_SECONDS
    while time.monotonic() < until:
        time.sleep(1)
        now = _read(files, path)
        if now and now != lease:  # an empty result can be the moment in which the file is replaced
            return True
    return False


def _beat(files: Files, path: str, own: dict[str, Any], done: threading.Event) -> None:
    beats = 0
    while not done.wait(BEAT_SECONDS):
        beats += 1
        try:
            if _read(files, path).get("driver", own["driver"]) != own["driver"]:
                log.warning("%s now belongs to another driver: both work on this run, the last to publish wins", path)
                return
            files.write_text(path, json.dumps({**own, "beats": beats}))
        except Exception as error:  # storage that is unavailable for a while must not end the job
            log.warning("%s could not be written: %s", path, error)


def _here() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}


def _started(pid: int) -> float | None:
    """Return the start time of a local process; None if it is gone.

    It distinguishes the process from a later one with the same pid.
    """
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.Error, ValueError):
        return None


def _read(files: Files, path: str) -> dict[str, Any]:
    """Return the content of the lease; empty if there is none or while it is being replaced."""
    try:
        return dict(json.loads(files.read_text(path))) if files.exists(path) else {}
    except (LakeError, ValueError):
        return {}
