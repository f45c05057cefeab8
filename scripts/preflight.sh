#!/bin/sh
# One clear line where the Python or the Java of a cell is missing, before anything is installed.
cell=$1
python=${2:-python3}
wanted=$(echo "$cell" | sed -E 's/^py([0-9])([0-9]+)-.*/\1.\2/')
spark=$(echo "$cell" | sed -E 's/.*-spark([0-9])([0-9]+)$/\1.\2/')
if [ ! -f "constraints/$cell.txt" ]; then
  echo "there is no constraints/$cell.txt; cells are: $(cd constraints && ls | sed 's/\.txt$//' | tr '\n' ' ')" >&2
  exit 1
fi
if ! version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
  echo "$cell needs Python $wanted, and '$python' was not found: install it (Debian: apt-get install python$wanted-venv, any system: pyenv install $wanted) or say make PYTHON=/path/to/python$wanted" >&2
  exit 1
fi
if [ "$version" != "$wanted" ]; then
  echo "$cell needs Python $wanted, '$python' is $version: say make PYTHON=/path/to/python$wanted, or make CELL=... with a file of constraints/" >&2
  exit 1
fi
case "$spark" in 3.*) javas="8 11 17" ;; *) javas="17 21" ;; esac
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
if ! shown=$("$java" -version 2>&1); then
  echo "Spark $spark needs Java ($javas), and no '$java' was found: install it (Debian: apt-get install openjdk-17-jre-headless)" >&2
  exit 1
fi
major=$(echo "$shown" | sed -n -E 's/.*version "(1\.)?([0-9]+).*/\2/p' | head -n 1)
for accepted in $javas; do
  if [ "$major" = "$accepted" ]; then exit 0; fi
done
echo "Spark $spark needs Java ($javas), '$java' is version ${major:-unknown}: install openjdk-17-jre-headless and set JAVA_HOME, or put it first on PATH" >&2
exit 1
