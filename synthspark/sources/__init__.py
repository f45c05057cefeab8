"""Read source tables: every row as intended, or a one-line error that names the file, the column and a remedy."""

from synthspark.sources.failures import as_source_error, first_words
from synthspark.sources.reading import Place, read

__all__ = ["Place", "first_words", "read", "as_source_error"]
