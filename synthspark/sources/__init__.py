"""Read source tables: every row as intended, or a one-line error that names the file, the column and a remedy."""

from synthspark.sources.failures import first_words, told
from synthspark.sources.reading import Place, read

__all__ = ["Place", "first_words", "read", "told"]
