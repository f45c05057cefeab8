"""Reading what shops have: every row as it was meant, or an error of one line that names file, column and way out."""

from synthspark.sources.failures import first_words, told
from synthspark.sources.reading import Place, read

__all__ = ["Place", "first_words", "read", "told"]
