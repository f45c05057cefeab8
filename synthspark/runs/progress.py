"""Progress of Spark's active stages."""

from __future__ import annotations

import threading
from collections.abc import Callable

from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.sql import SparkSession


class SparkWatch:
    """Calls `show(done, total)` with the tasks of Spark's active stages every `seconds`, except while idle."""

    def __init__(self, spark: SparkSession, seconds: float, show: Callable[[int, int], None]) -> None:
        self._tracker = spark.sparkContext.statusTracker()
        self._seconds, self._show = seconds, show
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                found = [self._tracker.getStageInfo(stage) for stage in self._tracker.getActiveStageIds()]
            except (Py4JError, Py4JNetworkError, OSError):  # the session has ended
                return
            known = [info for info in found if info is not None]
            if known:
                self._show(sum(i.numCompletedTasks for i in known), sum(i.numTasks for i in known))
