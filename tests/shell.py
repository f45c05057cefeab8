"""Commands in processes of their own, over a Hive metastore, as a user of a catalogue has them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyspark
import yaml

from tests.integration.test_pipeline import settings


class Shell:
    """Commands in processes of their own, over a Hive metastore in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, settings(folder)
        self.conf = {
            "spark.master": "local[2]", "spark.sql.catalogImplementation": "hive",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder}/metastore;create=true",
        }  # fmt: skip
        self.config["lake"]["catalog"] = "spark_catalog.shop"
        self.config["spark"] = self.conf

    def synthspark(self, *words: str, program: Sequence[str] = ("-m", "synthspark")) -> tuple[int, str]:
        """Exit code and messages of a command with this shop's configuration, in a session of its own."""
        path = self.folder / "shop.yaml"
        path.write_text(yaml.safe_dump(self.config))
        return self._run(sys.executable, *program, *words, "--config", str(path))[::2]

    def sql(self, statement: str) -> list[list[str]]:
        """The rows that plain `spark-sql` prints."""
        options = [word for key, value in self.conf.items() for word in ("--conf", f"{key}={value}")]
        program = Path(pyspark.__file__).parent / "bin" / "spark-sql"
        code, out, words = self._run(str(program), *options, "-S", "-e", statement)
        assert code == 0, words[-2000:]
        return [line.split() for line in out.strip().splitlines()]

    def _run(self, *command: str) -> tuple[int, str, str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=self.folder,
                              start_new_session=True)  # fmt: skip
        return done.returncode, done.stdout, done.stderr
