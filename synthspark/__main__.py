"""`python -m synthspark`: where the command itself is not on the path."""

from synthspark.cli import main

main()
