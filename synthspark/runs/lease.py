"""One driver at a time works on a run: it says so beside the run's records, again and again, until it is done.

No clocks are compared, which differ between machines: a driver is dead if it says nothing new for SILENT_SECONDS, or if
it was on this machine and its process is gone.
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
    """The run whose records are in `folder` is this driver's while the block runs.

    what: what the folder stands for, if it is not a run. Raises LakeError if another driver is at work on it.
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
        except Exception as error:  # what was worked on is done, or has failed, by itself
            log.warning("%s could not be removed: %s", path, error)


def require_free(files: Files, folder: str, what: str = "") -> None:
    """Raises LakeError if a driver is at work on the run whose records are in `folder`; may take SILENT_SECONDS."""
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
        if now and now != lease:  # nothing there may be the moment in which it is replaced
            return True
    return False


def _beat(files: Files, path: str, own: dict[str, Any], done: threading.Event) -> None:
    beats = 0
    while not done.wait(BEAT_SECONDS):
        beats += 1
        try:
            if _read(files, path).get("driver", own["driver"]) != own["driver"]:
                log.warning("%s is another driver's now: both work on this run, and the last to publish wins", path)
                return
            files.write_text(path, json.dumps({**own, "beats": beats}))
        except Exception as error:  # storage that is away for a while must not end the job
            log.warning("%s could not be written: %s", path, error)


def _here() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}


def _started(pid: int) -> float | None:
    """When a process of this machine began, which tells it from a later one of the same number; None if it is gone."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.Error, ValueError):
        return None


def _read(files: Files, path: str) -> dict[str, Any]:
    """What the lease says; nothing if there is none, or for the moment in which it is being replaced."""
    try:
        return dict(json.loads(files.read_text(path))) if files.exists(path) else {}
    except (LakeError, ValueError):
        return {}
