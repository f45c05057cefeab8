"""The Spark session: settings that the job needs, on top of those of the user or the cluster."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyspark
from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from synthspark.supported import require_java, require_python_and_spark, vector_module
from synthspark.threads import SPIN

REQUIRED = {
    "spark.sql.session.timeZone": "UTC",
    # Default in Spark 4 but not in 3.5: an overflow or an unreadable number raises instead of giving a wrong value.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Factor blocks are single rows of about a megabyte, so Spark's default of 10,000 rows per batch would be gigabytes.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "64",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **SPIN}
"""Environment variables of driver and executors, unless already set."""

JAVA_OPTIONS = "spark.driver.extraJavaOptions"
LOCAL = {  # defaults if executors run in the driver's process
    "spark.driver.memory": "3g",
    "spark.sql.shuffle.partitions": "8",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    # Many small queries are dominated by planning, which is a fifth faster without these.
    "spark.sql.lightweightPlanChangeValidation": "false",
    "spark.sql.optimizer.runtime.bloomFilter.enabled": "false",
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "false",
    "spark.sql.ui.explainMode": "simple",  # plan texts are only for the UI, which is off
    "spark.python.daemon.module": "synthspark.worker_daemon",
    JAVA_OPTIONS: "-XX:+UseParallelGC",
}


def build_session(app_name: str, settings: Mapping[str, str]) -> SparkSession:
    """Return the active session (spark-submit, notebook) or a new one; see `session` for how it is released.

    settings: the configuration's `spark:` entries; they override our defaults except for the few that the job needs
    (UTC, ANSI, Arrow). Each Python worker uses one thread, because the workers are the parallelism. Waiting threads
    must sleep soon: spinning ones made a training step 80 times slower (2 s) while other processes used the cores.

    Raises ConfigError for an unsupported version of Python, Spark or Java.
    """
    require_python_and_spark(pyspark.__version__)
    borrowed, options = is_running(), ""
    if not borrowed and "PYSPARK_GATEWAY_PORT" not in os.environ:  # otherwise Java is already running
        options = vector_module(pyspark.__version__, require_java(pyspark.__version__))
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(app_name)
    executors = {f"spark.executorEnv.{name}": os.environ[name] for name in THREADS}
    own = {**executors, **defaults(settings, options), **settings, **REQUIRED}
    for key, value in own.items():
        builder = builder.config(key, value)
    verbose = logging.getLogger("synthspark").isEnabledFor(logging.DEBUG)
    if not borrowed and not verbose and _in_driver(own.get("spark.master", "")):
        _start_quietly(own)
    spark = builder.getOrCreate()
    if is_local(spark) and not borrowed:  # on a cluster, only warnings tell that executors are missing
        # Errors are raised in Python and reported in one line; --verbose adds Spark's own messages.
        spark.sparkContext.setLogLevel("ERROR" if verbose else "FATAL")
    return spark


def _start_quietly(settings: Mapping[str, str]) -> None:
    """Start the JVM of a local session with its standard error in a file, which is shown if the start fails.

    Spark warns of incubator modules, native libraries and loopback addresses before any log level can be set. Its
    Python workers write there, too. Errors are raised in this process in any case; --verbose shows everything.
    """
    if SparkContext._gateway is not None:
        return
    conf = SparkConf(loadDefaults=False)
    for key, value in settings.items():
        conf.set(key, value)
    with tempfile.TemporaryFile() as said:
        try:
            gateway = launch_gateway(conf, {"stderr": said})  # type: ignore[no-untyped-call]
        except Exception:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            raise
    SparkContext._ensure_initialized(gateway=gateway)


def defaults(settings: Mapping[str, str], java_options: str = "") -> dict[str, str]:
    """Return our defaults, which `settings` override; empty if a session exists or spark-submit chose the master.

    java_options: further options of the driver's JVM.
    """
    # spark-submit sets it wherever it runs a driver, even in YARN's application master, where nothing else tells.
    if "PYSPARK_GATEWAY_PORT" in os.environ or SparkSession.getActiveSession() is not None:
        return {}
    master = settings.get("spark.master", "local[*]")
    if not _in_driver(master):
        return {"spark.master": master}
    return {"spark.master": master, **LOCAL, JAVA_OPTIONS: f"{LOCAL[JAVA_OPTIONS]} {java_options}".strip()}


@contextmanager
def session(app_name: str, settings: Mapping[str, str], keep: bool = False) -> Iterator[SparkSession]:
    """Provide a session for the block; stop a new one afterwards, or restore the settings of an existing one.

    keep: do not stop a new session.
    """
    before = _settings(SparkSession.builder.getOrCreate()) if is_running() else None
    spark = build_session(app_name, settings)
    try:
        yield spark
    finally:
        if before is None:
            if not keep:
                spark.stop()
        else:
            _put_back(spark, before)


def is_running() -> bool:
    """Return whether this process has a SparkContext, whose owner (for example a notebook) continues to use it."""
    return SparkContext._active_spark_context is not None


def _settings(spark: SparkSession) -> dict[str, str]:
    """Return the settings made by the user or Spark's configuration files, without Spark's own defaults."""
    found = _conf(spark).getAllConfs()
    return {str(key): str(found.apply(key)) for key in found.keySet().mkString("\n").split("\n") if key}


def _put_back(spark: SparkSession, before: Mapping[str, str]) -> None:
    """Undo every change of the session's settings, including those that `spark.conf` does not allow to set."""
    now = _settings(spark)
    for key in now.keys() - before.keys():
        _conf(spark).unsetConf(key)
    for key, value in before.items():
        if now.get(key) != value:
            _conf(spark).setConfString(key, value)


def _conf(spark: SparkSession) -> Any:
    return spark._jsparkSession.sessionState().conf()


def is_local(spark: SparkSession) -> bool:
    """Return whether executors are threads of the driver's process."""
    return _in_driver(str(spark.sparkContext.master))


def _in_driver(master: str) -> bool:
    return master == "local" or master.startswith("local[")


def task_slots(spark: SparkSession) -> int:
    """Return the number of tasks that can run at once, as counted by Spark."""
    return max(1, spark.sparkContext.defaultParallelism)
