#!/bin/sh
# One clear line where Python 3.11 or Java 17 is missing, before anything is installed.
python=${1:-python3.11}
if ! version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
  echo "synthspark needs Python 3.11, and '$python' was not found: install it (Debian: apt-get install python3.11-venv, any system: pyenv install 3.11) or say make PYTHON=/path/to/python3.11" >&2
  exit 1
fi
if [ "$version" != "3.11" ]; then
  echo "synthspark needs Python 3.11 (Petastorm imports distutils), '$python' is $version: say make PYTHON=/path/to/python3.11" >&2
  exit 1
fi
if ! java=$(java -version 2>&1); then
  echo "synthspark needs Java 17 for Spark, and no 'java' was found: install it (Debian: apt-get install openjdk-17-jre-headless)" >&2
  exit 1
fi
major=$(echo "$java" | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
case "$major" in
  17|21) ;;
  *) echo "synthspark needs Java 17 (or 21) for Spark 4.0, 'java' is version ${major:-unknown}: install openjdk-17-jre-headless and put it first on PATH" >&2
     exit 1 ;;
esac
