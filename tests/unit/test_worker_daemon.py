"""The path of Spark's Python workers in local mode."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from synthspark import worker_daemon


def test_sparks_archives_leave_the_path_and_a_users_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    here = [p for p in sys.path if p]
    jar = "/s/spark-core_2.13-4.1.4.jar"
    of_user = ["/my.zip", "/my-src.zip", "/graphframes-0.8.4.jar"]
    monkeypatch.setattr(sys, "path", ["/s/lib/pyspark.zip", "/s/py4j-0.10.9-src.zip", jar, *of_user, *here])
    monkeypatch.setitem(sys.path_importer_cache, jar, None)
    worker_daemon.leave_out_archives()
    assert sys.path == [*of_user, *here]
    assert jar not in sys.path_importer_cache


def test_where_pyspark_is_only_in_its_archive_the_archive_stays(tmp_path: Path) -> None:
    archive = tmp_path / "pyspark.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("pyspark/__init__.py", "")
    source = Path(worker_daemon.__file__).read_text(encoding="utf-8").partition('if __name__ == "__main__"')[0]
    script = tmp_path / "alone.py"
    script.write_text(source + "\nleave_out_archives()\nimport pyspark\nprint(pyspark.__file__)\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", "-S", "-c",
                           f"import sys; sys.path.append({str(archive)!r}); exec(open({str(script)!r}).read())"],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0 and done.stdout.startswith(str(archive)), done.stderr
