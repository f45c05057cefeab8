"""A standalone Spark cluster on loopback, and a Python for it that has all packages but this one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

import psutil

ROOT = Path(__file__).parents[2]
OWN = re.compile(r"_?synthspark[-_.\w]*")
T = TypeVar("T")
MEMORY_MB = 1536
"""Of a worker, for each executor."""
DRIVER_URL = re.compile(r"--driver-url spark://CoarseGrainedScheduler@[^:]+:(\d+)")
GPUS = ("3", "5")
"""What each worker reports. No program here can use them: what is tested is who is given which."""
STARTED_SECONDS = 60


def bare_python(folder: Path) -> Path:
    """A virtual environment with the packages of this one except synthspark, editable or not; returns its python.

    The packages are links; a `.pth` file within them does nothing, so that the checkout is on nobody's path.
    """
    venv.EnvBuilder(symlinks=True).create(folder)
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not OWN.fullmatch(entry.name) and entry.suffix != ".pth":
            (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def _die_with_parent() -> None:
    """In the child: be killed when the tests are (PR_SET_PDEATHSIG), however they end."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Cluster:
    """A master and two workers. Nothing of it outlives `close`, nor the process that made it.

    executors: how many (of one core each) a worker has room for.
    """

    def __init__(self, folder: Path, python: Path, executors: int = 1) -> None:
        self.folder, self.python, self._room = folder, python, executors
        site = next(python.parents[1].glob("lib/python*/site-packages"))
        self.home = site / "pyspark"
        self._logs: list[IO[bytes]] = []
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.url = self._start("master", ["Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"],
                               r"Starting Spark master at (spark://\S+)")  # fmt: skip
        for number, address in enumerate(GPUS):
            self._add_worker(number, address)

    def _add_worker(self, number: int, gpu: str) -> None:
        """Start a worker that says that it has a GPU; returns when the master knows it."""
        script = self.folder / f"gpu-{number}.sh"
        script.write_text(f"""#!/bin/sh\necho '{{"name": "gpu", "addresses": ["{gpu}"]}}'\n""")
        script.chmod(0o755)
        arguments = ["Worker", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0", "--cores", str(self._room),
                     "--memory", f"{self._room * MEMORY_MB}m", "--work-dir", str(self.folder / f"work-{number}"),
                     self.url]  # fmt: skip
        options = "-Dspark.worker.resource.gpu.amount=1 -Dspark.worker.resource.gpu.discoveryScript="
        self._start(f"worker-{number}", arguments, r"(Successfully registered with master)",
                    SPARK_WORKER_OPTS=f"{options}{script}")  # fmt: skip

    def _start(self, name: str, arguments: Sequence[str], awaited: str, **more: str) -> str:
        path = self.folder / f"{name}.log"
        log = path.open("wb")
        command = [
            str(self.home / "bin" / "spark-class"),
            f"org.apache.spark.deploy.{arguments[0].lower()}.{arguments[0]}",
        ]
        environment = {**self.environment(), "SPARK_DAEMON_MEMORY": "256m", "SPARK_LOCAL_IP": "127.0.0.1", **more}
        self._logs.append(log)
        self._daemons.append(subprocess.Popen(
            [*command, *arguments[1:]], cwd=self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        ))  # fmt: skip
        found = wait_for(lambda: re.search(awaited, path.read_text(errors="replace")), f"{name} to start: {path}")
        return found.group(1)

    def environment(self) -> dict[str, str]:
        """What driver and daemons are given: nothing of this process but where programs and Java are."""
        kept = {k: v for k, v in os.environ.items() if k in ("HOME", "JAVA_HOME", "LANG", "TMPDIR")}
        path = os.pathsep.join([str(self.python.parent), "/usr/local/bin", "/usr/bin", "/bin"])
        return {**kept, "PATH": path, "SPARK_HOME": str(self.home), "PYSPARK_PYTHON": str(self.python),
                "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip

    def submit(
        self, script: Path, arguments: Sequence[str], archive: Path | None, conf: Mapping[str, str] | None = None
    ) -> Submission:
        """spark-submit in client mode, from a folder that is not the checkout."""
        settings = {
            "spark.executor.memory": "900m",
            "spark.driver.memory": "900m",
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
            **(conf or {}),
        }
        command = [str(self.home / "bin" / "spark-submit"), "--master", self.url]
        for key, value in settings.items():
            command += ["--conf", f"{key}={value}"]
        command += ["--py-files", str(archive)] if archive is not None else []
        log = self.folder / f"driver-{time.monotonic_ns()}.log"
        return Submission([*command, str(script), *arguments], self.folder, self.environment(), log)

    def executors(self, driver: Submission) -> list[psutil.Process]:
        """The executors of a driver: what the workers have started to talk to a port of its."""
        found = [(c, " ".join(_command(c))) for d in self._daemons for c in _children(d.pid)]
        ports = driver.ports()
        return [p for p, said in found if (url := DRIVER_URL.search(said)) and int(url[1]) in ports]

    def close(self) -> None:
        """Kill everything."""
        doomed = [p for d in self._daemons for p in [*_children(d.pid), psutil.Process(d.pid)] if d.poll() is None]
        for process in doomed:
            _kill(process)
        for daemon in self._daemons:
            daemon.wait()
        for log in self._logs:
            log.close()


class Submission:
    """A driver that runs."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=file,
                                             stderr=subprocess.STDOUT, preexec_fn=_die_with_parent)  # fmt: skip

    @property
    def words(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def ports(self) -> set[int]:
        """The ports that its processes listen on; none once it has ended."""
        found: set[int] = set()
        for process in [psutil.Process(self._process.pid), *_children(self._process.pid)] if self.running() else []:
            with contextlib.suppress(psutil.Error):
                found |= {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        return found

    def wait(self, seconds: float = 1800) -> int:
        """Its exit status; it is killed, and TimeoutExpired raised, if it takes longer."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """kill -9 of the driver: its JVM, its Python and what they started."""
        for process in [psutil.Process(self._process.pid), *_children(self._process.pid)] if self.running() else []:
            _kill(process)
        self._process.wait()


def processes(root: psutil.Process, words: str) -> list[psutil.Process]:
    """The processes below `root` whose command line has `words`."""
    return [p for p in _children(root.pid) if words in " ".join(_command(p))]


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = STARTED_SECONDS) -> T:
    """What `probe` returns, once it returns something."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = probe()
        if found:
            return found
        time.sleep(0.02)  # what is killed in the middle of a write must be found before it ends
    raise TimeoutError(f"waited {seconds} s for {what}")


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        pass
