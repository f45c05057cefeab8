"""synthspark: a lake goes in, a same-shaped lake comes out."""

__version__ = "0.1.0"
