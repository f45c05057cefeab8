"""Peak memory of the job: the driver's Python, its JVM, local workers and training processes."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

SECONDS = 1.0


class PeakMemory:
    """Peak memory of this process and its children during the block; on a cluster, only the driver's machine."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._stop.wait(SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident_bytes, [own, *own.children(recursive=True)])))


def _resident_bytes(process: psutil.Process) -> int:
    """Return a process's memory in bytes.

    On Linux a page shared by n processes counts 1/n in each (PSS); elsewhere it counts fully in each.
    """
    try:
        info = process.memory_full_info()
        return int(getattr(info, "pss", info.rss))
    except psutil.Error:  # it has ended, or belongs to somebody else
        return 0
