"""The Spark session: what the job needs set, on top of what the user or the cluster already set."""

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
    # Spark 4's default, but not Spark 3.5's: an overflow or an unreadable number is an error, not another number.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Blocks of factors travel as single rows of about a megabyte: Spark's 10,000 rows per batch would be gigabytes.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "64",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **SPIN}
"""Environment of the driver and of the executors, where it says nothing else."""

JAVA_OPTIONS = "spark.driver.extraJavaOptions"
LOCAL = {  # where the executors are the driver's own process
    "spark.driver.memory": "3g",
    "spark.sql.shuffle.partitions": "8",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    # Planning is what many queries of small tables wait for: a fifth less without these.
    "spark.sql.lightweightPlanChangeValidation": "false",
    "spark.sql.optimizer.runtime.bloomFilter.enabled": "false",
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "false",
    "spark.sql.ui.explainMode": "simple",  # of every query and every change of its plan, for a UI that is off
    JAVA_OPTIONS: "-XX:+UseParallelGC",
}


def build_session(app_name: str, settings: Mapping[str, str]) -> SparkSession:
    """The active session where there is one (spark-submit, notebook), else a new one; `session` gives both back.

    `settings` are the configuration's `spark:` entries and win over ours, except for the few that the job cannot work
    without (UTC, ANSI, Arrow). One thread per Python worker: the workers themselves are the parallelism. Threads that
    wait must soon sleep: spinning ones made a step of training 80 times slower (2 s) where others used the cores.

    Raises ConfigError for a version of Python, Spark or Java that is not supported.
    """
    require_python_and_spark(pyspark.__version__)
    borrowed, options = is_running(), ""
    if not borrowed and "PYSPARK_GATEWAY_PORT" not in os.environ:  # else Java is running already
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
    if is_local(spark) and not borrowed:  # on a cluster its warnings are the only word of executors that do not come
        # What fails there is raised here, too, and told in one line; --verbose shows Spark's own words.
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
    """Our defaults, which the configuration's `settings` override; empty if a session exists or spark-submit chose.

    java_options: of the driver's JVM, beside ours.
    """
    # Set wherever spark-submit runs a driver, in YARN's application master, too, which gets nothing else of it.
    if "PYSPARK_GATEWAY_PORT" in os.environ or SparkSession.getActiveSession() is not None:
        return {}
    master = settings.get("spark.master", "local[*]")
    if not _in_driver(master):
        return {"spark.master": master}
    return {"spark.master": master, **LOCAL, JAVA_OPTIONS: f"{LOCAL[JAVA_OPTIONS]} {java_options}".strip()}


@contextmanager
def session(app_name: str, settings: Mapping[str, str], keep: bool = False) -> Iterator[SparkSession]:
    """`build_session`, stopped when the block ends; one that ran before stays, with the settings that it had.

    keep: do not stop a new one either.
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
    """Whether this process has a SparkContext: its owner, as a notebook, goes on with it."""
    return SparkContext._active_spark_context is not None


def _settings(spark: SparkSession) -> dict[str, str]:
    """What is set in a session, by the user or by Spark's files: without Spark's own defaults."""
    found = _conf(spark).getAllConfs()
    return {str(key): str(found.apply(key)) for key in found.keySet().mkString("\n").split("\n") if key}


def _put_back(spark: SparkSession, before: Mapping[str, str]) -> None:
    """Undo every change of the session's settings, those that `spark.conf` would not let anybody set, too."""
    now = _settings(spark)
    for key in now.keys() - before.keys():
        _conf(spark).unsetConf(key)
    for key, value in before.items():
        if now.get(key) != value:
            _conf(spark).setConfString(key, value)


def _conf(spark: SparkSession) -> Any:
    return spark._jsparkSession.sessionState().conf()


def is_local(spark: SparkSession) -> bool:
    """Whether the executors are threads of the driver's own process."""
    return _in_driver(str(spark.sparkContext.master))


def _in_driver(master: str) -> bool:
    return master == "local" or master.startswith("local[")


def task_slots(spark: SparkSession) -> int:
    """How many tasks can run at once, as Spark itself counts it."""
    return max(1, spark.sparkContext.defaultParallelism)
